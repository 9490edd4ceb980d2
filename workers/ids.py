"""Identifiers of everything that the service makes: a prefix and a ULID, so that they sort by creation time.

Predictions that are accepted together share one record, their group. A group has the first 24 characters of a ULID
(48 bits of milliseconds, 70 random bits); the last two, ten bits, are the prediction's place in it. So an id leads to
its record and its place without a look-up.
"""

from __future__ import annotations

import secrets
import threading
import time

GROUP_LIMIT = 1024  # what ten bits can count
GROUP_LENGTH = 24
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, in which text and number sort alike
_DIGITS = {letter: value for value, letter in enumerate(_ALPHABET)}
_RANDOM_BITS = 70


class _Clock:
    """Group ids that rise even within one millisecond (the ULID specification's monotonic option)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def tick(self) -> int:
        now = (time.time_ns() // 1_000_000) << _RANDOM_BITS
        with self._lock:
            self._last = now | secrets.randbits(_RANDOM_BITS) if now > self._last else self._last + 1
            return self._last


_clock = _Clock()


def new_group(kind: str) -> str:
    """The name of a new group: its kind ("pred" or "batch") and its part of the ULID."""
    return f"{kind}:{_encode(_clock.tick(), GROUP_LENGTH)}"


def join(group: str, place: int = 0) -> str:
    """The public id of one place in a group: "pred_01J…"."""
    return f"{group.replace(':', '_')}{_ALPHABET[place >> 5]}{_ALPHABET[place & 31]}"


def split(kind: str, public: str) -> tuple[str, int] | None:
    """The group and the place behind a public id, or nothing where no such id can have been given out."""
    head, _, ulid = public.partition("_")
    if head != kind or len(ulid) != GROUP_LENGTH + 2 or not all(letter in _DIGITS for letter in ulid):
        return None
    return f"{kind}:{ulid[:GROUP_LENGTH]}", _DIGITS[ulid[-2]] << 5 | _DIGITS[ulid[-1]]


def created(name: str) -> float:
    """When an id, or the name of a group or slice, was made: seconds since 1970 by the clock of its maker."""
    start = name.replace(":", "_").index("_") + 1
    number = 0
    for letter in name[start : start + GROUP_LENGTH]:
        number = number << 5 | _DIGITS[letter]
    return (number >> _RANDOM_BITS) / 1000


def _encode(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (length - 1), -1, -5))
