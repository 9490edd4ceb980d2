"""Strangers' input is tried where memory is short."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_ROOM = 1536 * 1024 * 1024

# The same examples each time: looking for new ones is what the fuzzer is for. It also stops what hangs.
settings.register_profile(
    "strangers", max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("strangers")


@pytest.fixture(autouse=True, scope="module")
def little_memory() -> Iterator[None]:
    """Who asks for gigabytes on the word of a file gets a MemoryError, which is no answer."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
