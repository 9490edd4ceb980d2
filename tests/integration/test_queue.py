"""Predictions that arrive together travel together, and an idle service sends at once."""

import asyncio
import threading
from base64 import b64decode
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import orjson
import pytest
import uvloop
from redis import ConnectionError, Redis

from processes import RedisServer, eventually
from test_groups import failure, finish, item, queued, states
from workers import ids, predictions
from workers.announcements import Announcements
from workers.app import connect, connect_async, make_celery
from workers.groups import Groups
from workers.records import Accepted, Answer, Item, Prediction, Slice, UnknownModel
from workers.predictions import PredictionQueue
from workers.queue import BATCHES, PREDICTIONS, queue_length, send_slices, slice_in

FOREVER = 1000.0
T = TypeVar("T")


@pytest.fixture
def announcements(redis_server: RedisServer) -> Announcements:
    """Announcements that are being listened to already: beginning to listen wakes whoever watches."""
    announcements = Announcements(connect(redis_server.url))
    with announcements.watch("nothing") as begun:
        assert begun.wait(60)
    return announcements


class Threads:
    """Calls on threads that a failed test may leave behind."""

    def submit(self, call: Callable[..., T], *arguments: Any) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call(*arguments))
            except Exception as failed:
                future.set_exception(failed)

        threading.Thread(target=run, daemon=True).start()
        return future


@pytest.fixture
def pool() -> Threads:
    return Threads()


class Queue:
    """The queue of a web process, used from threads."""

    def __init__(self, groups: Groups, url: str, *, batch_size: int = 64, linger: float = FOREVER) -> None:
        self.queue = PredictionQueue(groups, connect_async(url), batch_size=batch_size, linger=linger)
        self.call(self.heard())

    async def heard(self) -> None:
        """Come back when answers are being listened to."""
        while not await self.queue._redis.publish(self.queue._channel, b"nothing\n"):
            await asyncio.sleep(0.01)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return self.queue.call(work)

    def submit(self, model: str, item: Item, wait: float = 0.0) -> tuple[Accepted, int]:
        return self.call(self.queue.submit(model, item, wait))[:2]

    def answer(self, model: str, item: Item) -> Prediction | None:
        return self.call(self.queue.submit(model, item, FOREVER))[2]

    def read(self, group: str, place: int) -> Prediction | None:
        return self.call(self.queue.read(group, place))

    @property
    def waiting(self) -> int:
        return sum(map(len, self.queue._waiting.values()))

    def end(self) -> None:
        self.call(self.queue.end())


@pytest.fixture
def open_queue(groups: Groups, redis_server: RedisServer) -> Iterator[Callable[..., Queue]]:
    opened: list[Queue] = []

    def open_(**options: Any) -> Queue:
        opened.append(Queue(groups, redis_server.url, **options))
        return opened[-1]

    yield open_
    for queue in opened:
        queue.end()


