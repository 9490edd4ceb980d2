"""The one place where the web process is put together."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import orjson
from flask import Flask, Request, request
from flask.json.provider import JSONProvider
from redis import Redis
from werkzeug.routing import MapAdapter

from api import (
    auth, batches, datasets, errors, guide, health, keys, limits, metrics, models, pages, predictions, training_jobs,
    tuning_jobs, webhooks,
)  # fmt: skip
from api.limits import RateLimits
from api.observation import observe
from api.parts import LATER, Held, Parts, parts
from api.responses import Later
from api.schemas import BatchItemSchema
from ml.artifacts import open_artifacts
from ml.registry import Registry
from settings import Settings
from workers.aliases import RedisIndex
from workers.announcements import Announcements
from workers.app import connect, connect_async, make_celery
from workers.backlog import Backlog
from workers.batches import BatchStore
from workers.datasets import DatasetStore
from workers.groups import Groups
from workers.idempotency import Idempotency
from workers.jobs import JobStore
from workers.keys import KeyStore, Verifier
from workers.metrics import Metrics
from workers.outbound import networks
from workers.predictions import PredictionQueue
from workers.tracing import Tracing
from workers.tuning import TuningStore
from workers.webhooks import Deliveries

V1 = (predictions.blueprint, batches.blueprint, training_jobs.blueprint, tuning_jobs.blueprint, models.blueprint,
      models.aliases, datasets.blueprint, keys.blueprint, webhooks.blueprint, webhooks.secret)  # fmt: skip

_DESCRIPTION = """Classifies pictures of clothes, asynchronously, in batches, with a network that it can retrain itself.

Work is accepted with `202` and a `Location` to poll, as soon as it is durable; `Prefer: wait=N` holds the answer until
the work is done. Errors are RFC 9457 problem documents. Within `/v1` changes only ever add: ignore fields and status
values that you do not know. Every answer has an `X-Request-Id`: yours, if you send one, else a new one.

Where the service asks for API keys, send yours as a bearer token: `Authorization: Bearer hl_…`. A key has scopes, and
`x-scopes` lists those of which an operation needs one; `admin` is good for everything. Work belongs to the key that it
came with: for others it is not there. On loopback the service asks for no keys unless told to."""


class _Application(Flask):
    """Flask, in which a view may return an answer that is still to come."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask's, without looking into what no route asks for: host, subdomain, script name."""
        if request is None:
            return None
        environ = request.environ
        return self.url_map.bind(environ.get("HTTP_HOST", ""), path_info=request.path,
                                 url_scheme=environ["wsgi.url_scheme"], default_method=environ["REQUEST_METHOD"],
                                 query_args=environ.get("QUERY_STRING", ""))  # fmt: skip

    def dispatch_request(self) -> Any:
        found: Any = super().dispatch_request()
        if isinstance(found, Later) and LATER not in request.environ:
            return parts().queue.call(found.answer)  # this thread waits
        return found

    def finalize_request(self, rv: Any, from_error_handler: bool = False) -> Any:
        return rv if isinstance(rv, Later) else super().finalize_request(rv, from_error_handler)


class _OrjsonProvider(JSONProvider):
    def dumps(self, obj: Any, **options: Any) -> str:
        return orjson.dumps(obj, option=orjson.OPT_INDENT_2 if options.get("indent") else None).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)


def create_app(settings: Settings, redis: Redis | None = None, tracing: Tracing | None = None) -> Flask:
    """The web application. Connects to Redis, and becomes one of its kind, when it is first asked for something."""
    app = _Application("api", static_folder=None)
    app.json = _OrjsonProvider(app)
    app.extensions["hemline"] = _parts(settings, redis or connect(settings.redis()), tracing)
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_body_bytes, API_TITLE="Hemline", API_VERSION="v1", OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/",
    )  # fmt: skip
    api = errors.Api(app, spec_kwargs={"info": {"description": _DESCRIPTION, "license": {"name": "MIT"}}})
    api.spec.components.security_scheme("bearer", {
        "type": "http", "scheme": "bearer", "bearerFormat": "hl_…", "description": "An API key. An admin makes them.",
    })  # fmt: skip
    api.spec.components.schema("BatchItem", schema=BatchItemSchema)
    api.spec.components.schemas.pop("PaginationMetadata")  # of flask-smorest's own pages, which nothing here has
    for blueprint in V1:
        api.register_blueprint(blueprint, url_prefix="/v1")
    # Of the schema, not of the body: generators of typed clients have no use for an example of a whole body.
    api.spec.components.schemas["TuningJobRequest"]["example"] = tuning_jobs.EXAMPLE
    api.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(guide.blueprint)
    app.register_blueprint(metrics.blueprint)
    errors.register(app)
    observe(app, app.extensions["hemline"].metrics, settings.access_log, tracing)
    if app.extensions["hemline"].limits is not None:
        limits.register(app)
    auth.guard(app)
    app.after_request(pages.guard)
    return app


def _parts(settings: Settings, redis: Redis, tracing: Tracing | None) -> Parts:
    groups = Groups.from_settings(redis, settings)
    announcements = Announcements(redis)
    artifacts = open_artifacts(settings.artifacts())
    backlog = Backlog(redis)
    celery = make_celery(settings.redis())
    loop_redis = connect_async(settings.redis())
    return Parts(
        settings=settings,
        redis=redis,
        groups=groups,
        batches=BatchStore.from_settings(redis, groups, settings),
        queue=PredictionQueue(
            groups, loop_redis, batch_size=settings.batch_size, linger=settings.linger,
            patience=partial(backlog.patience, settings.max_delay),
        ),
        announcements=announcements,
        backlog=backlog,
        registry=Registry(artifacts, RedisIndex(redis)),
        jobs=JobStore.training(redis, settings),
        tunings=TuningStore.from_settings(redis, settings),
        datasets=DatasetStore(artifacts),
        keys=KeyStore(redis),
        idempotency=Idempotency(redis, settings.idempotency_ttl),
        deliveries=Deliveries.from_settings(redis, settings),
        reachable=networks(settings.webhook_allow),
        limits=RateLimits.from_settings(loop_redis, settings),
        verifier=Verifier(loop_redis, settings.admin_key) if settings.authenticates() else None,
        celery=celery,
        metrics=Metrics(redis),
        tracing=tracing,
        held=Held(settings.max_held),
        readers=ThreadPoolExecutor(len(os.sched_getaffinity(0)), "reader"),
        # Some threads always stay free for requests that are not held.
        threads=threading.Semaphore(max(1, settings.web_threads - max(1, settings.web_threads // 8))),
    )
