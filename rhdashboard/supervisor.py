"""Several processes under one: their output side by side, restarted or ended together, none left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TextIO

LEASH = Path(__file__).with_name("leash.py")
COLOURS = (36, 33, 35, 32, 34)
SHORT_LIFE_S = 10.0
LONGEST_PAUSE_S = 30.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Service:
    """One process. With `restarts`, its end is repaired; without, it ends all the others."""

    name: str
    command: Sequence[str]
    restarts: bool = False


@dataclass
class _Running:
    service: Service
    leash: subprocess.Popen[bytes]
    started_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class _Ended:
    running: _Running
    code: int


@dataclass(frozen=True)
class _Asked:
    signal_name: str


class Supervisor:
    """Holds every service by a leash (see leash.py): letting go of it, on purpose or by dying, ends the service."""

    def __init__(self, services: Sequence[Service], *, out: TextIO | None = None, grace_s: float = 10.0) -> None:
        self._services = services
        self._out = out or sys.stdout
        self._grace_s = grace_s
        self._running: dict[str, _Running] = {}
        self._due: dict[str, tuple[float, Service]] = {}
        self._pauses_s: dict[str, float] = {}
        self._events: SimpleQueue[_Ended | _Asked] = SimpleQueue()
        self._writing = threading.Lock()
        self._last_words_s = time.monotonic()
        self._width = max(len(service.name) for service in services)
        self._coloured = self._out.isatty() and "NO_COLOR" not in os.environ

    def run(self, *, ready: Callable[[], bool], announce: Callable[[], None]) -> int:
        """Until asked to stop (0), or until a service that is not restarted ends (1). Call it on the main thread.

        `announce` is called once, from another thread, when `ready` first says so.
        """
        with self._listening():
            for service in self._services:
                self._start(service)
            threading.Thread(target=self._announce, args=(ready, announce), daemon=True).start()
            code = self._watch()
            self._stop()
        return code

    def say(self, *lines: str) -> None:
        """All of them together, whatever the services say meanwhile."""
        self._write("", 0, *lines)

    def quiet_s(self) -> float:
        """For how long nobody has said anything."""
        return time.monotonic() - self._last_words_s

    @contextmanager
    def _listening(self) -> Iterator[None]:
        def asked(number: int, _frame: FrameType | None) -> None:
            self._events.put(_Asked(signal.Signals(number).name))

        kept = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()  # nohup
        before = {number: signal.signal(number, asked) for number in STOP_SIGNALS if number not in kept}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, service: Service) -> None:
        # The leash keeps the reading end too: a service that is ended because this process was killed may still say its
        # last words, where a broken pipe would upset its shutdown.
        reading_end, writing_end = os.pipe()
        leash = subprocess.Popen(
            # -E -S: nothing of the environment or of site-packages is read for these few lines.
            [sys.executable, "-E", "-S", str(LEASH), str(self._grace_s), *service.command],
            stdin=subprocess.PIPE,
            stdout=writing_end,
            stderr=subprocess.STDOUT,
            pass_fds=[reading_end],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C in a terminal reaches this process alone; it tells the others.
        )
        os.close(writing_end)
        running = self._running[service.name] = _Running(service, leash)
        reader = threading.Thread(target=self._copy, args=(service, reading_end), daemon=True)
        reader.start()
        threading.Thread(target=self._await, args=(running, reader), daemon=True).start()

    def _copy(self, service: Service, reading_end: int) -> None:
        colour = COLOURS[self._services.index(service) % len(COLOURS)]
        with open(reading_end, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._write(service.name, colour, line.rstrip("\n"))

    def _await(self, running: _Running, reader: threading.Thread) -> None:
        code = running.leash.wait()
        self._kill(running)  # Its command may have died and left children of its own.
        reader.join(timeout=1)  # Its last words come before the news of its end.
        self._events.put(_Ended(running, code))

    def _watch(self) -> int:
        while True:
            match self._next_event(min((at for at, _ in self._due.values()), default=None)):
                case _Asked(signal_name):
                    self.say(f"stopping ({signal_name}); once more to stop without waiting")
                    return 0
                case _Ended(running, code) if running.service.restarts:
                    self._restart_later(running, code)
                case _Ended(running, code):
                    del self._running[running.service.name]
                    self.say(f"{running.service.name} ended by itself with exit code {code}, so everything stops")
                    return 1
                case None:
                    self._start_due()

    def _next_event(self, until_s: float | None) -> _Ended | _Asked | None:
        """`None` when nothing happened before `until_s`."""
        with suppress(Empty):
            return self._events.get(timeout=None if until_s is None else max(0.0, until_s - time.monotonic()))
        return None

    def _restart_later(self, running: _Running, code: int) -> None:
        name = running.service.name
        del self._running[name]
        short_lived = time.monotonic() - running.started_s < SHORT_LIFE_S
        pause_s = min(2 * self._pauses_s.get(name, 0.5), LONGEST_PAUSE_S) if short_lived else 0.0
        self._pauses_s[name] = max(pause_s, 0.5)
        self._due[name] = (time.monotonic() + pause_s, running.service)
        self.say(
            f"{name} ended by itself with exit code {code}; starting it again{f' in {pause_s:g} s' * bool(pause_s)}"
        )

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for name, (at, service) in list(self._due.items()):
            if at <= now_s:
                del self._due[name]
                self._start(service)

    def _stop(self) -> None:
        for running in self._running.values():
            with suppress(OSError):
                running.leash.stdin.close()  # type: ignore[union-attr]  # A pipe, see _start.
        give_up_s = time.monotonic() + self._grace_s + 2
        while self._running:
            event = self._next_event(give_up_s)
            if isinstance(event, _Ended):
                del self._running[event.running.service.name]
            # Only a second Ctrl-C is impatience: make passes SIGTERM on, so that one request arrives twice.
            elif event is None or event.signal_name == "SIGINT":
                for running in self._running.values():
                    self._kill(running)
                give_up_s = time.monotonic() + 2
        self.say("stopped")

    def _kill(self, running: _Running) -> None:
        with suppress(ProcessLookupError):
            os.killpg(running.leash.pid, signal.SIGKILL)

    def _announce(self, ready: Callable[[], bool], announce: Callable[[], None]) -> None:
        while not ready():
            time.sleep(0.1)
        announce()

    def _write(self, name: str, colour: int, *lines: str) -> None:
        prefix = f"{name or 'run':<{self._width}} | "
        if self._coloured:
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self._last_words_s = time.monotonic()
        with self._writing, suppress(OSError):  # A reader of our output who went away is no reason to stop.
            self._out.write("".join(f"{prefix}{line}".rstrip() + "\n" for line in lines))
            self._out.flush()