@pytest.fixture
def nothing_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, no batch counts as late."""
    monkeypatch.setattr(predictions, "_OVERDUE", FOREVER)


def test_what_finds_nothing_in_flight_leaves_at_once(
    open_queue: Callable[..., Queue], groups: Groups, redis: Redis
) -> None:
    queue = open_queue()
    accepted, place = queue.submit("production", item())

    assert place == 0
    assert states(groups, accepted.group) == "q"
    eventually(lambda: queue_length(redis, PREDICTIONS) == 1, "the message is sent")


@pytest.mark.usefixtures("nothing_overdue")
def test_what_arrives_while_something_is_in_flight_travels_together_when_that_has_landed(
    open_queue: Callable[..., Queue], groups: Groups, pool: Threads
) -> None:
    queue = open_queue()
    first, _ = queue.submit("production", item())
    later = [pool.submit(queue.submit, "production", item(i)) for i in range(5)]
    eventually(lambda: queue.waiting == 5, "five wait for company")
    assert not any(future.done() for future in later)
    finish(groups, first.group)

    accepted = [future.result(60) for future in later]
    assert len({a.group for a, _ in accepted}) == 1
    assert accepted[0][0].group != first.group
    assert sorted(place for _, place in accepted) == list(range(5))


@pytest.mark.usefixtures("nothing_overdue")
def test_a_full_batch_leaves_without_waiting(open_queue: Callable[..., Queue], groups: Groups, pool: Threads) -> None:
    queue = open_queue(batch_size=4)
    first, _ = queue.submit("production", item())
    later = [pool.submit(queue.submit, "production", item(i)) for i in range(9)]
    done = eventually(lambda: [f for f in later if f.done()][7:] and [f for f in later if f.done()], "two batches left")

    assert len(done) == 8
    eventually(lambda: queue.waiting == 1, "the last one waits for company")
    assert sorted(sum(a.group == g for a, _ in map(Future.result, done)) for g in groups_of(done)) == [4, 4]
    for group in {first.group, *groups_of(done)}:
        finish(groups, group)
    for future in later:
        future.result(60)


def groups_of(futures: list[Future[tuple[Accepted, int]]]) -> set[str]:
    return {future.result()[0].group for future in futures}


def test_nobody_waits_for_company_longer_than_the_linger(open_queue: Callable[..., Queue]) -> None:
    queue = open_queue(linger=0.01)
    first, _ = queue.submit("production", item())
    second, _ = queue.submit("production", item())

    assert first.group != second.group


def test_predictions_of_different_models_do_not_travel_together(
    open_queue: Callable[..., Queue], groups: Groups, pool: Threads
) -> None:
    queue = open_queue()
    first, _ = queue.submit("production", item())
    later = [pool.submit(queue.submit, model, item()) for model in ("production", "v2", "production", "v2")]
    eventually(lambda: queue.waiting == 4, "four wait")
    finish(groups, first.group)
    eventually(lambda: queue.waiting < 4, "one model leaves")
    (gone,) = groups_of([f for f in later if eventually(lambda: any(x.done() for x in later), "it left") and f.done()])
    finish(groups, gone)
    accepted = [future.result(60)[0] for future in later]

    assert [a.version for a in accepted] == ["v1", "v2", "v1", "v2"]
    assert accepted[0].group == accepted[2].group != accepted[1].group == accepted[3].group


def test_what_is_refused_is_refused_for_all_that_travelled_with_it_and_for_nobody_else(
    open_queue: Callable[..., Queue], pool: Threads, redis: Redis
) -> None:
    queue = open_queue()
    refused = [pool.submit(queue.submit, "unknown", item()) for _ in range(3)]

    assert [type(future.exception(60)) for future in refused] == [UnknownModel] * 3
    assert queue.submit("production", item())[0].version == "v1"
    assert queued(redis) == 1


def test_who_waits_is_woken_by_the_answer(open_queue: Callable[..., Queue], groups: Groups, pool: Threads) -> None:
    queue = open_queue()
    waiter = pool.submit(queue.submit, "production", item(), FOREVER)
    (group,) = eventually(lambda: groups.predictions(None, 5, lambda *_: True)[0], "it is accepted")
    assert not waiter.done()
    name = group.id.replace("_", ":", 1)[:-2]
    finish(groups, name)

    assert waiter.result(60)[0].group == name


def test_who_waits_gets_the_answer_as_its_record_has_it(
    open_queue: Callable[..., Queue], groups: Groups, pool: Threads
) -> None:
    queue = open_queue()
    waiter = pool.submit(queue.answer, "production", item(3))
    (there,) = eventually(lambda: groups.predictions(None, 5, lambda *_: True)[0], "it is accepted")
    name = there.id.replace("_", ":", 1)[:-2]
    finish(groups, name, best=4)

    assert waiter.result(60) == groups.prediction(name, 0) == queue.read(name, 0)


@pytest.mark.parametrize("end", ["fail", "forget"])
def test_who_waits_for_what_fails_or_is_forgotten_hears_of_it(
    open_queue: Callable[..., Queue], groups: Groups, pool: Threads, end: str
) -> None:
    waiter = pool.submit(open_queue().answer, "production", item())
    (there,) = eventually(lambda: groups.predictions(None, 5, lambda *_: True)[0], "it is accepted")
    name = there.id.replace("_", ":", 1)[:-2]
    piece = Slice(name, 0, 1)
    groups.begin(piece)
    if end == "fail":
        groups.finish(piece, [Answer(0, "f", failure())])
        expected = groups.prediction(name, 0)
        assert expected and expected.error
    else:
        groups.forget(name)
        expected = None

    assert waiter.result(60) == expected


def test_an_answer_that_nobody_could_hear_is_found(
    open_queue: Callable[..., Queue], groups: Groups, redis: Redis, pool: Threads
) -> None:
    queue = open_queue()
    waiter = pool.submit(queue.answer, "production", item())
    (there,) = eventually(lambda: groups.predictions(None, 5, lambda *_: True)[0], "it is accepted")
    name = there.id.replace("_", ":", 1)[:-2]
    redis.hset(f"hemline:{name}", "channel", "hemline:answers:nobody")
    finish(groups, name)

    assert waiter.result(60) == groups.prediction(name, 0)
    eventually(lambda: not (queue.queue._flights or queue.queue._overdue), "nothing is left of it")


def test_what_is_read_at_the_same_time_is_read_together(open_queue: Callable[..., Queue], groups: Groups) -> None:
    queue = open_queue()
    names = [groups.submit(f"pred:{number:024d}", "production", [item(number)]).group for number in range(3)]

    async def read_all() -> list[Prediction | None]:
        reads = [queue.queue.read(name, place) for name in names for place in (0, 0, 1)]
        return list(await asyncio.gather(*reads))

    found = queue.call(read_all())
    assert found == [groups.prediction(name, place) for name in names for place in (0, 0, 1)]
    assert [prediction is None for prediction in found] == [False, False, True] * 3


def test_who_waits_in_vain_is_told_what_was_accepted(open_queue: Callable[..., Queue], groups: Groups) -> None:
    queue = open_queue()
    accepted, _ = queue.submit("production", item(), 0.05)

    assert states(groups, accepted.group) == "q"


def test_a_batch_goes_to_its_own_queue_one_message_a_slice(groups: Groups, redis: Redis) -> None:
    groups.submit(ids.new_group("batch"), "production", [item(i) for i in range(9)])

    assert (queue_length(redis, PREDICTIONS), queue_length(redis, BATCHES)) == (0, 3)


def test_watchers_hear_only_of_what_they_watch(groups: Groups, announcements: Announcements, redis: Redis) -> None:
    with announcements.watch("pred:A") as mine, announcements.watch("pred:B") as other:
        eventually(lambda: redis.publish("hemline:done", "pred:A") and mine.is_set(), "it is announced")
        mine.clear()
        assert not (other.is_set() and mine.is_set())
    assert not announcements._watchers


def test_announcements_go_on_after_the_connection_was_lost(
    groups: Groups, announcements: Announcements, redis: Redis
) -> None:
    with announcements.watch("pred:A") as event:
        eventually(lambda: redis.publish("hemline:done", "pred:A"), "somebody listens")
        redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        event.clear()
        eventually(lambda: redis.publish("hemline:done", "pred:A") and event.wait(0.2), "it is heard again")


def test_a_slices_message_is_what_celery_would_send(groups: Groups, redis_server: RedisServer, redis: Redis) -> None:
    """But for base64, and what says who sent it and may hear of it."""
    group = groups.submit(ids.new_group("pred"), "production", [item()]).group
    (ours,) = (orjson.loads(message) for message in redis.lrange("hemline:celery:predictions", 0, -1))
    redis.delete("hemline:celery:predictions")
    name = f"{group}:0:1"
    make_celery(redis_server.url).send_task("predict", (name,), queue=PREDICTIONS, task_id=name, ignore_result=True)
    (theirs,) = (orjson.loads(message) for message in redis.lrange("hemline:celery:predictions", 0, -1))

    assert orjson.loads(ours["body"]) == orjson.loads(b64decode(theirs["body"]))
    assert {**theirs["headers"], **ours["headers"]} == {**theirs["headers"], "argsrepr": name}
    del theirs["properties"]["body_encoding"]
    ours["properties"]["reply_to"] = theirs["properties"]["reply_to"]
    assert ours["properties"] == {**theirs["properties"], "delivery_tag": name}
    for name in ("content-type", "content-encoding"):
        assert ours[name] == theirs[name]


def test_a_slice_that_is_sent_again_has_the_same_message(groups: Groups, redis: Redis) -> None:
    group = groups.submit(ids.new_group("batch"), "production", [item()] * 5).group
    first = redis.lrange("hemline:celery:batches", 0, -1)
    redis.delete("hemline:celery:batches")
    send_slices(redis, [Slice(group, 0, 4), Slice(group, 4, 5)])

    assert redis.lrange("hemline:celery:batches", 0, -1) == first
    assert [str(slice_in(message)) for message in first] == [f"{group}:4:5", f"{group}:0:4"]


def test_an_answer_that_is_given_again_comes_at_once(
    groups: Groups, redis_server: RedisServer, redis: Redis, pool: Threads
) -> None:
    reusing = Groups(redis, max_queued=1000, ttl=3600, slice_size=4, lease=10, reuse=60)
    finish(reusing, reusing.submit(ids.new_group("pred"), "production", [item()]).group, best=3)
    queue = Queue(reusing, redis_server.url)
    for _ in range(2):  # nothing is in flight after it
        prediction = queue.answer("production", item())
        assert prediction and prediction.result and prediction.result.probabilities[3] == 1
        assert reusing.prediction(prediction.id[:-2].replace("_", ":"), 0) == prediction
    queue.end()


def test_a_connection_that_uvloop_has_closed_is_one_that_was_lost(redis_server: RedisServer) -> None:
    """uvloop raises RuntimeError, which redis-py would not take for a lost connection and try again."""

    async def ask_after_loss() -> None:
        async with connect_async(redis_server.url) as redis:
            connection = redis.connection_pool.make_connection()
            await connection.connect()
            connection._writer.transport.abort()
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionError, match="closed"):
                await connection.send_command("PING", check_health=False)

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(ask_after_loss())
    finally:
        loop.close()
