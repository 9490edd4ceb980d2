"""Records of predictions in Redis: one hash for each group of predictions that were accepted together.

A group is cut into slices: one Celery message and one inference batch each. Everything that changes a record is one of
the scripts in `lua/`, so no state is ever half written and a final one never changes.

A group may be a part of a batch (`workers.batches`). The same scripts then count in its header what they change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from importlib.resources import files
from itertools import chain
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray
from redis import Redis

from settings import Settings
from workers import ids
from workers.jobs import JobState, TooMuchOpen
from workers.queue import queue_key, queue_of, slice_template
from workers.records import (
    FIELDS, PIXELS, RESULT, ROW, STATES, Accepted, Answer, Group, Item, Overloaded, Patience, Prediction, QueueFull,
    Slice, Taken, UnknownModel, answers_in, blocks, group_of, owners_of, prediction_of, rows_in, rows_of, states_of,
)  # fmt: skip

DONE_CHANNEL = "hemline:done"
QUEUED, PENDING, FULL = "hemline:queued", "hemline:pending", "hemline:full"
BULK = "hemline:bulk"  # how many pictures wait in batches of several parts
ALIASES, VERSIONS = "hemline:aliases", "hemline:versions"
DRAIN_WINDOW = 5  # seconds that one counter of finished predictions covers
# A filtered page looks at this many groups at most, then hands out a cursor to go on from.
_SCAN_LIMIT = 2000


def source(*names: str) -> str:
    """The text of a script: these files of `lua/`, one after another."""
    folder = files("workers") / "lua"
    return "".join((folder / f"{name}.lua").read_text() for name in names)


def script(redis: Redis, *names: str) -> Callable[..., Any]:
    """A script of `lua/`, made of these files."""
    return redis.register_script(source(*names))


SUBMIT = ("ask", "open", "hooks", "submit")


def part_name(batch: str, number: int) -> str:
    """The group that is this part of a batch."""
    return f"{batch}.{number:04d}"


class Groups:
    """The store. Any method may raise redis.RedisError when Redis cannot be reached."""

    def __init__(
        self, redis: Redis, *, max_queued: int, ttl: int, slice_size: int, lease: float, reuse: int = 0,
        remembered: int = 86_400, most_of_one: int = 10_000,
    ) -> None:
        self._redis = redis
        self.ttl = ttl
        self._reuse = reuse
        self._remembered = remembered  # seconds that a key of a request is remembered
        self._most_of_one = most_of_one  # how much of one owner's may wait
        self._lease = round(lease * 1000)
        self._limits = (max_queued, ttl, self._lease, slice_size)
        self._slice_size = slice_size
        self._submit, self._withdraw = script(redis, *SUBMIT), script(redis, "open", "hooks", "withdraw")
        self._begin, self._finish = (
            script(redis, "ask", "hooks", "parts", "open", name) for name in ("begin", "finish")
        )

    @classmethod
    def from_settings(cls, redis: Redis, settings: Settings) -> Self:
        """The store, as an operator set it."""
        return cls(redis, max_queued=settings.max_queued, ttl=settings.result_ttl, slice_size=settings.batch_size,
                   lease=settings.lease, reuse=settings.reuse, remembered=settings.idempotency_ttl,
                   most_of_one=settings.max_queued_per_key)  # fmt: skip

    def submit(
        self, group: str, model: str, items: Sequence[Item], metadata: dict[str, str] | None = None, owner: str = "",
        webhook: str = "",
    ) -> Accepted:
        """Store a new group and ask for it; when this returns it is durable. Raises UnknownModel, QueueFull.

        It has an owner as a whole, or its items have owners: their docs' `owner`. `webhook` is told when
        all has ended.
        """
        submission = self.submission(group, model, items, metadata, owner=owner, webhook=webhook)
        return accepted(group, model, self._submit(*submission))

    def submission(
        self, group: str, model: str, items: Sequence[Item], metadata: dict[str, str] | None = None, channel: str = "",
        owner: str = "", webhook: str = "", patience: Patience | None = None,
    ) -> tuple[list[str], list[Any]]:
        """The keys and arguments of the script SUBMIT, whose answer `accepted` reads.

        Answers are published on `channel`, where there is one, besides being stored. With `patience`, what would wait
        too long is refused.
        """
        few, longest = patience or Patience(self._limits[0], 0)
        queue = queue_of(group)
        keys = [key(group), index(group), PENDING, QUEUED, ALIASES, VERSIONS, FULL, queue_key(queue)]
        in_blocks = group.startswith("batch:") and not self._reuse
        hooks = "\n".join(f"{place}|{item.webhook}" for place, item in enumerate(items) if item.webhook)
        names = [owner] if owner else sorted(owners_of(items))
        by = "" if owner or not names else _indexes(names, items)
        sent = "\n".join(f"{place}|{'|'.join(item.once)}" for place, item in enumerate(items) if item.once)
        return keys, [
            group, model, *self._limits, slice_template(queue), channel, states_of(items), " ".join(names),
            self._remembered, sent, by, self._most_of_one, hooks, webhook, few, longest, int(in_blocks),
            orjson.dumps(metadata), *(self._in_blocks(items) if in_blocks else self._one_by_one(items)),
        ]  # fmt: skip

    def _in_blocks(self, items: Sequence[Item]) -> Iterator[str | bytes]:
        return chain.from_iterable(blocks(items, self._slice_size).items())

    def _one_by_one(self, items: Sequence[Item]) -> list[bytes]:
        contents = [item.content for item in items]
        digests = [sha256(content).digest() for content in contents] if self._reuse else []
        return [*(orjson.dumps(item.doc) for item in items), *contents, *digests]

    def as_accepted(
        self, accepted: Accepted, items: Sequence[Item], metadata: dict[str, str] | None, owner: str = ""
    ) -> Group:
        """A new group as it was stored."""
        letters = list(states_of(items))
        for answer in accepted.answers:
            letters[answer.place] = answer.state
        states = "".join(letters)
        ended = None if "q" in states else accepted.created
        owners = frozenset([owner]) if owner else owners_of(items)
        return Group(accepted.group, states, accepted.version, accepted.created, None, None, ended, self.ttl, metadata,
                     owners)  # fmt: skip

    def slices(self, group: str, count: int) -> list[Slice]:
        """How a group of `count` items is cut."""
        return [Slice(group, i, min(i + self._slice_size, count)) for i in range(0, count, self._slice_size)]

    def begin(self, piece: Slice) -> Taken | None:
        """Take the lease of a slice; nothing when no item of it is open any more."""
        batch = _batch_of(piece.group)
        queue = queue_of(piece.group)
        keys = [key(piece.group), PENDING, queue_key(queue), *([key(batch)] if batch else [])]
        template = slice_template(queue) if batch else ""
        answer = self._begin(keys, [str(piece), piece.start, piece.stop, self._lease, self._slice_size, template])
        if answer is None:
            return None
        attempt, version, created, now, places, contents = answer
        in_block = isinstance(contents, bytes)
        rows = rows_in(contents)[[place - piece.start for place in places]] if in_block else rows_of(contents)
        return Taken(attempt, version.decode(), int(created), now, places, rows, in_block)

    def count_attempt(self, piece: Slice, place: int) -> int:
        """How often this one item has been begun by itself, this time included; its slice's lease starts anew."""
        due = self._now() + self._lease
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(key(piece.group), f"x{place}", 1)
            pipe.zadd(PENDING, {str(piece): due}, xx=True)
            return int(pipe.execute()[0])

    def finish(self, piece: Slice, answers: Sequence[Answer]) -> int:
        """Store answers where their items are still open, and wake who waits. Returns how many were stored."""
        return self._store(piece, [value for answer in answers for value in answer])

    def finish_block(self, piece: Slice, places: Sequence[int], results: NDArray[Any]) -> int:
        """The same for all that was taken of a slice that is kept in blocks: a RESULT [n] for each of its n places."""
        count = piece.stop - piece.start
        rows = [place - piece.start for place in places]
        block, classes = np.zeros(count, RESULT), np.full(count, ord("-"), np.uint8)
        block[rows], classes[rows] = results, results["probabilities"].argmax(axis=1) + ord("0")
        return self._store(piece, [block.tobytes(), classes.tobytes()])

    def _store(self, piece: Slice, answers: Sequence[Any]) -> int:
        drained = f"hemline:drained:{int(time.time()) // DRAIN_WINDOW}"
        batch = _batch_of(piece.group)
        keys = [key(piece.group), PENDING, BULK if batch else QUEUED, drained, *([key(batch)] if batch else [])]
        return int(self._finish(keys, [
            batch or piece.group, str(piece), piece.start, piece.stop, self._reuse, *answers
        ]))

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
        if group.startswith("batch:"):
            found = self.group(group)
            return next(self.items(found, [place]), None) if found else None
        return read_prediction(group, place, self._redis.hmget(key(group), prediction_fields(place)))

    def items(self, group: Group, places: Sequence[int]) -> Iterator[Prediction]:
        """The items at these places that exist."""
        there = [place for place in places if place < len(group.states) and group.states[place] != "d"]
        if not there:
            return
        if group.slice:
            yield from self._items_of_blocks(group, there)
            return
        names = [f"{letter}{place}" for place in there for letter in "dpr"]
        values: list[Any] = self._redis.hmget(key(group.name), names)
        for place, doc, content, result in zip(there, values[0::3], values[1::3], values[2::3], strict=True):
            # Without its doc, it was forgotten or the whole group expired between the two looks.
            if doc:
                yield prediction_of(group, place, orjson.loads(doc), content, result)

    def _items_of_blocks(self, group: Group, places: Sequence[int]) -> Iterator[Prediction]:
        starts = list(dict.fromkeys(place - place % group.slice for place in places))
        names = [f"{letter}{start}" for start in starts for letter in "DPR"]
        values: list[Any] = self._redis.hmget(key(group.name), ["single", *names])
        single, packed = values[0], [values[1 + 3 * i : 4 + 3 * i] for i in range(len(starts))]
        stored = zip(starts, packed, strict=True)
        found = {start: (orjson.loads(docs), *more) for start, (docs, *more) in stored if docs}
        alone = [place for place in places if group.states[place] == "f" or single and group.states[place] == "s"]
        own: dict[int, Any] = {}
        if alone:
            own = dict(zip(alone, self._redis.hmget(key(group.name), [f"r{place}" for place in alone]), strict=True))
        for place in places:
            row = place % group.slice
            docs, pixels, results = found.get(place - row, (None, None, None))
            result = own.get(place)
            if result is None and results and group.states[place] == "s":
                result = results[row * RESULT.itemsize : (row + 1) * RESULT.itemsize]
            # What is not there has been forgotten, or has expired with its batch, between two looks.
            if docs is not None and (result is not None or place not in own):
                doc = docs[row] if isinstance(docs, list) else docs
                yield prediction_of(group, place, doc, pixels and pixels[row * ROW : row * ROW + PIXELS], result)

    def predictions(
        self, cursor: str | None, limit: int, keep: Callable[[JobState, str], bool], owner: str | None = None
    ) -> tuple[list[Prediction], str | None]:
        """A page of predictions, newest first, that `keep` likes by state and version; and the cursor of the next.

        With an `owner`, his alone.
        """
        page: list[Prediction] = []
        last: str | None = None
        for group in self._newest("pred", cursor, _SCAN_LIMIT):
            last = ids.join(group.name).partition("_")[2]
            if owner is not None and owner not in group.owners:
                continue
            before = _place_before(group.name, cursor)
            places = [i for i in reversed(range(min(before, len(group.states)))) if group.states[i] != "d"]
            wanted = [i for i in places if keep(STATES[group.states[i]], group.version)]
            if owner is None or group.owners == {owner}:
                page.extend(self.items(group, wanted[: limit + 1 - len(page)]))
            else:
                page.extend(item for item in self.items(group, wanted) if item.owner == owner)
            if len(page) > limit:
                return page[:limit], page[limit - 1].id.partition("_")[2]
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
                pipe.hmget(key(name), FIELDS)
            return [group_of(name, values) for name, values in zip(names, pipe.execute(), strict=True)]


