"""The file transport: whoever reads while others write, or after they were killed, reads whole messages."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kombu import Connection

from rhdashboard import file_broker

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys, time
from kombu import Connection
from rhdashboard import celery_app
with Connection("filesystem://localhost//", transport_options={options}) as broker:
    queue = broker.SimpleQueue("work")
    print("ready", flush=True)
    for number in range(10_000):
        queue.put({{"number": number, "text": "x" * 5000}})
        while queue.qsize() > 20:  # A reader lists the folder for each message: it must not fall behind.
            time.sleep(0.001)
"""


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    names = {"data_folder_in": "messages", "data_folder_out": "messages", "processed_folder": "processed"}
    for name in {*names.values(), "control"}:
        (tmp_path / name).mkdir()
    return {key: str(tmp_path / name) for key, name in {**names, "control_folder": "control"}.items()}


def test_it_is_the_file_transport_of_every_process(options):
    with Connection("filesystem://localhost//", transport_options=options) as broker:
        assert isinstance(broker.transport, file_broker.Transport)


def test_messages_are_read_whole_while_they_are_written_and_their_writer_is_killed(options):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(options=options)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert writer.stdout.readline() == "ready\n"
    with Connection("filesystem://localhost//", transport_options=options) as broker:
        queue = broker.SimpleQueue("work")
        for number in range(300):
            message = queue.get(timeout=60)
            assert message.payload == {"number": number, "text": "x" * 5000}
            message.ack()
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        while queue.qsize():
            assert queue.get(timeout=60).payload["text"] == "x" * 5000


def test_many_that_bind_at_once_all_find_the_exchange_whole(options):
    errors: list[BaseException] = []

    def bind(number: int) -> None:
        try:
            with Connection("filesystem://localhost//", transport_options=options) as broker:
                channel = broker.channel()
                for other in range(20):
                    channel._queue_bind("one", f"key-{number}-{other}", "", "work")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=bind, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Connection("filesystem://localhost//", transport_options=options) as broker:
        keys = {row.routing_key for row in broker.channel().get_table("one")}
    assert keys == {f"key-{number}-{other}" for number in range(8) for other in range(20)}
