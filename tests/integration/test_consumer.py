"""A worker that has one message helps itself to those behind it: queue by queue, and not beyond its time."""

import threading

import pytest
from celery.worker import state
from redis import Redis

from test_groups import submit
from workers import consumer
from workers.app import connect
from workers.consumer import Consumer
from workers.groups import Groups
from workers.queue import BATCHES, PREDICTIONS
from workers.records import Slice


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_PATIENCE", 0.05)


def names(groups: list[str]) -> list[Slice]:
    return [Slice(group, 0, 1) for group in groups]


def test_what_waits_behind_a_message_is_run_in_order(groups: Groups, redis: Redis) -> None:
    ran: list[Slice] = []
    waiting = [submit(groups) for _ in range(3)]
    Consumer(redis, [PREDICTIONS, BATCHES], ran.append)(first := Slice("pred:first", 0, 1))

    assert ran == [first, *names(waiting)]
    assert redis.llen("hemline:celery:predictions") == 0


def test_queues_take_turns(groups: Groups, redis: Redis) -> None:
    ran: list[Slice] = []
    single, bulk = [submit(groups) for _ in range(3)], [submit(groups, kind="batch") for _ in range(3)]
    Consumer(redis, [PREDICTIONS, BATCHES], ran.append)(Slice("pred:first", 0, 1))

    assert ran[1:] == [piece for pair in zip(names(single), names(bulk), strict=True) for piece in pair]


def test_what_arrives_while_a_worker_waits_is_run_at_once(groups: Groups, redis: Redis) -> None:
    ran: list[Slice] = []

    def run(piece: Slice) -> None:
        ran.append(piece)
        if len(ran) < 4:
            submit(groups)

    Consumer(redis, [PREDICTIONS, BATCHES], run)(Slice("pred:first", 0, 1))
    assert len(ran) == 4


def test_celery_has_its_turn_after_a_while(groups: Groups, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_LONGEST", 0.0)
    ran: list[Slice] = []
    submit(groups)
    Consumer(redis, [PREDICTIONS], ran.append)(Slice("pred:first", 0, 1))

    assert len(ran) == 1 and redis.llen("hemline:celery:predictions") == 1


@pytest.mark.parametrize("name", ["should_stop", "should_terminate"])
def test_a_worker_that_is_told_to_end_takes_nothing_more(
    groups: Groups, redis: Redis, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ran: list[Slice] = []
    submit(groups)
    monkeypatch.setattr(state, name, 0)
    Consumer(redis, [PREDICTIONS], ran.append)(Slice("pred:first", 0, 1))

    assert len(ran) == 1 and redis.llen("hemline:celery:predictions") == 1


def test_redis_being_away_leaves_it_to_celery(groups: Groups) -> None:
    ran: list[Slice] = []
    nowhere = connect("redis://127.0.0.1:1")
    Consumer(nowhere, [PREDICTIONS], ran.append)(Slice("pred:first", 0, 1))

    assert len(ran) == 1


def test_several_threads_share_what_waits(groups: Groups, redis: Redis) -> None:
    ran: list[Slice] = []
    together = threading.Barrier(2, timeout=60)
    waiting = [submit(groups) for _ in range(6)]

    def run(piece: Slice) -> None:
        ran.append(piece)
        if len(ran) <= 2:
            together.wait()  # which one thread alone would never pass

    Consumer(redis, (PREDICTIONS, BATCHES), run, threads=2)(first := Slice("pred:first", 0, 1))
    assert sorted(ran) == sorted([first, *names(waiting)])


def test_what_fails_in_another_thread_is_raised(groups: Groups, redis: Redis) -> None:
    submit(groups)

    def run(piece: Slice) -> None:
        if piece.group != "pred:first":
            raise RuntimeError("it failed")

    with pytest.raises(RuntimeError, match="it failed"):
        Consumer(redis, (PREDICTIONS,), run, threads=2)(Slice("pred:first", 0, 1))