def accepted(group: str, model: str, answer: list[Any]) -> Accepted:
    """What the script SUBMIT answered. Raises UnknownModel, QueueFull, TooMuchOpen."""
    match answer:
        case [b"accepted", version, created, queued, answers, repeated]:
            again = (each.decode().partition("|") for each in repeated)
            return Accepted(group, version.decode(), created, queued, tuple(answers_in(answers)),
                            {int(place): name for place, _, name in again})  # fmt: skip
        case [b"unknown model"]:
            raise UnknownModel(model)
        case [b"over"]:
            raise TooMuchOpen("As many pictures of this key are waiting as may")
        case [b"late", queued]:
            raise Overloaded(f"{queued} predictions are waiting")
        case _:
            raise QueueFull(f"{answer[1]} predictions are waiting")


def _indexes(names: Sequence[str], items: Sequence[Item]) -> str:
    """Whose each item is, by the places of their names from 1 on, 0 for nobody; nothing where one owns all."""
    owners = [item.doc.get("owner") for item in items]
    if owners.count(names[0]) == len(items):
        return ""
    return ",".join(str(names.index(owner) + 1 if owner else 0) for owner in owners)


def prediction_fields(place: int) -> list[str]:
    """The fields of a group's record that `read_prediction` reads an item from."""
    return [*FIELDS, f"d{place}", f"p{place}", f"r{place}"]


def read_prediction(group: str, place: int, values: Any) -> Prediction | None:
    """An item from the values of its `prediction_fields`, or nothing when it is not there or was forgotten."""
    found = group_of(group, values[:-3])
    if found is None or values[-3] is None or found.states[place : place + 1] in ("", "d"):
        return None
    doc, content, result = values[-3:]
    return prediction_of(found, place, orjson.loads(doc), content, result)


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
