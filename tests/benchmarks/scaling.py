"""Throughput by the number of web processes and workers, and what a prediction costs each part and Redis.

Parts are pinned to cores of their own where there are enough: one for Redis, one for each process, two for the clients.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any, Final

from redis import Redis

from tests.benchmarks.load import closed
from tests.benchmarks.rounds import settle
from tests.benchmarks.servers import Running, Server, running

_MOST: Final = 4
_CONNECTIONS: Final = 128
_CLIENTS: Final = 2  # cores
# What Redis counts, and the name that it has here.
_COUNTERS: Final = {
    "total_commands_processed": "commands", "total_net_input_bytes": "received", "total_net_output_bytes": "sent",
    "aof_current_size": "appended",
}  # fmt: skip


def measure(serve: Callable[[int, int], Server], seconds: int, most: int = _MOST) -> dict[str, Any]:
    """`serve(web_processes, workers)` is the server to measure; all pairs from 1 to `most`."""
    cores = sorted(os.sched_getaffinity(0))
    counts = list(itertools.product(range(1, most + 1), repeat=2))
    return {"cores": len(cores), "runs": [_run(serve(web, workers), web, workers, seconds, cores)
                                          for web, workers in counts]}  # fmt: skip


def _run(server: Server, web: int, workers: int, seconds: int, cores: list[int]) -> dict[str, Any]:
    with running(server) as instance, Redis(unix_socket_path=str(instance.folder / "redis" / "redis.sock")) as redis:
        try:
            pinned = _pin(instance, cores, web, workers)
            closed(instance.url, server.ways.waited, _CONNECTIONS, 2)  # warm
            settle(instance, 10)
            cpu, before = instance.cpu(), _counted(redis)
            load = closed(instance.url, server.ways.waited, _CONNECTIONS, seconds)
            after, counted = instance.cpu(), _counted(redis)
        finally:
            os.sched_setaffinity(0, cores)
    done = load.answered + load.early
    return {"web_processes": web, "workers": workers, "pinned": pinned, **load.document(),
            "cpu_ms": {part: (used - cpu[part]) * 1e3 / done for part, used in after.items()},
            "client_ms": load.client_cpu * load.seconds * 1e3 / done,
            "redis": {name: (count - before[name]) / done for name, count in counted.items()}}  # fmt: skip


def _counted(redis: Redis) -> dict[str, float]:
    info = redis.info()
    return {name: info[counter] for counter, name in _COUNTERS.items()} | {"kept": info["used_memory"]}


def _pin(instance: Running, cores: list[int], web: int, workers: int) -> bool:
    """Whether there were enough cores to give each part its own."""
    if len(cores) < 1 + web + workers + _CLIENTS:
        return False
    clients, free = cores[:_CLIENTS], iter(cores[_CLIENTS:])
    os.sched_setaffinity(0, clients)  # and so wrk, which starts from here
    for process in instance.processes():
        part = instance.part(process)
        serves = part in ("redis", "worker") or (part == "web" and not process.children())
        own = [next(free)] if serves else clients
        for thread in process.threads():
            os.sched_setaffinity(thread.id, own)
    return True
