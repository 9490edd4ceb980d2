"""What the records of predictions hold, and how they are read: items, groups of items, slices of groups.

A group pins one model version. It keeps a letter of state for each of its items, their pixels (`p`), what came with
them (`d`) and what came out (`r`). Pixels of a photo, or of a picture whose answer is to be explained, have a byte of
flags behind them, and an explained answer has its explanation behind it. Times are microseconds of Redis' own clock:
machines need not agree on theirs.

Batches keep the same in blocks, one for each slice, named after its first place: `P` has a row of pixels and flags for
each item, `R` a RESULT, `D` a list of docs or the one that all have. An item that failed, or was answered by itself,
has an `r` of its own nevertheless, which counts. A slice is written and read as a whole, so what Redis does for each
item is next to nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from ml.explanations import Explanation
from workers import ids
from workers.jobs import JobState

RESULT = np.dtype([
    ("probabilities", "<f4", (10,)), ("novelty", "<f4"), ("is_fashion", "?"), ("batch_size", "<u2"),
    ("inference_ms", "<f4"), ("started", "<i8"), ("completed", "<i8"),
])  # fmt: skip

PIXELS = 784
PHOTO, EXPLAIN = 1, 2  # flags

ROW = PIXELS + 1  # bytes of an item in a block of pixels
FIELDS = ("states", "version", "created", "started", "canceled", "ended", "ttl", "owners", "metadata", "slice")
STATES = {
    "q": JobState.QUEUED, "r": JobState.RUNNING, "s": JobState.SUCCEEDED, "f": JobState.FAILED, "c": JobState.CANCELED,
}
_RESULT = struct.Struct("<10ff?Hfqq")  # the same, which is read one at a time
_ANSWER = struct.Struct("<HcI")  # place, state, length of what came out, which follows


class UnknownModel(LookupError):
    """No alias or version has this name, so nothing was accepted."""


class QueueFull(Exception):
    """Too much is waiting, or Redis has little memory left, so nothing was accepted."""


class Overloaded(QueueFull):
    """So much is waiting that this would wait too long, so nothing was accepted."""


class Patience(NamedTuple):
    """When predictions wait too long: more than `few` are open, and the next in line has waited `longest` (us)."""

    few: int
    longest: int


class Slice(NamedTuple):
    """A run of items of one group, from `start` up to `stop`."""

    group: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.group}:{self.start}:{self.stop}"

    @classmethod
    def parse(cls, text: str) -> Self:
        group, start, stop = text.rsplit(":", 2)
        return cls(group, int(start), int(stop))


@dataclass(frozen=True, slots=True)
class Item:
    """A picture to be answered: 784 bytes and what came with them. With an `error`, one that failed already.

    `photo`: it was cut out of a photograph. `explain`: the answer is to come with an explanation. `once`: the key and
    the fingerprint of a request that may be sent again (`workers.idempotency`). `webhook`: who is told of its end.
    """

    doc: dict[str, Any]
    pixels: bytes = b""
    error: dict[str, str] | None = None
    photo: bool = False
    explain: bool = False
    once: tuple[str, str] | None = None
    webhook: str = ""

    @property
    def content(self) -> bytes:
        """What is stored of it beside its doc."""
        if self.error:
            return orjson.dumps(self.error)
        return self.row if self.photo or self.explain else self.pixels

    @property
    def row(self) -> bytes:
        """Its row in a block of pixels, which is empty where it failed."""
        return b"%b%c" % (self.pixels, PHOTO * self.photo | EXPLAIN * self.explain) if self.pixels else bytes(ROW)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Durable now, pinned to `version`, with `queued` predictions waiting in all; and answers that were there.

    `repeated`: the places of items that were accepted before, each with the name it has ("GROUP/PLACE") or, where their
    key came with another body then, with nothing. They are not part of the group.
    """

    group: str
    version: str
    created: int
    queued: int
    answers: tuple[Answer, ...] = ()
    repeated: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """A slice that a worker holds the lease of: the open places and their rows, uint8 [n, ROW], of pixels and flags.

    `in_block`: its answers are stored as one block.
    """

    attempt: int
    version: str
    created: int
    now: int
    places: list[int]
    rows: NDArray[np.uint8]
    in_block: bool = False

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """[n, 784]."""
        return self.rows[:, :PIXELS]

    @property
    def photos(self) -> NDArray[np.bool_]:
        """[n]: which were cut out of a photograph."""
        return np.bitwise_and(self.rows[:, PIXELS], PHOTO).astype(bool)

    @property
    def explained(self) -> NDArray[np.bool_]:
        """[n]: which answers are to come with an explanation."""
        return np.bitwise_and(self.rows[:, PIXELS], EXPLAIN).astype(bool)

    def alone(self, index: int) -> Taken:
        """One of its places, to be answered by itself."""
        one = slice(index, index + 1)
        return replace(self, places=self.places[one], rows=self.rows[one], in_block=False)


