"""A Redis server of one's own, that can be killed: nothing of it is kept."""

import signal
import subprocess
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as CannotConnect

from tests.project.processes import free_port, soon


class RedisServer:
    """Listens on a free port of this machine once it is started; its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--logfile", str(self.folder / "redis.log")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert soon(self._answers), (self.folder / "redis.log").read_text()

    def kill(self) -> None:
        """kill -9: what it held is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return bool(Redis(port=self.port).ping())
        except CannotConnect:
            return False
