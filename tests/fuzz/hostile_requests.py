"""What may come of a request that a stranger sends: an answer of the contract, or a problem document; never a 500.

Each function takes bytes, puts them where the name says into requests to the application, with a real Redis behind it,
and fails where the answer is anything else. Property-based tests, the fuzzer and the replay of its corpus all judge by
these.
"""

import asyncio
import atexit
import ipaddress
import json
import logging
import re
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from api.app import create_app
from api.asgi import Application, Scope
from ml import releases
from ml.artifacts import open_artifacts
from ml.registry import PRODUCTION, Registry
from processes import RedisServer, b64, sample
from settings import Settings
from workers import outbound
from workers.aliases import RedisIndex
from workers.groups import VERSIONS

_BOUNDARY: Final = "strangers"
_IMAGE: Final = b64(sample("sneaker"))
_PATIENCE: Final = 100.0  # seconds after which an answer will never come
_MANY: Final = 500  # requests, after which what they left behind is swept up

BODIES: Final = (
    ("POST", "/v1/predictions"), ("POST", "/v1/batches"), ("POST", "/v1/training-jobs"), ("POST", "/v1/tuning-jobs"),
    ("PUT", "/v1/aliases/canary"), ("POST", "/v1/tuning-jobs/{tuning}/train-best"),
)  # fmt: skip
_FORMS: Final = ("/v1/batches", "/v1/datasets")
_LISTS: Final = (
    "/v1/predictions", "/v1/batches", "/v1/training-jobs", "/v1/tuning-jobs", "/v1/models", "/v1/datasets",
    "/v1/aliases", "/v1/tuning-jobs/{tuning}/trials", "/v1/webhook-deliveries",
)  # fmt: skip
RESOURCES: Final = (
    "/v1/predictions/{prediction}", "/v1/batches/{batch}", "/v1/training-jobs/{job}", "/v1/tuning-jobs/{tuning}",
    "/v1/models/v1", "/v1/batches/{batch}/results", "/guide/tutorial", "/console/app.js", "/openapi.json",
)  # fmt: skip
_PATHS: Final = (
    ("GET", "/{}"), ("GET", "/v1/predictions/{}"), ("DELETE", "/v1/predictions/{}"), ("GET", "/v1/batches/{}"),
    ("GET", "/v1/batches/{}/results"), ("POST", "/v1/batches/{}/cancel"), ("GET", "/v1/training-jobs/{}"),
    ("POST", "/v1/training-jobs/{}/cancel"), ("GET", "/v1/training-jobs/{}/events"), ("GET", "/v1/tuning-jobs/{}"),
    ("GET", "/v1/tuning-jobs/{}/trials"), ("GET", "/v1/models/{}"), ("DELETE", "/v1/models/{}"),
    ("GET", "/v1/models/v1/artifacts/{}"), ("GET", "/v1/aliases/{}/history"), ("PUT", "/v1/aliases/{}"),
    ("GET", "/v1/datasets/{}"), ("DELETE", "/v1/datasets/{}"), ("GET", "/guide/{}"), ("GET", "/console/{}"),
    ("GET", "/v1/webhook-deliveries/{}"), ("POST", "/v1/webhook-deliveries/{}/resend"),
    ("GET", "/docs/{}"), ("OPTIONS", "/{}"),
)  # fmt: skip
STREAMS: Final = ("/v1/training-jobs/{job}/events", "/v1/tuning-jobs/{tuning}/events")


T = TypeVar("T")