class Answer(NamedTuple):
    """What came out for one place: "s" with a RESULT and perhaps a packed Explanation, or "f" with an error in JSON."""

    place: int
    state: str
    result: bytes


class Result(NamedTuple):
    """What came out for one picture. Times are microseconds since 1970."""

    probabilities: tuple[float, ...]
    novelty: float
    is_fashion: bool
    batch_size: int
    inference_ms: float
    started: int
    completed: int

    @classmethod
    def unpack(cls, content: bytes) -> Self:
        """From the bytes of a RESULT, which others may follow."""
        values = _RESULT.unpack_from(content)
        return cls(values[:10], *values[10:])


@dataclass(frozen=True, slots=True)
class Prediction:
    """One item as it stands. Times are microseconds since 1970."""

    id: str
    place: int
    state: JobState
    version: str
    created: int
    doc: dict[str, Any]
    pixels: bytes | None
    started: int | None = None
    completed: int | None = None
    expires: int | None = None
    result: Result | None = None
    explanation: Explanation | None = None
    error: dict[str, str] | None = None

    @property
    def owner(self) -> str:
        """Whose it is; "" where nobody in particular asked for it."""
        return str(self.doc.get("owner", ""))


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it stands, without its items' contents."""

    name: str
    states: str
    version: str
    created: int
    started: int | None
    canceled: int | None
    ended: int | None
    ttl: int
    metadata: dict[str, str] | None
    owners: frozenset[str] = frozenset()  # of its items, all of them; without those of nobody in particular
    slice: int = 0  # items of a block; 0 where there are none

    @property
    def counts(self) -> dict[JobState, int]:
        """How many items are in each state."""
        return {state: self.states.count(letter) for letter, state in STATES.items()}

    @property
    def state(self) -> JobState:
        if self.ended:
            return JobState.CANCELED if self.canceled else JobState.SUCCEEDED
        return JobState.RUNNING if self.started else JobState.QUEUED


def error(code: str, detail: str) -> dict[str, str]:
    """Why an item failed, as it is kept and shown."""
    return {"code": code, "detail": detail}


def states_of(items: Sequence[Item]) -> str:
    """The letters of state of new items."""
    return "".join("f" if item.error else "q" for item in items)


def owners_of(items: Sequence[Item]) -> frozenset[str]:
    """Whose these items are."""
    return frozenset(item.doc["owner"] for item in items if "owner" in item.doc)


def blocks(items: Sequence[Item], size: int) -> dict[str, bytes]:
    """The fields of a record that keeps these items in blocks of so many."""
    fields = {"slice": b"%d" % size}
    for start in range(0, len(items), size):
        some = items[start : start + size]
        docs = [item.doc for item in some]
        fields[f"D{start}"] = orjson.dumps(docs[0] if docs.count(docs[0]) == len(docs) else docs)
        if not all(item.error for item in some):
            fields[f"P{start}"] = b"".join([item.row for item in some])
    return fields | {f"r{place}": item.content for place, item in enumerate(items) if item.error}


