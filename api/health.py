"""Whether the process answers, and whether work that is accepted now will be done."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Response
from redis import RedisError

from api import responses
from api.blueprints import Blueprint
from api.errors import PROBLEM_JSON, problem
from api.parts import parts
from api.schemas import LiveSchema, ProblemSchema, ReadySchema
from ml.registry import PRODUCTION, DamagedVersion, UnknownModel
from workers.queue import BATCHES, PREDICTIONS, TRAINING, WEBHOOKS, queue_length
from workers.upkeep import alive

blueprint = Blueprint("health", __name__, description="For load balancers and people who are worried.", scopes=())


@blueprint.get("/health/live")
@blueprint.doc(operationId="getLiveness", summary="Does the process answer?")
@blueprint.response(200, LiveSchema)
@blueprint.alt_response(500, schema=ProblemSchema, content_type=PROBLEM_JSON, description="An error on our side.")
def live() -> Response:
    """The process answers."""
    return responses.json({"status": "live"})


@blueprint.get("/health/ready")
@blueprint.doc(operationId="getReadiness", summary="Will accepted work be done?")
@blueprint.response(200, ReadySchema, description="All parts are well.")
@responses.problems(blueprint)
def ready() -> Response:
    """Redis is reachable, a prediction worker is alive, and the production model is there; 503 says which is not.

    `workers` and `queues` are for people: they say how much is at work, and never make it unready.
    """
    checks = {
        "redis": _check(_redis), "prediction_worker": _check(_worker), "production_model": _check(_model),
    }  # fmt: skip
    wrong = [f"{name}: {state}" for name, state in checks.items() if state != "ok"]
    glance = _glance() if checks["redis"] == "ok" else {}
    if wrong:
        return problem(503, "; ".join(wrong), kind="unready", headers={"Retry-After": "2"}, checks=checks, **glance)
    return responses.json({"status": "ready", "checks": checks, **glance})


def _glance() -> dict[str, Any]:
    """What is at work and what waits; but for predictions it does not count for being ready, and is worth knowing."""
    redis = parts().redis
    return {
        "workers": {queue: alive(redis, queue) for queue in (PREDICTIONS, TRAINING, WEBHOOKS)},
        "queues": {queue: queue_length(redis, queue) for queue in (PREDICTIONS, BATCHES, TRAINING)}
        | {WEBHOOKS: parts().deliveries.waiting()},
    }


def _check(test: Callable[[], str]) -> str:
    try:
        return test()
    except RedisError:
        return "Redis cannot be reached"
    except OSError as broken:
        return f"the artifact store cannot be read ({broken.strerror or broken})"


def _redis() -> str:
    parts().redis.ping()
    return "ok"


def _worker() -> str:
    return "ok" if alive(parts().redis, PREDICTIONS) else "no prediction worker has a fresh heartbeat"


def _model() -> str:
    try:
        _loadable(parts().registry.resolve(PRODUCTION))
    except DamagedVersion as damaged:
        return str(damaged)
    except LookupError as missing:
        return f"{missing.args[0]} is not in the registry" if isinstance(missing, UnknownModel) else str(missing)
    return "ok"


@lru_cache(maxsize=8)
def _loadable(version: str) -> None:
    # Versions never change, so one that could be read once need not be read at each probe.
    registry = parts().registry
    registry.file(version, registry.card(version)["serving"]["artifact"])
