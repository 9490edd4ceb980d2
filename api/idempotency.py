"""`Idempotency-Key`: a request that is sent again makes nothing anew (draft-ietf-httpapi-idempotency-key-header).

The key is the caller's own, and good for one path. The same body gives what was made the first time; another body is a
mistake of the client's. Requests that were refused are not remembered: they may be sent again with the same key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, NoReturn, TypeVar

from flask import g, request
from flask_smorest import abort
from redis import RedisError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException

from api.auth import caller
from api.parts import BODY, parts
from workers.idempotency import Gone, Once, once

T = TypeVar("T")

REPLAYED = "Idempotency-Replayed"
PARAMETER = {
    "in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    "description": "A value of your own that no other request to this path has, a random UUID say. When you do not "
    "hear the answer, send the request again with the same key: nothing is made anew, and the answer is about what is "
    "there. Keys are remembered for a day.",
}  # fmt: skip
HEADER = {
    REPLAYED: {"description": "`true` where an earlier request with this key made it.", "schema": {"type": "string"}}
}
_KEY = re.compile(r'"([^"\\]{1,255})"|([!#-~]{1,255})')
_CHUNK = 1024 * 1024


class ShownOnce(Exception):
    """What an earlier request with the key made, or may have made, has a secret that is shown once only."""


def given() -> str | None:
    """The key of the current request: a string of structured fields (RFC 9651), or as it is. Aborts with 400."""
    text = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if text is None:
        return None
    found = _KEY.fullmatch(text.strip())
    if found is not None and text.isascii() and text.isprintable():
        return found[1] or found[2]
    detail = "Idempotency-Key must be 1 to 255 visible ASCII characters, a UUID say; quotes may be around it."
    return abort(400, message=detail)  # type: ignore[no-any-return]


def of_body() -> Once | None:
    """What to remember of the current request by its body as it came, which was read; nothing without a key."""
    key = given()
    if key is None:
        return None
    body = request.environ.get(BODY)
    return _once(key, sha256(request.get_data() if body is None else body).digest())


def of_form(form: Mapping[str, Any]) -> Once | None:
    """The same by the fields and files of a form, as what is between them differs each time."""
    key = given()
    if key is None:
        return None
    digest = sha256()
    for name, value in sorted(form.items()):
        digest.update(f"{len(name)}:{name}={_digest(value)}".encode())
    return _once(key, digest.digest())


def make(known: Once | None, name: str, create: Callable[[str], T], find: Callable[[str], T | None]) -> T:
    """What `create` makes by this name, or what `find` finds where an earlier request with the key made it.

    Raises KeyReused, InFlight, Gone, and what `create` raises; the next request with the key tries again then.
    """
    if known is None:
        return create(name)
    keys = parts().idempotency
    claim = keys.claim(known, name)
    if claim.done or claim.again:
        found = find(claim.name)
        if found is not None:
            g.replayed = True
            keys.settle(claim)
            return found
        if claim.done:
            raise Gone
    try:
        made = create(claim.name)
    except BaseException as refused:
        with suppress(RedisError):  # then the claim ends by itself
            (keys.drop if isinstance(refused, HTTPException) else keys.fail)(claim)
        raise
    with suppress(RedisError):
        keys.settle(claim)
    return made


def shown_once(_: str) -> NoReturn:
    """What to find of something that can be shown once only. Raises ShownOnce."""
    raise ShownOnce


def headers() -> dict[str, str]:
    """What to say of an answer to a request that was sent before."""
    return {REPLAYED: "true"} if g.get("replayed") else {}


def _once(key: str, body: bytes) -> Once:
    return once(caller().owner, request.path, key, body)


def _digest(value: Any) -> str:
    if not isinstance(value, FileStorage):
        return sha256(repr(value).encode()).hexdigest()
    digest = sha256()
    while chunk := value.stream.read(_CHUNK):
        digest.update(chunk)
    value.stream.seek(0)
    return digest.hexdigest()