def rows_of(contents: Sequence[bytes]) -> NDArray[np.uint8]:
    """Rows [n, ROW] of pixels that are stored one by one, which have flags where there are any."""
    joined = b"".join([content if len(content) == ROW else content + b"\0" for content in contents])
    return rows_in(joined)


def rows_in(block: bytes) -> NDArray[np.uint8]:
    """Rows [n, ROW] of a block of pixels."""
    return np.frombuffer(block, np.uint8).reshape(-1, ROW)


def group_of(name: str, values: Sequence[bytes | None]) -> Group | None:
    """A group, from the values of its FIELDS; nothing when it is not there."""
    states, version, *numbers, owners, metadata, size = values
    if states is None or version is None or metadata is None:
        return None
    created, started, canceled, ended, ttl = (int(n) if n else None for n in numbers)
    said = orjson.loads(metadata)
    whose = frozenset(owners.decode().split()) if owners else frozenset()
    return Group(name, states.decode(), version.decode(), created or 0, started, canceled, ended, ttl or 0, said, whose,
                 int(size or 0))  # fmt: skip


def prediction_of(
    group: Group, place: int, doc: dict[str, Any], content: bytes | None, result: bytes | None
) -> Prediction:
    """An item of a group, from what is stored of it."""
    state = STATES[group.states[place]]
    pixels = content[:PIXELS] if content else None
    item = Stored(group.name, place, group.version, group.created, group.ttl, doc, pixels)
    if state is JobState.SUCCEEDED and result:
        return item.succeeded(result)
    if state is JobState.FAILED and result:
        return item.failed(result, group.started)
    if state is JobState.CANCELED:
        return item.ended(state, None, group.canceled or group.created)
    return item.open(state, group.started)


class Stored(NamedTuple):
    """What is known of an item however far it is: what all its states have in common."""

    group: str
    place: int
    version: str
    created: int
    ttl: int
    doc: dict[str, Any]
    pixels: bytes | None

    def open(self, state: JobState, started: int | None) -> Prediction:
        """Waiting, or being computed since `started`."""
        return self._prediction(state, started if state is JobState.RUNNING else None)

    def succeeded(self, content: bytes) -> Prediction:
        """With a RESULT and perhaps a packed Explanation."""
        result = Result.unpack(content)
        explanation = Explanation.unpack(content[_RESULT.size :]) if len(content) > _RESULT.size else None
        return self.ended(JobState.SUCCEEDED, result.started, result.completed, result, explanation)

    def failed(self, content: bytes, started: int | None) -> Prediction:
        """With an error in JSON, which has no time where the item had failed before it was accepted."""
        failure = orjson.loads(content)
        completed = failure.get("completed")
        return self.ended(JobState.FAILED, started if completed else None, completed or self.created,
                          error=error(failure["code"], failure["detail"]))  # fmt: skip

    def ended(
        self, state: JobState, started: int | None, completed: int, result: Result | None = None,
        explanation: Explanation | None = None, error: dict[str, str] | None = None,
    ) -> Prediction:
        """In a final state."""
        return self._prediction(state, started, completed, completed + self.ttl * 1_000_000, result, explanation, error)

    def _prediction(self, state: JobState, *more: Any) -> Prediction:
        public = ids.join(self.group, self.place)
        return Prediction(public, self.place, state, self.version, self.created, self.doc, self.pixels, *more)


def answers_in(packed: bytes, start: int = 0) -> Iterator[Answer]:
    """Answers as scripts pack them, from this offset on."""
    while start < len(packed):
        place, state, length = _ANSWER.unpack_from(packed, start)
        start += _ANSWER.size
        yield Answer(place, state.decode(), packed[start : start + length])
        start += length
