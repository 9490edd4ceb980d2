"""What a crash left behind is found again, and nothing else is sent twice."""

import os
import time
from pathlib import Path

import orjson
import pytest
from celery import Celery
from redis import Redis

from processes import RedisServer, eventually
from settings import Settings
from test_groups import finish, states, submit
from workers import upkeep
from workers.app import connect, make_celery
from workers.groups import Groups
from workers.records import Slice
from workers.jobs import JobStore
from workers.metrics import Metrics
from workers.queue import PREDICTIONS, queue_length, send_job, slice_in
from workers.upkeep import Activity, Heartbeat, Sweep, Upkeep, alive


@pytest.fixture
def hasty(redis: Redis, groups: Groups) -> Groups:
    """A store whose slices are overdue at once."""
    return Groups(redis, max_queued=1000, ttl=3600, slice_size=4, lease=0)


@pytest.fixture
def celery(redis_server: RedisServer) -> Celery:
    return make_celery(redis_server.url)


@pytest.fixture
def sweep(redis: Redis, hasty: Groups, celery: Celery) -> Sweep:
    return Sweep(redis, hasty, [(JobStore.training(redis, Settings()), send_job)], celery, Metrics(redis),
                 max_memory_share=0.8)  # fmt: skip


def sent(redis: Redis, queue: str = PREDICTIONS) -> list[str]:
    """The slices whose messages wait, the next one first."""
    messages = redis.lrange(f"hemline:celery:{queue}", 0, -1)
    return [str(slice_in(message)) for message in reversed(messages)]


def lose(redis: Redis, queue: str = PREDICTIONS) -> None:
    """The messages that wait are gone."""
    redis.delete(f"hemline:celery:{queue}")


def let_sweep(redis: Redis) -> None:
    """Another worker may have its turn now."""
    redis.delete("hemline:sweep")


def test_a_prediction_whose_message_was_lost_is_sent(sweep: Sweep, hasty: Groups, redis: Redis) -> None:
    group = submit(hasty, 6)
    lose(redis)
    sweep.run()

    assert sorted(sent(redis)) == [f"{group}:0:4", f"{group}:4:6"]


def test_a_batch_is_sent_again_to_its_own_queue(sweep: Sweep, hasty: Groups, redis: Redis) -> None:
    group = submit(hasty, 1, "batch")
    lose(redis, "batches")
    sweep.run()

    assert sent(redis) == []
    assert sent(redis, "batches") == [f"{group}:0:1"]


def test_what_a_worker_took_and_never_answered_is_sent_again(sweep: Sweep, hasty: Groups, redis: Redis) -> None:
    group = submit(hasty)
    lose(redis)
    hasty.begin(Slice(group, 0, 1))
    sweep.run()

    assert sent(redis) == [f"{group}:0:1"]


def test_a_message_that_waits_its_turn_is_not_sent_again(sweep: Sweep, hasty: Groups, redis: Redis) -> None:
    groups = [submit(hasty) for _ in range(5)]
    for _ in range(3):
        sweep.run()
        let_sweep(redis)

    assert sent(redis) == [f"{group}:0:1" for group in groups]


def test_a_message_lost_before_others_that_wait_is_sent(sweep: Sweep, hasty: Groups, redis: Redis) -> None:
    lost = submit(hasty)
    lose(redis)
    waiting = submit(hasty)
    sweep.run()

    assert sent(redis) == [f"{waiting}:0:1", f"{lost}:0:1"]


def test_what_is_answered_or_within_its_lease_is_not_sent(
    sweep: Sweep, groups: Groups, hasty: Groups, redis: Redis
) -> None:
    finish(hasty, submit(hasty))
    submit(groups)
    groups.begin(Slice(submit(groups), 0, 1))
    lose(redis)
    sweep.run()

    assert sent(redis) == []


def test_what_was_forgotten_leaves_the_pending_ones_when_it_is_begun(hasty: Groups) -> None:
    group = submit(hasty, 2)
    hasty.forget(group)
    (piece,) = hasty.overdue(10)

    assert hasty.begin(piece) is None
    assert hasty.overdue(10) == []


def test_one_worker_sweeps_at_a_time(sweep: Sweep, hasty: Groups, redis: Redis) -> None:
    redis.set("hemline:sweep", "another")
    submit(hasty)
    lose(redis)
    sweep.run()

    assert sent(redis) == []


def test_index_entries_of_expired_groups_are_dropped(sweep: Sweep, groups: Groups, redis: Redis) -> None:
    kept, expired = submit(groups, 1, "batch"), submit(groups)
    redis.delete(f"hemline:{expired}")
    for _ in range(2):
        sweep.run()
        let_sweep(redis)

    assert redis.zrange("hemline:index:pred", 0, -1) == []
    assert redis.zrange("hemline:index:batch", 0, -1) == [kept.encode()]


