"""The servers that Hemline is compared with, each at its own best settings for two cores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.benchmarks.load import Ask
from tests.benchmarks.pictures import ROOT
from tests.benchmarks.servers import Server, Ways
from tests.processes import redis_binary

ENVIRONMENTS: Final = ROOT / "build" / "bench"
_HERE: Final = Path(__file__).parent


def naive(bodies: Path) -> Server:
    """Flask and Celery, one task a request, with a Redis as it is when nobody configures it.

    Two processes of 64 threads hold 128 requests: fewer lose at 256 connections, more gain nothing.
    """
    folder, programs = _HERE / "naive", ENVIRONMENTS / "naive" / "bin"
    return Server(
        "Flask + Celery, a task a request",
        {
            "redis": [redis_binary(), "--port", "0", "--unixsocket", "{home}/redis.sock", "--dir", "{home}"],
            "worker": [str(programs / "celery"), "--quiet", "--app", "tasks", "worker", "--pool", "solo"],
            "web": [
                str(programs / "gunicorn"), "--worker-class", "gthread", "--workers", "2", "--threads", "64",
                "--keep-alive", "60", "--timeout", "120", "--bind", "127.0.0.1:{port}", "app:app",
            ],
        },
        "/health", {"redis": "redis-server", "worker": "celery", "web": "gunicorn"},
        Ways(Ask("/predict", bodies, 200), Ask("/submit", bodies, 202, finished='"state":"SUCCESS"')),
        {"PYTHONPATH": f"{folder}:{_HERE}", "REDIS_URL": "redis+socket://{home}/redis.sock", **ONE_THREAD},
    )  # fmt: skip


def peers(images: list[str], folder: Path) -> Iterator[Server]:
    """All of them, with files of bodies as each of them wants its own.

    Where it depends on the figure which settings are the best, a server is there with several, and the targets take the
    best of each.
    """
    plain = _bodies(folder / "plain.jsonl", images, lambda image: {"image": image})
    instances = _bodies(folder / "instances.jsonl", images, lambda image: {"instances": [image]})
    lists = _bodies(folder / "lists.jsonl", images, lambda image: {"images": [image]})
    tensors = _bodies(folder / "tensors.jsonl", images, _tensor)
    yield _peer(
        "fastapi", "FastAPI + uvicorn ×2, model inline",
        ["{bin}/uvicorn", "server:app", "--workers", "2", "--host", "127.0.0.1", "--port", "{port}",
         "--no-access-log", "--log-level", "warning"], "/health", "/predict", plain,
    )  # fmt: skip
    yield _peer(
        "ray", "Ray Serve, 2 replicas, HAProxy", ["{bin}/python", "{folder}/server.py", "{port}", "{home}/ray"],
        "/-/healthz", "/predict", plain,
        RAY_SERVE_ENABLE_HA_PROXY="1", RAY_SERVE_THROUGHPUT_OPTIMIZED="1", RAY_USAGE_STATS_ENABLED="0",
    )  # fmt: skip
    yield _peer(
        "kserve", "KServe, 2 workers", ["{bin}/python", "{folder}/server.py", "{port}"],
        "/v2/health/ready", "/v1/models/fashion:predict", instances,
    )  # fmt: skip
    yield _peer(
        "mlserver", "MLServer", ["{bin}/mlserver", "start", "{folder}"],
        "/v2/models/fashion/ready", "/v2/models/fashion/infer", tensors,
        MLSERVER_HTTP_PORT="{port}", MLSERVER_HOST="127.0.0.1", MLSERVER_PARALLEL_WORKERS="0",
        MLSERVER_GRPC_PORT="{port1}", MLSERVER_METRICS_PORT="{port2}", MLSERVER_DEBUG="false",
    )  # fmt: skip
    for name, path, bodies in (("", "/predict", plain), (", adaptive batching", "/predict_batched", lists)):
        yield _peer(
            "bentoml", f"BentoML, 2 workers{name}",
            ["{bin}/bentoml", "serve", "server:Fashion", "--working-dir", "{folder}", "--host", "127.0.0.1",
             "--port", "{port}"], "/readyz", path, bodies,
            BENTOML_HOME="{home}/bentoml", BENTOML_DO_NOT_TRACK="True",
        )  # fmt: skip
    for processes in ("1", "2"):
        yield _peer(
            "litserve", f"LitServe, 2 workers, {processes} for HTTP",
            ["{bin}/python", "{folder}/server.py", "{port}", processes], "/health", "/predict", plain,
        )  # fmt: skip


# What Hemline's supervisor sets for its parts, too: a network of this size gains nothing from threads.
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _peer(key: str, name: str, command: list[str], ready: str, path: str, bodies: Path, **environ: str) -> Server:
    folder, programs = _HERE / "peers" / key, ENVIRONMENTS / key / "bin"
    environ |= {"PYTHONPATH": f"{folder}:{_HERE}", "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", **ONE_THREAD}
    words = [word.replace("{bin}", str(programs)).replace("{folder}", str(folder)) for word in command]
    return Server(name, {"server": words}, ready, {}, Ways(Ask(path, bodies, 200)), environ)


def _bodies(file: Path, images: list[str], body: Callable[[str], object]) -> Path:
    file.write_text("".join(json.dumps(body(image)) + "\n" for image in images))
    return file


def _tensor(image: str) -> object:
    return {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [image]}]}


def absent(server: Server) -> str:
    """Why a server cannot be measured here; nothing if it can."""
    programs = [Path(command[0]) for command in server.programs.values()]
    missing = [program for program in programs if program.is_absolute() and not program.exists()]
    return f"there is no {missing[0].parts[-3]} environment: its packages could not be installed" if missing else ""
