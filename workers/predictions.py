"""The way of single predictions through one web process: written together, answered together, read together.

A round trip to Redis costs more than classifying an image, so predictions that arrive together travel together. The
rule is Nagle's (RFC 896): a prediction that finds nothing in flight leaves at once; those that arrive meanwhile wait
until that comes back, a batch is full, or `linger` has passed. An idle service answers at once, a busy one in batches,
and there is no fixed delay.

Answers come back on a channel of this process: one announcement carries those of a whole batch, so that nobody who
waits has to read a record. Publishing may lose an announcement, hence what is overdue is read.

Everything here runs on one event loop: a request that waits costs a future, not a thread.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from redis import RedisError
from redis.asyncio import Redis

from workers import ids
from workers.groups import SUBMIT, Groups, accepted, key, prediction_fields, read_prediction, source
from workers.jobs import TooMuchOpen
from workers.idempotency import KeyReused, Repeated
from workers.records import Accepted, Answer, Item, Patience, Prediction, QueueFull, Stored, UnknownModel, answers_in

# Seconds after which a batch no longer holds the next one up, and its answers are looked for: that they are there may
# have been said while nobody could hear it.
_OVERDUE = 1.0

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Submission:
    """A prediction on its way: `settled` when it is durable or, where its answer is wanted, when that is there."""

    __slots__ = ("item", "wanted", "settled", "accepted", "place", "prediction")

    def __init__(self, item: Item, wanted: bool, settled: asyncio.Future[None]) -> None:
        self.item = item
        self.wanted = wanted
        self.settled = settled
        self.accepted: Accepted | None = None
        self.place = 0
        self.prediction: Prediction | None = None

    def settle(self, prediction: Prediction | None = None) -> None:
        self.prediction = prediction
        if not self.settled.done():  # else who waited has gone
            self.settled.set_result(None)

    def refuse(self, reason: Exception) -> None:
        if not self.settled.done():
            self.settled.set_exception(reason)


class Flight:
    """A batch that is under way: those who wait for answers by their places, and how many answers are to come."""

    __slots__ = ("batch", "departed", "accepted", "early", "waiting", "open")

    def __init__(self, batch: list[Submission], departed: float) -> None:
        self.batch = batch
        self.departed = departed
        self.accepted: Accepted | None = None
        self.early: list[bytes] = []  # answers that were faster than the word that the batch is accepted
        self.waiting: dict[int, Submission] = {}
        self.open = len(batch)


def _reason(repeated: str) -> Exception:
    """Why an item is no part of the group that it was sent with."""
    if repeated == "!":
        return TooMuchOpen("As many predictions of this key are waiting as may")
    return Repeated(repeated) if repeated else KeyReused()


class PredictionQueue:
    """Predictions of one web process. Its coroutines belong to one event loop; `call` leads there from any thread."""

    def __init__(
        self, groups: Groups, redis: Redis, *, batch_size: int, linger: float,
        patience: Callable[[], Patience | None] = lambda: None,
    ) -> None:
        """`patience` says, now, when predictions are refused as they would wait too long."""
        self._groups = groups
        self._patience = patience
        self._redis = redis
        self._script = redis.register_script(source(*SUBMIT))
        self._batch_size = min(batch_size, ids.GROUP_LIMIT)
        self._linger = linger
        self._channel = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: defaultdict[str, list[Submission]] = defaultdict(list)  # by model, oldest first
        self._leaving = False
        self._timer: asyncio.TimerHandle | None = None
        self._flights: dict[str, Flight] = {}
        self._overdue: dict[str, Flight] = {}
        self._reads: defaultdict[tuple[str, int], list[asyncio.Future[Prediction | None]]] = defaultdict(list)
        self._reading = False

    def begin(self) -> None:
        """From now on the running event loop is the one of this queue."""
        self._loop = asyncio.get_running_loop()
        self._channel = f"hemline:answers:{secrets.token_hex(8)}"
        self._spawn(self._listen())
        self._spawn(self._look_after())

    async def end(self) -> None:
        """Hear no more answers, and close the connections."""
        for task in self._tasks:
            task.cancel()
        await self._redis.aclose()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this on the queue's event loop, from another thread. Where there is no server's, one begins."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.call_soon(self.begin)
                threading.Thread(target=self._loop.run_forever, name="predictions", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def submit(self, model: str, item: Item, wait: float = 0.0) -> tuple[Accepted, int, Prediction | None]:
        """Make a prediction durable; returns its group, its place in it and, if wanted and in time, its answer.

        With `wait` (seconds) it comes back when the answer is there, or that time is over. Raises UnknownModel,
        TooMuchOpen, QueueFull, redis.RedisError; then nothing was accepted. Raises Repeated, KeyReused for an item with
        a key that came before.
        """
        loop = asyncio.get_running_loop()
        submission = Submission(item, wait > 0, loop.create_future())
        self._waiting[model].append(submission)
        self._depart()
        if wait:
            timer = loop.call_later(wait, self._give_up, submission)
            try:
                await submission.settled
            finally:
                timer.cancel()
        else:
            await submission.settled
        assert submission.accepted is not None
        return submission.accepted, submission.place, submission.prediction

    async def read(self, group: str, place: int) -> Prediction | None:
        """A prediction as it stands, or nothing. What is asked for at the same time is read together."""
        future: asyncio.Future[Prediction | None] = asyncio.get_running_loop().create_future()
        self._reads[group, place].append(future)
        if not self._reading:
            self._reading = True
            self._spawn(self._read_all())
        return await future

    def _give_up(self, submission: Submission) -> None:
        """Time is over. What is not even durable goes on until it is: an answer needs that at least."""
        submission.wanted = False
        if submission.accepted is not None:
            submission.settle()

    def _depart(self) -> None:
        """Let those who wait leave when the rule says so; who arrives in the same turn of the loop comes along."""
        if self._leaving or not self._waiting:
            return
        assert self._loop is not None
        if not self._flights or any(len(queue) >= self._batch_size for queue in self._waiting.values()):
            self._leaving = True
            self._loop.call_soon(self._leave)
        elif self._timer is None:
            self._timer = self._loop.call_later(self._linger, self._leave)

    def _leave(self) -> None:
        self._leaving = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        model = next(iter(self._waiting))
        queue = self._waiting.pop(model)
        batch, rest = queue[: self._batch_size], queue[self._batch_size :]
        if rest:
            self._waiting[model] = rest
        group = ids.new_group("pred")
        flight = self._flights[group] = Flight(batch, time.monotonic())
        self._spawn(self._send(group, model, flight))
        self._depart()

    async def _send(self, group: str, model: str, flight: Flight) -> None:
        items = [submission.item for submission in flight.batch]
        try:
            keys, arguments = self._groups.submission(
                group, model, items, channel=self._channel, patience=self._patience()
            )
            self._take_off(flight, accepted(group, model, await self._script(keys, arguments)))
        except Exception as reason:
            if not isinstance(reason, (UnknownModel, QueueFull, RedisError)):
                _log.exception("a batch of %d could not be accepted", len(items))
            self._flights.pop(group, None)
            for submission in flight.batch:
                submission.refuse(reason)
            self._depart()

    def _take_off(self, flight: Flight, found: Accepted) -> None:
        flight.accepted = found
        for place, submission in enumerate(flight.batch):
            if place in found.repeated:
                submission.refuse(_reason(found.repeated[place]))
                continue
            submission.accepted, submission.place = found, place
            if submission.wanted:
                flight.waiting[place] = submission
            else:
                submission.settle()
        for answer in found.answers:
            self._answer(flight, answer)
        flight.open -= len(found.answers) + len(found.repeated)
        if flight.open <= 0:
            self._arrive(found.group)
        for announcement in flight.early:
            self._land(announcement)

    def _land(self, announcement: bytes) -> None:
        """Hand the answers of a batch to those who wait for them."""
        end = announcement.index(b"\n")
        name = announcement[:end].decode()
        flight = self._flights.get(name) or self._overdue.get(name)
        if flight is None:
            return
        if flight.accepted is None:
            flight.early.append(announcement)
            return
        for answer in answers_in(announcement, end + 1):
            flight.open -= 1
            self._answer(flight, answer)
        if flight.open <= 0:
            self._arrive(name)

    def _arrive(self, name: str) -> None:
        """Nothing of a batch is under way any more."""
        self._flights.pop(name, None)
        self._overdue.pop(name, None)
        self._depart()

    def _answer(self, flight: Flight, answer: Answer) -> None:
        submission = flight.waiting.pop(answer.place, None)
        if submission is None:
            return
        if answer.state == "s":
            found, item = flight.accepted, submission.item
            assert found is not None
            stored = Stored(found.group, answer.place, found.version, found.created, self._groups.ttl, item.doc,
                            item.pixels)  # fmt: skip
            submission.settle(stored.succeeded(answer.result))
        else:  # its record knows more of it
            self._spawn(self._look_up(submission))

    async def _look_up(self, submission: Submission) -> None:
        """Settle a submission that is final by now, or is gone."""
        assert submission.accepted is not None
        with suppress(RedisError):
            prediction = await self.read(submission.accepted.group, submission.place)
            if prediction is None or prediction.state.is_final:
                submission.settle(prediction)

    async def _look_after(self) -> None:
        """Look for answers that nobody heard of."""
        while True:
            await asyncio.sleep(_OVERDUE)
            now = time.monotonic()
            late = [name for name, flight in self._flights.items() if now - flight.departed > _OVERDUE]
            self._overdue |= {name: self._flights.pop(name) for name in late}
            for name, flight in list(self._overdue.items()):
                flight.waiting = {p: each for p, each in flight.waiting.items() if not each.settled.done()}
                for submission in flight.waiting.values():
                    self._spawn(self._look_up(submission))
                if flight.accepted is not None and not flight.waiting:
                    self._overdue.pop(name, None)
            self._depart()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(self._channel)
                    while True:
                        message = await subscription.get_message(timeout=5)
                        if message:
                            self._land(message["data"])
            except RedisError as lost:
                _log.warning("answers are not heard, only looked for: Redis is away (%s)", lost)
                await asyncio.sleep(0.5)
            except Exception:
                _log.exception("an announcement could not be read")

    async def _read_all(self) -> None:
        while self._reads:  # what is asked for while a read is under way makes the next one
            reads, self._reads = self._reads, defaultdict(list)
            try:
                found = await self._fetch(list(reads))
            except Exception as away:
                for future in (each for waiting in reads.values() for each in waiting if not each.done()):
                    future.set_exception(away)
            else:
                for prediction, waiting in zip(found, reads.values(), strict=True):
                    for future in (each for each in waiting if not each.done()):
                        future.set_result(prediction)
        self._reading = False

    async def _fetch(self, wanted: list[tuple[str, int]]) -> list[Prediction | None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for group, place in wanted:
                pipe.hmget(key(group), prediction_fields(place))
            found = zip(wanted, await pipe.execute(), strict=True)
        return [read_prediction(group, place, values) for (group, place), values in found]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop by itself would let it be collected
        task.add_done_callback(self._tasks.discard)