def test_a_redis_that_fills_up_takes_no_more(sweep: Sweep, redis: Redis) -> None:
    try:
        redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] * 1.1))
        sweep.run()
        assert redis.exists("hemline:full")
        redis.delete("hemline:full")
        let_sweep(redis)
        redis.config_set("maxmemory", "1gb")
        sweep.run()
        assert not redis.exists("hemline:full")
    finally:
        redis.config_set("maxmemory", 0)


def test_a_heartbeat_counts_while_it_is_fresh(redis: Redis) -> None:
    heartbeat = Heartbeat(redis, PREDICTIONS, Activity())
    assert alive(redis, PREDICTIONS) == 0
    heartbeat.beat()
    heartbeat.beat()
    assert alive(redis, PREDICTIONS) == 1
    assert alive(redis, "training") == 0

    redis.zadd("hemline:workers:predictions", {"long gone": time.time() - 100, "late": time.time() - 10})
    assert alive(redis, PREDICTIONS) == 1
    heartbeat.beat()
    assert redis.zscore("hemline:workers:predictions", "long gone") is None
    heartbeat.end()
    assert alive(redis, PREDICTIONS) == 0


@pytest.mark.parametrize("waiting, idle, ends", [(1, 100.0, True), (1, 0.0, False), (0, 100.0, False)])
def test_a_worker_that_takes_nothing_while_messages_wait_ends(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, waiting: int, idle: float, ends: bool
) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    monkeypatch.setattr(upkeep, "_STALLED_AFTER", 0.01)
    for _ in range(waiting):
        redis.lpush("hemline:celery:predictions", orjson.dumps({}))
    activity = Activity()
    monkeypatch.setattr(activity, "idle_for", lambda: idle)
    heartbeat = Heartbeat(redis, PREDICTIONS, activity)
    heartbeat.beat()
    time.sleep(0.02)
    heartbeat.beat()

    assert statuses == ([70] if ends else [])
    assert queue_length(redis, PREDICTIONS) == waiting


def test_a_chore_that_fails_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    rounds: list[int] = []

    def fail() -> None:
        raise ValueError("a chore")

    chores = Upkeep(fail, lambda: rounds.append(1))
    chores.start()
    eventually(lambda: len(rounds) > 2, "chores go on")
    chores.stop()
    chores.join()


def test_a_probe_sees_that_upkeep_lives_also_while_redis_is_away(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    chores = Upkeep(connect("redis://127.0.0.1:1").ping, alive_file=str(file))
    chores.start()
    first = eventually(lambda: file.exists() and file.stat().st_mtime_ns, "the file is there")
    eventually(lambda: file.stat().st_mtime_ns > first, "it is touched again")
    chores.stop()
    chores.join()


def test_a_slice_that_is_swept_keeps_its_state(sweep: Sweep, hasty: Groups) -> None:
    group = submit(hasty, 3)
    sweep.run()

    assert states(hasty, group) == "qqq"


def test_a_lost_slice_behind_many_that_wait_is_sent(
    sweep: Sweep, hasty: Groups, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_PAGE", 3)
    groups = [submit(hasty) for _ in range(6)]
    hasty.begin(Slice(groups[-1], 0, 1))  # whose worker then died
    for _ in range(4):
        let_sweep(redis)
        sweep.run()

    assert f"{groups[-1]}:0:1" in sent(redis)[6:]


def test_a_job_whose_message_was_lost_is_sent_once_however_much_else_waits(
    sweep: Sweep, redis: Redis, celery: Celery
) -> None:
    jobs = JobStore.training(redis, Settings())
    send_job(celery, "job_of_another_kind")
    job = jobs.submit({})
    for _ in range(3):
        redis.zadd("hemline:due:job", {job.id: 0})
        let_sweep(redis)
        sweep.run()

    messages = redis.lrange("hemline:celery:training", 0, -1)
    assert [job.id.encode() in message for message in messages] == [True, False]


def test_an_index_is_freed_of_everything_that_is_gone_in_one_round(
    sweep: Sweep, hasty: Groups, redis: Redis
) -> None:
    redis.zadd("hemline:index:pred", {f"pred:0{number:023d}": 0 for number in range(1700)})
    there = submit(hasty)
    sweep.run()

    assert redis.zrange("hemline:index:pred", 0, -1) == [there.encode()]


def test_a_worker_whose_clock_is_behind_finds_jobs_that_are_due(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = JobStore.training(redis, Settings())
    job = jobs.submit({}).id
    redis.zadd("hemline:due:job", {job: 1})
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert jobs.lapsed() == [job]
