"""Entry point of `make run`: the whole product on one machine, each part a supervised process.

Supervisor starts the parts, starts again what dies, with growing pauses for what dies at once, and ends all of them.
A part that dies five times in a minute ends everything: what cannot live should be noticed, not hidden. SIGUSR1 puts
new processes in the place of all but Redis's (`upgrade.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import math
import os
import shlex
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor

from settings import InvalidSetting, Settings
from workers import embedded

_DEATHS, _WINDOW = 5, 60.0
_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Program:
    """A part: its command and, where there are several of it, how many."""

    name: str
    command: list[str]
    priority: int  # low ones start first and stop last
    count: int = 1
    waits: bool = False  # started only when an upgrade asks for it
    patience: int = 20  # seconds to end by itself before it is killed


def main() -> int:
    """Serve until a signal or until a part cannot be kept alive; the exit status says which."""
    try:
        settings = _with_port(Settings.from_env())
        settings.authenticates()
    except (InvalidSetting, OSError) as wrong:
        print(wrong, file=sys.stderr)
        return 2
    home = settings.home.absolute()
    # Supervisor opens standard output anew for the parts; where it is a file, all must append.
    fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_APPEND)
    try:
        with embedded.owned(home):
            return _serve(settings, home)
    except embedded.InUse as taken:
        print(taken, file=sys.stderr)
        return 2


def _serve(settings: Settings, home: Path) -> int:
    try:
        redis_url, redis = _redis(settings, home)
    except FileNotFoundError as missing:
        print(missing, file=sys.stderr)
        return 2
    config = home / "supervisord.conf"
    parts = [replace(part, name=f"{part.name}-{each}", waits=each != "a")
             for part in _programs(settings) for each in ("a", "b")]  # fmt: skip
    config.write_text("\n".join(_configuration(home, [*redis, *parts])))
    os.environ.update(
        HEMLINE_REDIS_URL=redis_url, HEMLINE_HOME=str(home), PORT=str(settings.port), PYTHONUNBUFFERED="1",
        PYTHONPATH=str(Path(__file__).parent),
        # One thread a process for linear algebra, two arenas for memory: parts scale by processes.
        OPENBLAS_NUM_THREADS="1", MALLOC_ARENA_MAX="2",
    )  # fmt: skip
    options = ServerOptions()
    options.realize(["--nodaemon", "--silent", "--configuration", str(config)])
    options.first, options.test = True, False
    supervisor = _Watchful(options)
    supervisor.settings = replace(settings, redis_url=redis_url, home=home)
    threading.Thread(target=_announce, args=(settings,), daemon=True).start()
    with contextlib.suppress(asyncore.ExitNow):  # how Supervisor says that all parts have ended
        supervisor.main()
    return 1 if supervisor.gave_up else 0


class _Watchful(Supervisor):  # type: ignore[misc]
    """Supervisor, which besides counts deaths, and upgrades."""

    settings: Settings
    gave_up = False
    _upgrade: Iterator[None] | None = None
    _asked = False

    def runforever(self) -> None:
        self._deaths: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_DEATHS))
        events.subscribe(events.ProcessStateExitedEvent, self._count)
        events.subscribe(events.ProcessStateBackoffEvent, self._count)
        signal.signal(signal.SIGUSR1, self._ask)
        super().runforever()

    def tick(self, now: float | None = None) -> None:
        """Called after each look at the processes, at least once a second."""
        super().tick(now)
        if self.options.mood < SupervisorStates.RUNNING:
            return
        if self._asked and self._upgrade is None:
            self._asked, self._upgrade = False, self._change()
        if self._upgrade is not None and next(self._upgrade, "over") == "over":
            self._upgrade = None

    def _ask(self, *_: object) -> None:
        self._asked = True

    def _change(self) -> Iterator[None]:
        import upgrade  # what it imports would double the memory of a process that hardly ever needs it

        said = self.settings
        # The web ends first: what it still accepts finds workers.
        beside = [upgrade.Part("web", upgrade.answering(), farewell=True),
                  upgrade.Part("worker", upgrade.consuming(said.redis_url, "predictions"))]  # fmt: skip
        after = [name for name in ("training", "webhooks") if f"{name}-a" in self.process_groups]
        try:
            yield from upgrade.roll(self.process_groups, beside, after)
        except upgrade.NotWell as failed:
            self.options.logger.error(f"upgrade: {failed}; the old processes go on")
            upgrade.report(said.home, str(failed))
        else:
            self.options.logger.warn("upgrade: all processes are new")
            upgrade.report(said.home)

    def _count(self, event: Any) -> None:
        if self.options.mood < SupervisorStates.RUNNING:
            return  # they end because we end
        deaths = self._deaths[event.process.config.name]
        deaths.append(time.monotonic())
        if len(deaths) == _DEATHS and deaths[-1] - deaths[0] < _WINDOW:
            self.options.logger.critical(f"{event.process.config.name} died {_DEATHS} times in a minute: giving up")
            self.gave_up = True
            self.options.mood = SupervisorStates.SHUTDOWN


def _programs(settings: Settings) -> Iterator[Program]:
    celery = [str(_BIN / "celery"), "--quiet", "--app"]
    options = ["--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel",
               settings.log_level]  # fmt: skip
    yield Program(
        "worker", [*celery, "workers.prediction_worker", "worker", "--queues", "predictions,batches", *options],
        priority=20, count=settings.prediction_workers,
    )  # fmt: skip
    if settings.training_workers and importlib.util.find_spec("tensorflow"):
        yield Program(
            "training", [*celery, "workers.training_worker", "worker", "--queues", "training", *options],
            priority=20, count=settings.training_workers, patience=60,
        )  # fmt: skip
    if settings.webhook_workers:
        threads = [{"solo": "threads"}.get(word, word) for word in options]
        yield Program(
            "webhooks", [*celery, "workers.webhook_worker", "worker", "--queues", "webhooks", *threads,
                         "--concurrency", "16"],
            priority=20, count=settings.webhook_workers, patience=20,
        )  # fmt: skip
    # As long as a request may be held, and some more.
    yield Program("web", [sys.executable, "-m", "api.server"], priority=30, patience=math.ceil(settings.max_wait) + 10)


def _redis(settings: Settings, home: Path) -> tuple[str, list[Program]]:
    """The URL of Redis, and the program that serves it unless there is one already. Raises FileNotFoundError."""
    if settings.redis_url:
        return settings.redis_url, []
    url, command = embedded.server(settings, home)
    return url, [Program("redis", command, priority=10)]


def _configuration(home: Path, programs: list[Program]) -> Iterator[str]:
    here = Path(__file__).parent
    yield from ("[supervisord]", f"pidfile={_escape(str(home / 'supervisord.pid'))}", "nodaemon=true", "silent=true",
                "logfile=/dev/fd/1", "logfile_maxbytes=0", "loglevel=warn",
                *(["user=root"] if os.getuid() == 0 else []))  # fmt: skip
    # Should the supervisor itself be killed, its parts must not outlive it.
    tie = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    for program in programs:
        yield from (
            f"[program:{program.name}]", f"command={_escape(shlex.join([*tie, *program.command]))}",
            f"directory={_escape(str(here))}",
            f"numprocs={program.count}", "process_name=%(program_name)s-%(process_num)d",
            f"priority={program.priority}", "autorestart=true",
            f"autostart={str(not program.waits).lower()}", "startsecs=3", "startretries=100",
            f"stopwaitsecs={program.patience}", "stopasgroup=false", "killasgroup=true", "redirect_stderr=true",
            "stdout_logfile=/dev/fd/1", "stdout_logfile_maxbytes=0",
        )  # fmt: skip


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _with_port(settings: Settings) -> Settings:
    """The settings with a port that can be had. Raises OSError."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as taken:
            raise OSError(f"{settings.host}:{settings.port} cannot be used ({taken.strerror}). Set PORT.") from None
        return replace(settings, port=probe.getsockname()[1])


def _announce(settings: Settings) -> None:
    """Print the URLs as soon as the service is ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    url = f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{settings.port}"
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # no proxy to our own machine
    while True:
        time.sleep(0.1)
        try:
            with ask(f"{url}/health/ready", timeout=2):
                break
        except (OSError, urllib.error.HTTPError):
            continue
    pages = f"  Console   {url}/\n  Guide     {url}/guide\n  API docs  {url}/docs\n"
    if settings.authenticates():
        pages += "  Callers need API keys: .venv/bin/python -m workers keys\n"
    print(f"Hemline is ready.\n{pages}  Ctrl-C ends it.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
