"""Records of predictions in Redis: one hash for each group of predictions that were accepted together.

A group pins one model version. It keeps a letter of state for each of its items, their pixels (`p`), what came with
them (`d`) and what came out (`r`). Pixels of a photo, or of a picture whose answer is to be explained, have a byte of
flags behind them, and an explained answer has its explanation behind it. A group is cut into slices: one Celery
message and one inference batch each. Everything that changes a record is one of the scripts in `lua/`, so no state is
ever half written and a final one never changes. Times are microseconds of Redis' own clock: machines need not agree on
theirs.

A group may be a part of a batch (`workers.batches`). The same scripts then count in its header what they change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NamedTuple, Self

import numpy as np
import orjson
from redis import Redis

from ml.explanations import Explanation
from settings import Settings
from workers import ids
from workers.jobs import JobState

DONE_CHANNEL = "hemline:done"
QUEUED, PENDING, FULL = "hemline:queued", "hemline:pending", "hemline:full"
BULK = "hemline:bulk"  # how many pictures wait in batches of several parts
ALIASES, VERSIONS = "hemline:aliases", "hemline:versions"
DRAIN_WINDOW = 5  # seconds that one counter of finished predictions covers
# A filtered page looks at this many groups at most, then hands out a cursor to go on from.
_SCAN_LIMIT = 2000

RESULT = np.dtype([
    ("probabilities", "<f4", (10,)), ("novelty", "<f4"), ("is_fashion", "?"), ("batch_size", "<u2"),
    ("inference_ms", "<f4"), ("started", "<i8"), ("completed", "<i8"),
])  # fmt: skip

PIXELS = 784
_PHOTO, _EXPLAIN = 1, 2  # flags

_FIELDS = ("states", "version", "created", "started", "canceled", "ended", "ttl", "metadata")
STATES = {
    "q": JobState.QUEUED, "r": JobState.RUNNING, "s": JobState.SUCCEEDED, "f": JobState.FAILED, "c": JobState.CANCELED,
}


class UnknownModel(LookupError):
    """No alias or version has this name, so nothing was accepted."""


class QueueFull(Exception):
    """Too much is waiting, or Redis has little memory left, so nothing was accepted."""


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

    `photo`: it was cut out of a photograph. `explain`: the answer is to come with an explanation.
    """

    doc: dict[str, Any]
    pixels: bytes = b""
    error: dict[str, str] | None = None
    photo: bool = False
    explain: bool = False

    @property
    def content(self) -> bytes:
        """What is stored of it beside its doc."""
        if self.error:
            return orjson.dumps(self.error)
        flags = _PHOTO * self.photo | _EXPLAIN * self.explain
        return self.pixels + bytes([flags]) if flags else self.pixels


