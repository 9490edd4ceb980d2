"""What was accepted is said to be accepted, also when Redis goes away before the answer."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis, RedisError

from api.app import create_app
from processes import RedisServer, b64, sample
from settings import Settings
from workers.backlog import Backlog
from workers.groups import Groups
from workers.jobs import JobStore


@pytest.fixture
def client(groups: Groups, redis_server: RedisServer, tmp_path: Any) -> FlaskClient:
    return create_app(Settings(redis_url=redis_server.url, home=tmp_path)).test_client()


def away(*_: Any, **__: Any) -> Any:
    raise RedisError("Redis is away")


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "wait=1"}])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/predictions", {"image": b64(sample("bag"))}),
        ("/v1/batches", {"images": [b64(sample("bag")), "?"]}),
        ("/v1/training-jobs", {"epochs": 1}),
    ],
)
def test_a_post_whose_record_cannot_be_read_again_is_still_a_202(
    client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, prefer: dict[str, str]
) -> None:
    with monkeypatch.context() as broken:
        for kind, name in ((Groups, "prediction"), (Groups, "group"), (JobStore, "get"), (Backlog, "_count")):
            broken.setattr(kind, name, away)
        answer = client.post(path, json=body, headers=prefer)

    assert answer.status_code == 202, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    location = answer.headers["Location"]
    assert location == f"{path}/{answer.json['id']}"
    found = client.get(location)
    assert (found.status_code, found.json["status"]) == (200, "queued")
    assert answer.json == found.json
