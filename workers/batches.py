"""Batches in Redis: small ones, which are one group of predictions, and those from files, of any number of groups.

How a file becomes a batch, and what a crash leaves at each step:

1. The upload is on disk. It is read picture by picture; a picture that cannot be read is an item that failed already.
2. Every 1,024 items are written as a part: a group of its own, named after the batch, that expires unless it is written
   on. Nobody else knows its name. A crash leaves nothing visible, and what was written is gone in a quarter of an hour.
3. One script makes the batch: its header (version, counts, times), its place in the index, parts that stay. It happens
   whole or not at all, and then the 202 is sent. The model is resolved here, so an alias that moved while the file was
   read is followed.
4. In the same step the first part is handed out: its slices are pending, and a message asks for each. The worker that
   begins the newest part hands out the next one. So a batch of any size has a few dozen messages in the queue, which is
   not the one of single predictions, and batches take turns. A message that is lost is sent again by the sweep.
5. Answers are stored in the part. The same script counts them in the header and, where the picture came with a label,
   in the confusion matrix; the picture is dropped. With the last answer, all parts begin to expire together.

So a read of a batch is a read of its header, whatever its size, and results are read part by part.

Waiting pictures take memory, about 1 KB each. Batches from files are refused before Redis has used half of what
submissions may use, so that there is always room for single predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import orjson
from redis import Redis, RedisError

from ml.dataset_files import CLASSES
from settings import Settings
from workers import ids
from workers.groups import ALIASES, BULK, FULL, PENDING, VERSIONS, Groups, index, key, part_name, script
from workers.jobs import JobState, TooMuchOpen
from workers.queue import queue_key, queue_of, slice_template
from workers.records import STATES, Group, Item, Prediction, QueueFull, UnknownModel, blocks, states_of

# Seconds after which a part expires that no batch was made of; a part needs less than that to be read and written.
_UNFINISHED = 900
# What Redis adds to each value of a record, rounded up.
_OVERHEAD = 160
_SHARE = 0.5  # of the memory that submissions may use, for batches from files
# A page of one owner's looks at this many batches at most, then hands out a cursor to go on from.
_SCAN_LIMIT = 2000
_READ = 256  # items that are read at a time

_PAIRS = [f"m{expected}{answered}" for expected in range(CLASSES) for answered in range(CLASSES)]
_FIELDS = ("parts", "version", "created", "started", "canceled", "ended", "ttl", "metadata", "owners", "labelled",
           *STATES, *_PAIRS)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stands, without its items. Times are microseconds since 1970.

    `parts` is 0 where it is one group. `confusion`, where labels came along: how often a picture of the class of the
    row was answered with the class of the column.
    """

    name: str
    version: str
    created: int
    started: int | None
    canceled: int | None
    ended: int | None
    ttl: int
    metadata: dict[str, str] | None
    counts: dict[JobState, int]
    parts: int = 0
    confusion: list[list[int]] | None = None
    owner: str = ""

    @property
    def state(self) -> JobState:
        if self.ended:
            return JobState.CANCELED if self.canceled else JobState.SUCCEEDED
        return JobState.RUNNING if self.started else JobState.QUEUED

    @classmethod
    def of_group(cls, group: Group) -> Self:
        """A batch that is one group."""
        return cls(group.name, group.version, group.created, group.started, group.canceled, group.ended, group.ttl,
                   group.metadata, group.counts, owner=next(iter(group.owners), ""))  # fmt: skip