@dataclass(frozen=True, slots=True)
class Accepted:
    """Durable now, pinned to `version`, with `queued` predictions waiting in all."""

    group: str
    version: str
    created: int
    queued: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A slice that a worker holds the lease of: the open places, their pixels, and which are photos or explained.

    `ready` are slices that nobody has asked for yet: those of the batch's next part, which may be sent from now on.
    """

    attempt: int
    version: str
    created: int
    now: int
    places: list[int]
    pixels: list[bytes]
    photos: list[bool]
    explained: list[bool]
    ready: list[Slice] = field(default_factory=list)

    def alone(self, index: int) -> Taken:
        """One of its places by itself."""
        one = slice(index, index + 1)
        return Taken(self.attempt, self.version, self.created, self.now, self.places[one], self.pixels[one],
                     self.photos[one], self.explained[one])  # fmt: skip


class Answer(NamedTuple):
    """What came out for one place: "s" with a RESULT and perhaps a packed Explanation, or "f" with an error in JSON."""

    place: int
    state: str
    result: bytes


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
    started: int | None
    completed: int | None
    expires: int | None
    result: np.void | None
    explanation: Explanation | None
    error: dict[str, str] | None


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


def script(redis: Redis, *names: str) -> Callable[..., Any]:
    """A script of `lua/`, made of these files."""
    folder = files("workers") / "lua"
    return redis.register_script("".join((folder / f"{name}.lua").read_text() for name in names))


def part_name(batch: str, number: int) -> str:
    """The group that is this part of a batch."""
    return f"{batch}.{number:04d}"


class Groups:
    """The store. Any method may raise redis.RedisError when Redis cannot be reached."""

    def __init__(self, redis: Redis, *, max_queued: int, ttl: int, slice_size: int, lease: float) -> None:
        self._redis = redis
        self._limits = (max_queued, ttl, round(lease * 1000), slice_size)
        self._lease = round(lease * 1000)
        self._slice_size = slice_size
        self._submit, self._withdraw = (script(redis, name) for name in ("submit", "withdraw"))
        self._begin, self._finish = (script(redis, "parts", name) for name in ("begin", "finish"))

    @classmethod
    def from_settings(cls, redis: Redis, settings: Settings) -> Self:
        """The store, as an operator set it."""
        return cls(redis, max_queued=settings.max_queued, ttl=settings.result_ttl, slice_size=settings.batch_size,
                   lease=settings.lease)  # fmt: skip

    def submit(
        self, group: str, model: str, items: Sequence[Item], metadata: dict[str, str] | None = None
    ) -> Accepted:
        """Store a new group; when this returns it is durable. Raises UnknownModel, QueueFull."""
        states = states_of(items)
        docs = [orjson.dumps(item.doc) for item in items]
        contents = [item.content for item in items]
        keys = [key(group), index(group), PENDING, QUEUED, ALIASES, VERSIONS, FULL]
        answer = self._submit(keys, [group, model, *self._limits, states, orjson.dumps(metadata), *docs, *contents])
        match answer[0]:
            case b"accepted":
                return Accepted(group, answer[1].decode(), answer[2], answer[3])
            case b"unknown model":
                raise UnknownModel(model)
            case _:
                raise QueueFull(f"{answer[1]} predictions are waiting")

    def as_accepted(self, accepted: Accepted, items: Sequence[Item], metadata: dict[str, str] | None) -> Group:
        """A new group as it was stored."""
        states = states_of(items)
        ended = None if "q" in states else accepted.created
        ttl = self._limits[1]
        return Group(accepted.group, states, accepted.version, accepted.created, None, None, ended, ttl, metadata)

    def slices(self, group: str, count: int) -> list[Slice]:
        """How a group of `count` items is cut."""
        return [Slice(group, i, min(i + self._slice_size, count)) for i in range(0, count, self._slice_size)]

    def begin(self, piece: Slice) -> Taken | None:
        """Take the lease of a slice; nothing when no item of it is open any more."""
        batch = _batch_of(piece.group)
        keys = [key(piece.group), PENDING, *([key(batch)] if batch else [])]
        answer = self._begin(keys, [str(piece), piece.start, piece.stop, self._lease, self._slice_size])
        if answer is None:
            return None
        attempt, version, created, now, items, part, size = answer
        pixels, flags = [content[:PIXELS] for content in items[1::2]], [_flags(content) for content in items[1::2]]
        photos, explained = ([bool(each & flag) for each in flags] for flag in (_PHOTO, _EXPLAIN))
        ready = self.slices(part_name(batch, part), size) if batch else []
        return Taken(attempt, version.decode(), int(created), now, items[0::2], pixels, photos, explained, ready)

    def count_attempt(self, piece: Slice, place: int) -> int:
        """How often this one item has been begun by itself, this time included; its slice's lease starts anew."""
        due = self._now() + self._lease
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(key(piece.group), f"x{place}", 1)
            pipe.zadd(PENDING, {str(piece): due}, xx=True)
            return int(pipe.execute()[0])

    def finish(self, piece: Slice, answers: Sequence[Answer]) -> int:
        """Store answers where their items are still open, and wake who waits. Returns how many were stored."""
        drained = f"hemline:drained:{int(time.time()) // DRAIN_WINDOW}"
        batch = _batch_of(piece.group)
        keys = [key(piece.group), PENDING, BULK if batch else QUEUED, drained, *([key(batch)] if batch else [])]
        flat = [value for answer in answers for value in answer]
        return int(self._finish(keys, [batch or piece.group, str(piece), piece.start, piece.stop, *flat]))

    def overdue(self, limit: int) -> list[Slice]:
        """Slices whose lease, or whose time to wait for a worker, is over."""
        names: list[Any] = self._redis.zrangebyscore(PENDING, "-inf", self._now(), start=0, num=limit)
        return [Slice.parse(name.decode()) for name in names]

    def has_begun(self, piece: Slice) -> bool:
        """Whether a worker has ever taken this slice."""
        return bool(self._redis.hexists(key(piece.group), f"a{piece.start}"))

    def postpone(self, pieces: Sequence[Slice]) -> None:
        """Let slices that are sent again be overdue only after another lease."""
        due = self._now() + self._lease
        self._redis.zadd(PENDING, {str(piece): due for piece in pieces}, xx=True)

    def forget(self, group: str, place: int | None = None) -> bool:
        """Forget one item, or all; False when there is none."""
        return self._change(group, "forget", place) >= 0

    def cancel(self, group: str) -> bool:
        """Cancel what has not begun; False when there is no such group."""
        return self._change(group, "cancel", None) >= 0

    def _now(self) -> int:
        """Milliseconds by Redis' clock, which is everybody's."""
        seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _change(self, group: str, what: str, place: int | None) -> int:
        keys = [key(group), index(group), PENDING, QUEUED]
        return int(self._withdraw(keys, [group, what, "" if place is None else place]))

    def group(self, name: str) -> Group | None:
        """A group as it stands, or nothing."""
        return self._groups([name])[0]

    def prediction(self, group: str, place: int) -> Prediction | None:
        """An item as it stands, or nothing when it is not there, was forgotten or has expired."""
        # Everything in one round trip, as this is what everybody who waits does.
        values: list[Any] = self._redis.hmget(key(group), [*_FIELDS, *(f"{letter}{place}" for letter in "dpr")])
        found = _group(group, values[:-3])
        if found is None or values[-3] is None or found.states[place : place + 1] in ("", "d"):
            return None
        return _prediction(found, place, *values[-3:])

    def items(self, group: Group, places: Sequence[int]) -> Iterator[Prediction]:
        """The items at these places that exist."""
        there = [place for place in places if place < len(group.states) and group.states[place] != "d"]
        if not there:
            return
        names = [f"{letter}{place}" for place in there for letter in "dpr"]
        values: list[Any] = self._redis.hmget(key(group.name), names)
        for place, doc, content, result in zip(there, values[0::3], values[1::3], values[2::3], strict=True):
            # Without its doc, it was forgotten or the whole group expired between the two looks.
            if doc:
                yield _prediction(group, place, doc, content, result)

    def predictions(
        self, cursor: str | None, limit: int, keep: Callable[[JobState, str], bool]
    ) -> tuple[list[Prediction], str | None]:
        """A page of predictions, newest first, that `keep` likes by state and version; and the cursor of the next."""
        page: list[Prediction] = []
        last: str | None = None
        for group in self._newest("pred", cursor, _SCAN_LIMIT):
            before = _place_before(group.name, cursor)
            places = [i for i in reversed(range(min(before, len(group.states)))) if group.states[i] != "d"]
            wanted = [i for i in places if keep(STATES[group.states[i]], group.version)]
            page.extend(self.items(group, wanted[: limit + 1 - len(page)]))
            if len(page) > limit:
                return page[:limit], page[limit - 1].id.partition("_")[2]
            last = ids.join(group.name).partition("_")[2]
        # The scan limit ended the page early: there may be more behind the last group looked at.
        exhausted = last is None or next(self._newest("pred", last, 1), None) is None
        return page, None if exhausted else last

    def _newest(self, kind: str, cursor: str | None, limit: int) -> Iterator[Group]:
        # A cursor is the ULID of the last item seen. Its own group comes again while it has items before that one.
        high = "+"
        if cursor:
            group = f"{kind}:{cursor[: ids.GROUP_LENGTH]}"
            high = f"[{group}" if _place_before(group, cursor) else f"({group}"
        while limit > 0:
            names: list[Any] = self._redis.zrevrangebylex(index(kind), high, "-", start=0, num=min(limit, 100))
            if not names:
                return
            found = self._groups([name.decode() for name in names])
            yield from (group for group in found if group is not None)
            limit -= len(names)
            high = f"({names[-1].decode()}"

    def _groups(self, names: Sequence[str]) -> list[Group | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(key(name), _FIELDS)
            return [_group(name, values) for name, values in zip(names, pipe.execute(), strict=True)]


def states_of(items: Sequence[Item]) -> str:
    """The letters of state of new items."""
    return "".join("f" if item.error else "q" for item in items)


def key(group: str) -> str:
    """The key of a group's or a batch's record."""
    return f"hemline:{group}"


def index(group: str) -> str:
    """The key of the index of everything of a group's kind."""
    return f"hemline:index:{group.partition(':')[0]}"


def _batch_of(group: str) -> str:
    """The batch that a group is a part of; "" where it stands by itself."""
    batch, dot, _ = group.partition(".")
    return batch if dot else ""


def _place_before(group: str, cursor: str | None) -> int:
    """How many items of a group come behind a cursor, in a list with the newest first."""
    found = cursor and ids.split(group.partition(":")[0], f"{group.partition(':')[0]}_{cursor}")
    return found[1] if found and found[0] == group else ids.GROUP_LIMIT


def _group(name: str, values: Sequence[bytes | None]) -> Group | None:
    states, version, *numbers, metadata = values
    if states is None or version is None or metadata is None:
        return None
    created, started, canceled, ended, ttl = (int(n) if n else None for n in numbers)
    said = orjson.loads(metadata)
    return Group(name, states.decode(), version.decode(), created or 0, started, canceled, ended, ttl or 0, said)


def _flags(content: bytes) -> int:
    return content[PIXELS] if len(content) > PIXELS else 0


def _prediction(group: Group, place: int, doc: bytes, content: bytes | None, result: bytes | None) -> Prediction:
    state = STATES[group.states[place]]
    values, explanation = _answer(result) if result and state is JobState.SUCCEEDED else (None, None)
    failure = orjson.loads(result) if result and state is JobState.FAILED else None
    started = int(values["started"]) if values is not None else group.started
    completed = None
    if state.is_final:
        at_submission = failure and "completed" not in failure
        completed = group.created if at_submission else _completed(group, values, failure)
        if at_submission or state is JobState.CANCELED:
            started = None
    expires = completed + group.ttl * 1_000_000 if completed else None
    shown = failure and error(failure["code"], failure["detail"])
    found = started if state is not JobState.QUEUED else None
    pixels = content[:PIXELS] if content else None
    return Prediction(ids.join(group.name, place), place, state, group.version, group.created, orjson.loads(doc),
                      pixels, found, completed, expires, values, explanation, shown)


def _answer(result: bytes) -> tuple[np.void, Explanation | None]:
    more = result[RESULT.itemsize :]
    return np.frombuffer(result, RESULT, count=1)[0], Explanation.unpack(more) if more else None


def _completed(group: Group, values: np.void | None, failure: dict[str, Any] | None) -> int:
    if values is not None:
        return int(values["completed"])
    return int(failure["completed"]) if failure else group.canceled or group.created
