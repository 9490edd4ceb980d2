"""Predictions that arrive together travel together, and an idle service sends at once."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest
from redis import Redis

from processes import RedisServer, eventually
from test_groups import finish, item, queued, states
from workers.announcements import Announcements
from workers.app import connect, make_celery
from workers.groups import Groups
from workers.records import Accepted, UnknownModel
from workers.queue import BATCHES, PREDICTIONS, PredictionQueue, queue_length

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


def make_queue(
    groups: Groups, announcements: Announcements, url: str, *, batch_size: int = 64, linger: float = FOREVER
) -> PredictionQueue:
    return PredictionQueue(groups, make_celery(url), announcements, batch_size=batch_size, linger=linger)


def waiting(queue: PredictionQueue) -> int:
    return sum(map(len, queue._waiting.values()))


def test_what_finds_nothing_in_flight_leaves_at_once(
    groups: Groups, announcements: Announcements, redis_server: RedisServer, redis: Redis
) -> None:
    queue = make_queue(groups, announcements, redis_server.url)
    accepted, place = queue.submit("production", item())

    assert place == 0
    assert states(groups, accepted.group) == "q"
    eventually(lambda: queue_length(redis, PREDICTIONS) == 1, "the message is sent")


def test_what_arrives_while_something_is_in_flight_travels_together_when_that_has_landed(
    groups: Groups, announcements: Announcements, redis_server: RedisServer, pool: Threads
) -> None:
    queue = make_queue(groups, announcements, redis_server.url)
    first, _ = queue.submit("production", item())
    later = [pool.submit(queue.submit, "production", item(i)) for i in range(5)]
    eventually(lambda: waiting(queue) == 5, "five wait for company")
    assert not any(future.done() for future in later)
    finish(groups, first.group)

    accepted = [future.result(60) for future in later]
    assert len({a.group for a, _ in accepted}) == 1
    assert accepted[0][0].group != first.group
    assert sorted(place for _, place in accepted) == list(range(5))


def test_a_full_batch_leaves_without_waiting(
    groups: Groups, announcements: Announcements, redis_server: RedisServer, pool: Threads
) -> None:
    queue = make_queue(groups, announcements, redis_server.url, batch_size=4)
    first, _ = queue.submit("production", item())
    later = [pool.submit(queue.submit, "production", item(i)) for i in range(9)]
    done = eventually(lambda: [f for f in later if f.done()][7:] and [f for f in later if f.done()], "two batches left")

    assert len(done) == 8
    assert waiting(queue) == 1
    assert sorted(sum(a.group == g for a, _ in map(Future.result, done)) for g in groups_of(done)) == [4, 4]
    for group in {first.group, *groups_of(done)}:
        finish(groups, group)
    for future in later:
        future.result(60)


def groups_of(futures: list[Future[tuple[Accepted, int]]]) -> set[str]:
    return {future.result()[0].group for future in futures}


def test_nobody_waits_for_company_longer_than_the_linger(
    groups: Groups, announcements: Announcements, redis_server: RedisServer
) -> None:
    queue = make_queue(groups, announcements, redis_server.url, linger=0.01)
    first, _ = queue.submit("production", item())
    second, _ = queue.submit("production", item())

    assert first.group != second.group


def test_predictions_of_different_models_do_not_travel_together(
    groups: Groups, announcements: Announcements, redis_server: RedisServer, pool: Threads
) -> None:
    queue = make_queue(groups, announcements, redis_server.url)
    first, _ = queue.submit("production", item())
    later = [pool.submit(queue.submit, model, item()) for model in ("production", "v2", "production", "v2")]
    eventually(lambda: waiting(queue) == 4, "four wait")
    finish(groups, first.group)
    eventually(lambda: waiting(queue) < 4, "one model leaves")
    (gone,) = groups_of([f for f in later if eventually(lambda: any(x.done() for x in later), "it left") and f.done()])
    finish(groups, gone)
    accepted = [future.result(60)[0] for future in later]

    assert [a.version for a in accepted] == ["v1", "v2", "v1", "v2"]
    assert accepted[0].group == accepted[2].group != accepted[1].group == accepted[3].group


def test_what_is_refused_is_refused_for_all_that_travelled_with_it_and_for_nobody_else(
    groups: Groups, announcements: Announcements, redis_server: RedisServer, pool: Threads, redis: Redis
) -> None:
    queue = make_queue(groups, announcements, redis_server.url)
    refused = [pool.submit(queue.submit, "unknown", item()) for _ in range(3)]

    assert [type(future.exception(60)) for future in refused] == [UnknownModel] * 3
    assert queue.submit("production", item())[0].version == "v1"
    assert queued(redis) == 1


def test_who_waits_is_woken_by_the_answer(
    groups: Groups, announcements: Announcements, redis_server: RedisServer, pool: Threads
) -> None:
    queue = make_queue(groups, announcements, redis_server.url)
    waiter = pool.submit(queue.submit, "production", item(), FOREVER)
    (group,) = eventually(lambda: groups.predictions(None, 5, lambda *_: True)[0], "it is accepted")
    assert not waiter.done()
    name = group.id.replace("_", ":", 1)[:-2]
    finish(groups, name)

    assert waiter.result(60)[0].group == name
    assert not announcements._watchers.get(name)


def test_who_waits_in_vain_is_told_what_was_accepted(
    groups: Groups, announcements: Announcements, redis_server: RedisServer
) -> None:
    queue = make_queue(groups, announcements, redis_server.url)
    accepted, _ = queue.submit("production", item(), 0.05)

    assert states(groups, accepted.group) == "q"


def test_a_batch_goes_to_its_own_queue_one_message_a_slice(
    groups: Groups, announcements: Announcements, redis_server: RedisServer, redis: Redis
) -> None:
    queue = make_queue(groups, announcements, redis_server.url)
    accepted = queue.submit_batch("production", [item(i) for i in range(9)], None)

    assert accepted == groups.group(accepted.name)
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