class BatchStore:
    """All batches. Any method may raise redis.RedisError when Redis cannot be reached."""

    def __init__(
        self, redis: Redis, groups: Groups, *, ttl: int, slice_size: int, lease: float, max_memory_share: float,
        most_of_one: int = 200_000,
    ) -> None:
        self._redis = redis
        self._groups = groups
        self.ttl = ttl
        self._limits = (ttl, round(lease * 1000), slice_size)
        self._most_of_one = most_of_one
        self._share = max_memory_share * _SHARE
        self._submit, self._withdraw = (
            script(redis, "ask", "hooks", "parts", "open", f"batch_{name}") for name in ("submit", "withdraw")
        )

    @classmethod
    def from_settings(cls, redis: Redis, groups: Groups, settings: Settings) -> Self:
        """The store, as an operator set it."""
        return cls(redis, groups, ttl=settings.result_ttl, slice_size=settings.batch_size, lease=settings.lease,
                   max_memory_share=settings.max_memory_share,
                   most_of_one=settings.max_bulk_per_key)  # fmt: skip

    @contextmanager
    def draft(self, model: str, owner: str = "", name: str | None = None) -> Iterator[Draft]:
        """A new batch, of this name where one is given, to be filled and submitted within the block.

        What goes wrong in there leaves nothing of it. Raises UnknownModel, so that no file is read for nothing.
        """
        version = self._redis.hget(ALIASES, model) or model
        if not self._redis.sismember(VERSIONS, version):  # type: ignore[arg-type]
            raise UnknownModel(model)
        draft = Draft(self, name or ids.new_group("batch"), model, owner)
        try:
            yield draft
        except BaseException:
            with suppress(RedisError):  # then it expires
                self._discard(draft)
            raise

    def batch(self, name: str) -> Batch | None:
        """A batch as it stands, or nothing."""
        return self._batches([name])[0]

    def batches(
        self, cursor: str | None, limit: int, owner: str | None = None
    ) -> tuple[list[Batch], str | None]:
        """A page of batches, newest first, with an `owner` his alone; and the cursor of the next."""
        high = f"(batch:{cursor[: ids.GROUP_LENGTH]}" if cursor else "+"
        page: list[Batch] = []
        last, seen = "", 0
        while len(page) <= limit:
            found: list[Any] = self._redis.zrevrangebylex(index("batch:"), high, "-", start=0, num=limit + 1)
            if not found:
                return page, None
            if seen >= _SCAN_LIMIT:
                return page, ids.join(last).partition("_")[2]
            names = [name.decode() for name in found]
            page += [batch for batch in self._batches(self._owned(names, owner)) if batch is not None]
            last, seen, high = names[-1], seen + len(names), f"({names[-1]}"
        return page[:limit], ids.join(page[limit - 1].name).partition("_")[2]

    def items(self, batch: Batch) -> Iterator[Prediction]:
        """All items in order, a few at a time. What expires or is forgotten meanwhile ends it."""
        for name in [part_name(batch.name, part) for part in range(batch.parts)] or [batch.name]:
            group = self._groups.group(name)
            for start in range(0, len(group.states) if group else 0, _READ):
                assert group is not None
                yield from self._groups.items(group, range(start, min(start + _READ, len(group.states))))

    def cancel(self, batch: Batch) -> bool:
        """Cancel what has not begun; False when the batch is gone."""
        if not batch.parts:
            return self._groups.cancel(batch.name)
        if not self._change(batch.name, "cancel"):
            return False
        # Nobody needs these pictures any more. A crash in between leaves them until the batch expires.
        for part in range(batch.parts):
            group = self._groups.group(part_name(batch.name, part))
            if group and (dropped := _unneeded(group)):
                self._redis.hdel(key(group.name), *dropped)
        return True

    def forget(self, name: str) -> bool:
        """Forget a batch with everything in it; False when there is none."""
        return self._change(name, "forget") or self._groups.forget(name)

    def _change(self, name: str, what: str) -> bool:
        return int(self._withdraw([key(name), index(name), BULK], [name, what])) >= 0

    def _owned(self, names: list[str], owner: str | None) -> list[str]:
        if owner is None:
            return names
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(key(name), "owners")
            return [name for name, found in zip(names, pipe.execute(), strict=True) if found == owner.encode()]

    def _batches(self, names: Sequence[str]) -> list[Batch | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(key(name), _FIELDS)
            found = [_batch(name, values) for name, values in zip(names, pipe.execute(), strict=True)]
        # What has no parts is one group, or gone.
        return [batch or self._small(name) for name, batch in zip(names, found, strict=True)]

    def _small(self, name: str) -> Batch | None:
        group = self._groups.group(name)
        return Batch.of_group(group) if group else None

    def _store_part(self, draft: Draft, items: Sequence[Item]) -> None:
        record = self._record(items, draft.labelled)
        self._check_memory(sum(map(len, record.values())) + _OVERHEAD * len(record))
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(draft.part(draft.parts), mapping=record)  # type: ignore[arg-type]
            # As long as the file is being read, what was read of it stays.
            for part in range(draft.parts + 1):
                pipe.expire(draft.part(part), _UNFINISHED)
            pipe.execute()

    def _record(self, items: Sequence[Item], labelled: bool) -> dict[str, bytes]:
        left = sum(item.error is None for item in items)
        record = {"states": states_of(items).encode(), "metadata": b"null", "ttl": b"%d" % self.ttl}
        record["left"] = b"%d" % left
        if labelled:
            record["labels"] = "".join(str(item.doc.get("expected_class_id", "-")) for item in items).encode()
        return record | blocks(items, self._limits[2])

    def _check_memory(self, needed: int) -> None:
        memory: Any = self._redis.info("memory")
        if memory["maxmemory"] and memory["used_memory"] + needed > self._share * memory["maxmemory"]:
            raise QueueFull(f"Redis holds {memory['used_memory']:,} bytes")

    def _accept(self, draft: Draft, metadata: dict[str, str] | None, webhook: str) -> Batch:
        queue = queue_of(draft.name)
        keys = [key(draft.name), index(draft.name), PENDING, BULK, ALIASES, VERSIONS, FULL, queue_key(queue)]
        answer = self._submit(keys, [
            draft.name, draft.model, *self._limits, draft.parts, draft.open, draft.failed, int(draft.labelled),
            orjson.dumps(metadata), slice_template(queue), draft.owner, self._most_of_one,
            webhook,
        ])  # fmt: skip
        match answer:
            case [b"accepted", version, created]:
                counts = {**dict.fromkeys(STATES.values(), 0), JobState.QUEUED: draft.open,
                          JobState.FAILED: draft.failed}  # fmt: skip
                confusion = [[0] * CLASSES for _ in range(CLASSES)] if draft.labelled else None
                return Batch(draft.name, version.decode(), created, None, None, None if draft.open else created,
                             self.ttl, metadata, counts, draft.parts, confusion, draft.owner)  # fmt: skip
            case [b"unknown model"]:
                raise UnknownModel(draft.model)
            case [b"over"]:
                raise TooMuchOpen("With this file, more pictures in files of this key would be waiting than may")
            case [b"full"]:
                raise QueueFull("Redis has little memory left")
            case _:
                raise QueueFull("The file took so long to read that the first part of it is gone")

    def _discard(self, draft: Draft) -> None:
        # The batch may be there, when only the answer of the script that made it was lost.
        if not self._change(draft.name, "forget"):
            for part in range(draft.parts + 1):
                self._redis.unlink(draft.part(part))


class Draft:
    """A batch on its way into Redis, seen by nobody."""

    def __init__(self, store: BatchStore, name: str, model: str, owner: str = "") -> None:
        self._store = store
        self.name = name
        self.model = model
        self.owner = owner
        self.parts = self.open = self.failed = 0
        self.labelled = False

    def add(self, items: Sequence[Item]) -> None:
        """Write the next items, 1 to GROUP_LIMIT of them. The label of an item is its doc's `expected_class_id`.

        Raises QueueFull.
        """
        self.labelled = self.labelled or any("expected_class_id" in item.doc for item in items)
        self._store._store_part(self, items)
        self.parts += 1
        failed = sum(item.error is not None for item in items)
        self.failed += failed
        self.open += len(items) - failed

    def submit(self, metadata: dict[str, str] | None, webhook: str = "") -> Batch:
        """Make the batch, durable when this returns; `webhook` is told when it has ended.

        Raises UnknownModel, QueueFull, TooMuchOpen.
        """
        return self._store._accept(self, metadata, webhook)

    def part(self, number: int) -> str:
        """The key of a part."""
        return key(part_name(self.name, number))


def _unneeded(group: Group) -> list[str]:
    """The fields of pixels of a canceled part that nobody will look at."""
    if not group.slice:  # it was written by an earlier release
        return [f"p{place}" for place, state in enumerate(group.states) if state == "c"]
    slices = ((start, group.states[start : start + group.slice]) for start in range(0, len(group.states), group.slice))
    return [f"P{start}" for start, states in slices if not set(states) & {"q", "r"}]


def _batch(name: str, values: Sequence[bytes | None]) -> Batch | None:
    parts, version, created, started, canceled, ended, ttl, metadata, owner, labelled, *numbers = values
    if parts is None or version is None or metadata is None:
        return None
    began, stopped, over = (int(moment) if moment else None for moment in (started, canceled, ended))
    counted = [int(number or 0) for number in numbers]
    counts = dict(zip(STATES.values(), counted, strict=False))
    pairs = counted[len(STATES) :]
    confusion = [pairs[row * CLASSES : (row + 1) * CLASSES] for row in range(CLASSES)] if labelled == b"1" else None
    return Batch(name, version.decode(), int(created or 0), began, stopped, over, int(ttl or 0),
                 orjson.loads(metadata), counts, int(parts), confusion, (owner or b"").decode())  # fmt: skip
