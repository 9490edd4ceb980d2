"""Where and with what the figures came about, so that they can be judged and had again."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.load import wrk
from tests.benchmarks.pictures import ROOT
from tests.processes import redis_binary

_HERE = Path(__file__).parent
_OURS = ("ai-edge-litert", "celery", "flask", "flask-smorest", "numpy", "opencv-python-headless", "redis", "uvicorn")


def environment() -> dict[str, Any]:
    """The machine, the versions, the commit."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _said(["git", "describe", "--always", "--dirty"]),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "wrk": _said([wrk(), "-v"]).partition("[")[0].strip(),
        "redis-server": _said([redis_binary(), "--version"]),
        "versions": {name: version(name) for name in _OURS},
        "peers": {lock.parent.name: _pinned(lock) for lock in sorted(_HERE.glob("**/requirements.lock"))},
    }


def _pinned(lock: Path) -> str:
    """The version of the package that a peer's environment is for."""
    names = [line for line in lock.with_suffix(".in").read_text().splitlines() if line[:1] not in ("-", "#", "")]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE))
    return ", ".join(f"{name} {pins[name]}" for name in (re.split(r"[\[>=<]", each)[0] for each in names))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.exists() else []
    return models[0] if models else platform.processor()


def _said(command: list[str]) -> str:
    try:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return (ended.stdout.strip() or ended.stderr.strip()).partition("\n")[0]
