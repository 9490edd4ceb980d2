"""Who asks, and whether he may: API keys as bearer tokens (RFC 6750).

What an operation needs is said where it is documented (`api.blueprints`), so the OpenAPI document and this agree. The
server finds out who asks before it hands a request on (`api.asgi`), as only there can that wait for Redis without a
thread; what it finds, a caller or the reason why there is none, is in the environment under CALLER.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, request
from redis import RedisError

from api.parts import Parts, parts
from settings import is_loopback
from workers.keys import ALL, OPERATOR, Caller, Scope

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CALLER = "hemline.caller"
# What browsers, and they alone, say of the page that sends a request (Fetch Metadata).
_FROM, _HERE = "HTTP_SEC_FETCH_SITE", ("none", "same-origin")
_SAFE = ("GET", "HEAD", "OPTIONS")

_is_loopback = lru_cache(256)(is_loopback)


class _Owned(Protocol):
    @property
    def owner(self) -> str: ...


Record = TypeVar("Record", bound=_Owned)
View = TypeVar("View", bound=Callable[..., Any])


class Unauthenticated(Exception):
    """It is not known who asks: no key was sent, or (`given`) one that is unknown, expired or revoked."""

    def __init__(self, given: bool) -> None:
        super().__init__(given)
        self.given = given


class Forbidden(Exception):
    """Whoever asks has no scope that would do."""

    def __init__(self, needed: Collection[Scope]) -> None:
        super().__init__(needed)
        self.needed = sorted(needed)


class ForeignPage(Exception):
    """A browser says that a page from elsewhere sends this, and no key shows that its user wants it."""


class ForeignName(Exception):
    """A service that this machine alone may use is asked for by a name that is not this machine's.

    That is what a page does whose own name was made to lead here (DNS rebinding): browsers take us for its server.
    """


class Need(NamedTuple):
    """What a view asks of its callers: one of these scopes, or else to come from this machine."""

    scopes: frozenset[Scope]
    or_loopback: bool = False


def needs(*scopes: Scope, or_loopback: bool = False) -> Callable[[View], View]:
    """Let a view that no `api.blueprints.Blueprint` documents ask for a scope."""

    def ask(view: View) -> View:
        view.need = Need(frozenset(scopes), or_loopback)  # type: ignore[attr-defined]
        return view

    return ask


def guard(app: Flask) -> None:
    """Let every view be called by those alone who may; what has no need is there for everybody."""
    needed: dict[str, Need] = {
        endpoint: need for endpoint, view in app.view_functions.items() if (need := getattr(view, "need", None))
    }

    names = app.extensions["hemline"].settings.trusted_hosts.split(",")
    hosts = frozenset(name.strip().lower() for name in names if name.strip())

    @app.before_request
    def check() -> None:
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # not the slow proxy
        need = needed.get(asked.endpoint or "")
        if need is None or need.or_loopback and _is_near(asked.environ):
            return
        who = _caller(asked.environ)
        if need.scopes.isdisjoint(who.scopes):
            raise Forbidden(need.scopes)
        if not who.key and not _is_ours(asked.environ.get("HTTP_HOST", ""), asked.environ["SERVER_NAME"], hosts):
            raise ForeignName
        if not who.key and asked.method not in _SAFE and asked.environ.get(_FROM, "none") not in _HERE:
            raise ForeignPage


@lru_cache(256)
def _is_ours(host: str, server: str, more: frozenset[str]) -> bool:
    """Whether a service that asks for no keys may be asked for by this name: on loopback, by those of loopback."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    return not host or not _is_loopback(server) or is_loopback(name) or name in more


def caller() -> Caller:
    """Who asks. Raises Unauthenticated, redis.RedisError."""
    return _caller(request.environ)


def _caller(environ: WSGIEnvironment) -> Caller:
    found: Caller | Exception | None = environ.get(CALLER)
    if found is None:  # under a server other than ours, where this thread waits
        found = recall(parts(), environ) or parts().queue.call(identify(parts(), environ))
        environ[CALLER] = found
    if isinstance(found, Exception):
        raise found
    return found


def recall(found: Parts, environ: WSGIEnvironment) -> Caller | None:
    """Who asks, where that is known at once: somebody who asked lately, or anybody where no keys are asked for.

    That is nowhere but on loopback, unless said otherwise: also under a server that was told to listen elsewhere.
    """
    if found.verifier is None:
        is_open = found.settings.auth == "off" or _is_loopback(environ["SERVER_NAME"])
        return Caller("", "", ALL, environ["REMOTE_ADDR"]) if is_open else None
    key = found.verifier.recall(_token(environ))
    return None if key is None else Caller(key.id, key.owner, key.scopes, environ["REMOTE_ADDR"])


async def identify(found: Parts, environ: WSGIEnvironment) -> Caller | Exception:
    """Who asks, or why that cannot be told, which only matters to views that need to know."""
    token = _token(environ)
    if found.verifier is None or not token:
        return Unauthenticated(given=False)
    try:
        key = await found.verifier.verify(token)
    except RedisError as away:
        return away
    return Unauthenticated(given=True) if key is None else Caller(key.id, key.owner, key.scopes, environ["REMOTE_ADDR"])


def own(record: Record | None) -> Record | None:
    """A record that the caller may know of: for him, those of others are not there."""
    return record if record is not None and caller().sees(record.owner) else None


def lasting(found: Parts, who: Caller) -> Callable[[], bool]:
    """What tells whether a caller would still be let in, for answers that take hours. It may raise RedisError."""
    if who.key in ("", OPERATOR):
        return lambda: True
    return lambda: found.keys.holds(who.key)


def _token(environ: WSGIEnvironment) -> str:
    kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _is_near(environ: WSGIEnvironment) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it."""
    return is_loopback(environ["REMOTE_ADDR"]) and not environ.keys() & {"HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED"}
