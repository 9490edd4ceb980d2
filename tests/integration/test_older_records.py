"""What an earlier release has written is read by this one, and said as it was; what is said more is no change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ml.artifacts import FileArtifacts
from processes import ROOT, RedisServer
from records import said, served
from workers import backup

RELEASES = sorted((ROOT / "tests" / "data" / "records").iterdir())


def lacks(now: Any, then: Any, place: str = "") -> list[str]:
    """Where `now` is not what `then` was, apart from fields that are new."""
    if isinstance(now, Mapping) and isinstance(then, Mapping):
        return [found for name in then for found in lacks(now.get(name), then[name], f"{place}/{name}")]
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [found for i, pair in enumerate(zip(now, then)) for found in lacks(*pair, f"{place}/{i}")]
    return [] if now == then else [f"{place}: {then!r} became {now!r}"]


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_records_of_an_earlier_release_are_read(
    release: Path, redis: Redis, redis_server: RedisServer, tmp_path: Path
) -> None:
    backup.restore(release / "backup.tar", redis_server.url, FileArtifacts(tmp_path / "artifacts"))
    with served(redis_server, tmp_path) as http:
        now = said(http)

    assert lacks(now, json.loads((release / "said.json").read_bytes())) == []


def test_a_field_that_is_new_is_no_change_and_one_that_is_gone_is() -> None:
    assert lacks({"a": [{"b": 1, "new": 2}]}, {"a": [{"b": 1}]}) == []
    assert lacks({"a": [{}]}, {"a": [{"b": 1}]}) == ["/a/0/b: 1 became None"]