class Answer(NamedTuple):
    """What came back, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


def bodies(data: bytes) -> None:
    """A JSON body; the first byte says to which operation."""
    method, path = _choose(BODIES, data)
    _ask_anew(method, path, data[1:], Content_Type="application/json")


def forms(data: bytes) -> None:
    """A multipart body, whole with its boundaries."""
    _ask_anew("POST", _choose(_FORMS, data), data[1:], Content_Type=f"multipart/form-data; boundary={_BOUNDARY}")


def cursors(data: bytes) -> None:
    """A query string."""
    _ask_anew("GET", _choose(_LISTS, data), query=data[1:])


def etags(data: bytes) -> None:
    """If-None-Match, and its relatives that files are asked for with."""
    value = _header(data[1:])
    relatives = {"If_Modified_Since": value, "Range": value, "If_Range": value, "Accept": value}
    _ask_anew("GET", _choose(RESOURCES, data), If_None_Match=value, **(relatives if data[:1] > b"\x80" else {}))


def preferences(data: bytes) -> None:
    """Prefer, where it is honoured: on what waits and on what is done."""
    answer = _ask_anew("GET", _choose(RESOURCES[:4], data), Prefer=_header(data[1:]))
    assert re.fullmatch(r"wait=0\.001", answer.headers.get("preference-applied", "wait=0.001")), answer


def event_ids(data: bytes) -> None:
    """Last-Event-ID of the events of a job that has ended."""
    answer = _ask_anew("GET", _choose(STREAMS, data), Last_Event_ID=_header(data[1:]))
    assert answer.status in (200, 204)


def idempotency_keys(data: bytes) -> None:
    """Idempotency-Key, twice with the same body: what was accepted is the same the second time."""
    body = json.dumps({"image": _IMAGE}).encode()
    sent = {"Content_Type": "application/json", "Idempotency_Key": _header(data)}
    first = _ask_anew("POST", "/v1/predictions", body, **sent)
    again = ask("POST", "/v1/predictions", body, **sent)
    assert first.status == again.status or {first.status, again.status} == {201, 202}, (first, again)
    if first.status in (201, 202):
        assert _json(first.body)["id"] == _json(again.body)["id"] and "idempotency-replayed" in again.headers


def webhook_urls(data: bytes) -> None:
    """A URL to be told at: refused, or one whose host is a name or a public address, and nothing else."""
    url = data.decode("utf-8", "replace")
    try:
        parts = outbound.check(url)
    except outbound.BadUrl:
        return
    host = parts.hostname or ""
    assert parts.scheme in ("http", "https") and host and not re.search(r"[\s@\\]", parts.netloc), url
    try:
        address: Any = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return
    assert address.is_global and not address.is_multicast, url


def paths(data: bytes) -> None:
    """A part of a path, as the server hands it on when it is unquoted: any text."""
    method, path = _choose(_PATHS, data)
    body = b'{"version": "v1"}' if method == "PUT" else b""
    _ask_anew(method, path.replace("{}", data[1:].decode("utf-8", "replace")), body, Content_Type="application/json")


def _choose(choices: Sequence[T], data: bytes) -> T:
    return choices[(data[0] if data else 0) % len(choices)]


def _header(value: bytes) -> str:
    """A field value as servers hand it on: without the bytes that end it (RFC 9110, section 5.5)."""
    return value.translate(None, b"\0\r\n").strip(b" \t").decode("latin-1")


def _ask_anew(*request: Any, **headers: str) -> Answer:
    """`ask`, but what many requests before it left behind is swept up first."""
    service = _service()
    service.count += 1
    if service.count % _MANY == 0:
        service.begin_anew()
    return ask(*request, **headers)


def ask(method: str, path: str, body: bytes = b"", query: bytes = b"", **headers: str) -> Answer:
    """The answer to a request, which is as the contract has it. `{job}` in a path is the id of one that there is.

    `If_None_Match="*"` is a header.
    """
    answer = _service().answer(method, path, body, query, headers)
    _check(answer)
    return answer


def _check(answer: Answer) -> None:
    # Redis is there and nothing is full, so that 503 would mean that something was not given back.
    assert 200 <= answer.status < 500, answer
    assert all(re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value) for value in answer.headers.values()), answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff" and "content-security-policy" in answer.headers, answer
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status >= 400:
        assert kind == "application/problem+json", answer
        said = _json(answer.body)
        assert said["status"] == answer.status and said["detail"] and said["instance"].startswith("/"), said
        assert all(error["pointer"] and error["detail"] for error in said.get("errors", [])), said
        assert not re.search(r"Traceback|site-packages|File \\?\"", answer.body.decode()), said
    elif kind == "application/json" and answer.status != 304:
        _json(answer.body)


def _json(body: bytes) -> Any:
    """JSON as RFC 8259 has it; Python alone would take NaN too."""
    return json.loads(body.decode("utf-8"), parse_constant=lambda name: 1 / 0)


class _Service:
    """The application, a Redis, and one resource of each kind."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="hemline-hostile-"))
        self._redis = RedisServer(self._home / "redis")
        atexit.register(self._end)
        self.count = 0
        settings = Settings(
            redis_url=self._redis.url, home=self._home, max_wait=0.001, max_body_bytes=65536, max_pixels=1_000_000,
            max_batch_bytes=65536, max_dataset_bytes=65536, linger=0,
        )  # fmt: skip
        self._application = Application(create_app(settings), threads=8)
        # On this thread, as the application wants to hear of signals; it runs while an answer is waited for.
        self._loop = asyncio.new_event_loop()
        self._life: asyncio.Queue[Any] = asyncio.Queue()
        self._life.put_nowait({"type": "lifespan.startup"})
        begun = self._loop.create_future()
        self._living = self._loop.create_task(self._exchange({"type": "lifespan"}, self._life, begun.set_result))
        self._until(begun)
        _, card, contents = next(releases.versions())
        self._registry = Registry(open_artifacts(settings.artifacts()), RedisIndex(self._redis.client))
        self._registry.publish(contents, card)
        self.names: dict[str, str] = {}
        self.begin_anew()

    def answer(self, method: str, path: str, body: bytes, query: bytes, headers: Mapping[str, str]) -> Answer:
        """As the server would call the application, and what it would send."""
        path = re.sub(r"{(\w+)}", lambda known: self.names.get(known[1], ""), path)
        named = {"host": "localhost", "content-length": str(len(body)), **headers}
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "query_string": query, "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
            "headers": [(n.replace("_", "-").lower().encode(), v.encode("latin-1")) for n, v in named.items()],
        }  # fmt: skip
        received: asyncio.Queue[Any] = asyncio.Queue()
        received.put_nowait({"type": "http.request", "body": body})
        sent: list[Any] = []
        self._until(self._exchange(scope, received, sent.append))
        first, *parts = sent
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in first["headers"]}
        return Answer(first["status"], fields, b"".join(part["body"] for part in parts))

    def _until(self, done: Awaitable[Any]) -> None:
        self._loop.run_until_complete(asyncio.wait_for(done, _PATIENCE))

    async def _exchange(self, scope: Scope, received: asyncio.Queue[Any], sent: Callable[[Any], None]) -> None:
        async def send(message: Any) -> None:
            sent(message)

        await self._application(scope, received.get, send)

    def begin_anew(self) -> None:
        """Forget what was accepted, so that the thousandth request finds what the first one found."""
        redis = self._redis.client
        redis.flushall()
        shutil.rmtree(self._home / "artifacts" / "datasets", ignore_errors=True)
        redis.sadd(VERSIONS, "v1")
        self._registry.point(PRODUCTION, "v1", by="test")
        image = b64(sample("bag"))
        space = {"learning_rate": {"choices": [0.1, 0.2]}}
        for name, path, body in (
            ("prediction", "/v1/predictions", {"image": image}), ("batch", "/v1/batches", {"images": [image, ""]}),
            ("job", "/v1/training-jobs", {}), ("tuning", "/v1/tuning-jobs", {"search_space": space, "trials": 2}),
        ):  # fmt: skip
            made = self._made(path, json.dumps(body).encode())
            self.names[name] = json.loads(made.body)["id"]
            if name in ("job", "tuning"):
                self._made(f"{path}/{self.names[name]}/cancel", b"")

    def _made(self, path: str, body: bytes) -> Answer:
        made = self.answer("POST", path, body, b"", {"Content_Type": "application/json"})
        assert made.status == 202, made
        return made

    def _end(self) -> None:
        logging.disable()  # that Redis goes is no news
        self._living.cancel()
        self._loop.run_until_complete(asyncio.wait([self._living]))
        self._loop.close()
        self._redis.stop()
        shutil.rmtree(self._home, ignore_errors=True)


@cache
def _service() -> _Service:
    return _Service()
