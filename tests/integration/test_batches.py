"""The store of batches, on a real Redis: never half visible, counted right, handed out part by part, gone together."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from redis import Redis

from test_groups import bad_item, failure, queued, result
from test_groups import store as store_block
from workers.batches import Batch, BatchStore
from workers.groups import BULK, Groups
from workers.jobs import JobState
from workers.queue import slice_in
from workers.records import Answer, Item, QueueFull, Slice, UnknownModel

SIZE = 10  # items of a part here; slices have four


@pytest.fixture
def batches(redis: Redis, groups: Groups) -> BatchStore:
    """An empty store."""
    return store(redis, groups)


def store(redis: Redis, groups: Groups, ttl: int = 3600) -> BatchStore:
    return BatchStore(redis, groups, ttl=ttl, slice_size=4, lease=10, max_memory_share=0.8)


def item(label: int | None = None) -> Item:
    doc = {"top_k": 10, "warnings": []}
    return Item(doc if label is None else {**doc, "expected_class_id": label}, bytes([7]) * 784)


def submit(batches: BatchStore, parts: Sequence[Sequence[Item]]) -> tuple[Batch, list[Slice]]:
    """A batch of these parts, and the slices that are asked for at once."""
    with batches.draft("production") as draft:
        for items in parts:
            draft.add(items)
        return draft.submit({"a": "b"}), asked(batches._redis)


def asked(redis: Redis) -> list[Slice]:
    """Take the messages that wait, the next one first."""
    messages: Any = redis.rpop("hemline:celery:batches", 1000) or []
    return [slice_in(message) for message in messages]


def answer(groups: Groups, slices: Sequence[Slice], best: int = 0) -> list[Slice]:
    """Answer slices and whatever is handed out meanwhile; returns all in the order in which they were."""
    line = list(slices)
    for piece in line:
        taken = groups.begin(piece)
        line.extend(asked(groups._redis))
        if taken:
            store_block(groups, piece, taken, best)
    return line


def there(batches: BatchStore, batch: Batch) -> Batch:
    found = batches.batch(batch.name)
    assert found
    return found


def bulk(redis: Redis) -> int:
    return int(redis.get(BULK) or 0)


@pytest.mark.parametrize("crash", [0, 1, 2, 3])
def test_a_crash_between_parts_leaves_nothing_visible_and_nothing_for_ever(
    batches: BatchStore, redis: Redis, crash: int
) -> None:
    """The process is gone: nothing tidies up."""
    before = set(redis.keys())
    abandoned = batches.draft("production")
    draft = abandoned.__enter__()
    for _ in range(crash):
        draft.add([item(1)] * SIZE)

    left = set(redis.keys()) - before
    assert len(left) == crash
    assert all(0 < redis.ttl(key) <= 900 for key in left)
    assert batches.batches(None, 10) == ([], None)
    assert batches.batch(draft.name) is None
    assert (bulk(redis), queued(redis)) == (0, 0)
    abandoned.gen.close()  # type: ignore[attr-defined]


def test_what_goes_wrong_while_a_file_is_read_leaves_nothing_at_all(batches: BatchStore, redis: Redis) -> None:
    before = set(redis.keys())
    with pytest.raises(ValueError, match="the file"), batches.draft("production") as draft:
        draft.add([item()] * SIZE)
        draft.add([item()] * SIZE)
        raise ValueError("the file")

    assert set(redis.keys()) == before


def test_a_batch_whose_answer_was_lost_is_withdrawn(batches: BatchStore, redis: Redis) -> None:
    before = set(redis.keys())
    with pytest.raises(ConnectionError), batches.draft("production") as draft:
        draft.add([item()] * SIZE)
        draft.submit(None)
        raise ConnectionError

    # Whoever takes the message finds no batch.
    left = {BULK.encode(), b"hemline:pending", b"hemline:celery:batches"}
    assert set(redis.keys()) - before == left - before
    assert bulk(redis) == 0


def test_a_batch_that_was_submitted_twice_counts_once(batches: BatchStore, redis: Redis) -> None:
    with batches.draft("production") as draft:
        draft.add([item()] * SIZE)
        first, slices = draft.submit(None), asked(redis)
        second, none = draft.submit(None), asked(redis)

    assert (first, len(slices), none) == (second, 3, [])
    assert bulk(redis) == SIZE


def test_an_accepted_batch_stays_and_is_what_it_was_said_to_be(batches: BatchStore, redis: Redis) -> None:
    batch, slices = submit(batches, [[item(), bad_item(), item()], [bad_item()]])

    assert there(batches, batch) == batch
    assert batch.state is JobState.QUEUED and batch.metadata == {"a": "b"} and batch.confusion is None
    assert (batch.counts[JobState.QUEUED], batch.counts[JobState.FAILED], batch.parts) == (2, 2, 2)
    assert {redis.ttl(key) for key in redis.keys("hemline:batch:*")} == {-1}
    assert (bulk(redis), queued(redis)) == (2, 0)
    assert slices == [Slice(f"{batch.name}.0000", 0, 3)]
    assert [prediction.state.value for prediction in batches.items(batch)] == ["queued", "failed", "queued", "failed"]


def test_parts_are_handed_out_one_after_another_and_all_are_answered(
    batches: BatchStore, groups: Groups, redis: Redis
) -> None:
    batch, slices = submit(batches, [[item()] * SIZE, [bad_item()] * 3, [item()] * SIZE, [item()] * 2])
    assert redis.zcard("hemline:pending") == 3
    taken = groups.begin(slices[0])

    following = asked(redis)
    assert taken and [str(piece) for piece in following] == [
        f"{batch.name}.0002:{start}:{stop}" for start, stop in ((0, 4), (4, 8), (8, 10))
    ]
    assert groups.begin(slices[1]) and asked(redis) == []
    assert there(batches, batch).counts[JobState.RUNNING] == 8
    for piece in slices[:2]:
        groups.finish(piece, [Answer(place, "s", result()) for place in range(piece.start, piece.stop)])
    answer(groups, [slices[2], *following])
    ended = there(batches, batch)
    assert ended.state is JobState.SUCCEEDED
    assert (ended.counts[JobState.SUCCEEDED], ended.counts[JobState.FAILED]) == (22, 3)
    assert redis.zcard("hemline:pending") == bulk(redis) == 0


def test_pictures_are_dropped_when_they_are_answered_and_all_expires_together(
    batches: BatchStore, groups: Groups, redis: Redis
) -> None:
    batch, slices = submit(batches, [[item()] * SIZE, [item()] * SIZE])
    piece = slices[0]
    taken = groups.begin(piece)
    following = asked(redis)
    assert taken and store_block(groups, piece, taken) == 4

    fields = redis.hkeys(f"hemline:{batch.name}.0000")
    assert {field for field in fields if field.startswith(b"P")} == {b"P4", b"P8"}
    answer(groups, slices[1:])
    assert not there(batches, batch).ended
    answer(groups, following)
    ended = there(batches, batch)
    assert ended.ended
    keys = redis.keys(f"hemline:{batch.name}*")
    assert len(keys) == 3 and all(3500 < redis.ttl(key) <= 3600 for key in keys)


def test_labels_are_judged_and_what_failed_is_not(batches: BatchStore, groups: Groups) -> None:
    batch, slices = submit(batches, [[item()] * 3, [item(2), item(2), item(5), item()], [item(9)] * 4])
    answer(groups, slices, best=2)  # hands out nothing before the second part
    wrong = Slice(f"{batch.name}.0002", 0, 4)
    groups.begin(wrong)
    groups.finish(wrong, [Answer(0, "f", failure()), Answer(1, "s", result(9))])
    confusion = there(batches, batch).confusion

    assert confusion
    expected = np.zeros((10, 10), int)
    expected[2, 2], expected[5, 2], expected[9, 2] = 2, 1, 4
    assert np.array_equal(confusion, expected)


def test_a_failed_picture_is_neither_right_nor_wrong(batches: BatchStore, groups: Groups) -> None:
    batch, slices = submit(batches, [[item(3), item(3), item(3)]])
    groups.begin(slices[0])
    groups.finish(slices[0], [Answer(0, "s", result(3)), Answer(1, "f", failure()), Answer(2, "s", result(4))])
    confusion = there(batches, batch).confusion

    assert confusion and sum(map(sum, confusion)) == 2
    assert (confusion[3][3], confusion[3][4]) == (1, 1)


def test_canceling_in_the_middle_keeps_what_is_done(batches: BatchStore, groups: Groups, redis: Redis) -> None:
    batch, slices = submit(batches, [[item()] * SIZE, [item()] * SIZE, [item()] * SIZE])
    answered, begun, waiting = slices
    for piece in (answered, begun):
        groups.begin(piece)
    groups.finish(answered, [Answer(place, "s", result()) for place in range(4)])
    assert batches.cancel(there(batches, batch))

    running = there(batches, batch)
    assert running.state is JobState.RUNNING and running.counts[JobState.CANCELED] == 22
    assert groups.begin(waiting) is None
    assert groups.begin(Slice(f"{batch.name}.0001", 0, 4)) is None
    groups.finish(begun, [Answer(place, "s", result()) for place in range(4, 8)])
    ended = there(batches, batch)
    assert ended.state is JobState.CANCELED and ended.counts[JobState.SUCCEEDED] == 8
    assert [p.state.value for p in batches.items(ended)] == ["succeeded"] * 8 + ["canceled"] * 22
    assert bulk(redis) == 0
    keys = redis.keys(f"hemline:{batch.name}*")
    assert len(keys) == 4 and all(redis.ttl(key) > 0 for key in keys)
    assert not any(field.startswith(b"p") for key in keys if b"." in key for field in redis.hkeys(key))


@pytest.mark.parametrize("begun", [False, True])
def test_a_forgotten_batch_leaves_nothing_behind(
    batches: BatchStore, groups: Groups, redis: Redis, begun: bool
) -> None:
    before = set(redis.keys())
    batch, slices = submit(batches, [[item()] * SIZE, [item()] * SIZE])
    if begun:
        groups.begin(slices[0])
        groups.finish(slices[0], [Answer(0, "s", result())])

    assert batches.forget(batch.name)
    assert not batches.forget(batch.name)
    assert batches.batch(batch.name) is None and list(batches.items(batch)) == []
    assert bulk(redis) == 0
    for piece in [*slices, Slice(f"{batch.name}.0001", 0, 4)]:
        assert groups.finish(piece, [Answer(piece.start, "s", result())]) == 0
        assert groups.begin(piece) is None
    assert not [key for key in set(redis.keys()) - before if b":batch:" in key]


def test_a_batch_in_which_everything_failed_has_ended(batches: BatchStore, redis: Redis) -> None:
    batch, slices = submit(batches, [[bad_item()] * 3, [bad_item()]])

    assert slices == [] and batch.state is JobState.SUCCEEDED
    assert there(batches, batch).ended == batch.ended
    assert all(redis.ttl(key) > 0 for key in redis.keys(f"hemline:{batch.name}*"))


def test_an_unknown_model_is_refused_before_anything_is_read(batches: BatchStore, redis: Redis) -> None:
    with pytest.raises(UnknownModel), batches.draft("v9"):
        raise AssertionError("nothing is read")
    with pytest.raises(UnknownModel), batches.draft("production") as draft:
        draft.add([item()])
        redis.srem("hemline:versions", "v1")
        draft.submit(None)
    assert not redis.keys("hemline:batch:*")


def test_an_alias_that_moves_while_a_file_is_read_is_followed(
    batches: BatchStore, groups: Groups, redis: Redis
) -> None:
    with batches.draft("production") as draft:
        draft.add([item()])
        redis.hset("hemline:aliases", "production", "v2")
        batch, slices = draft.submit(None), asked(batches._redis)

    taken = groups.begin(slices[0])
    assert batch.version == "v2" and taken and taken.version == "v2"


def test_a_part_that_expired_while_the_rest_was_read_refuses_the_batch(batches: BatchStore, redis: Redis) -> None:
    with pytest.raises(QueueFull, match="so long"), batches.draft("production") as draft:
        draft.add([item()])
        draft.add([item()])
        redis.delete(draft.part(0))
        draft.submit(None)
    assert batches.batches(None, 10) == ([], None) and not redis.keys("hemline:batch:*")


def test_a_batch_that_does_not_fit_is_refused_and_leaves_nothing(batches: BatchStore, redis: Redis) -> None:
    before = set(redis.keys())
    used = int(redis.info("memory")["used_memory"])
    try:
        redis.config_set("maxmemory", round(used / 0.4 + 3 * 1024 * 1024))  # room for about 1.2 MB
        with pytest.raises(QueueFull, match="Redis holds"), batches.draft("production") as draft:
            for _ in range(5):
                draft.add([item()] * 1000)
        assert draft.parts == 1
    finally:
        redis.config_set("maxmemory", 0)
    assert set(redis.keys()) == before
    redis.set("hemline:full", 1)
    with pytest.raises(QueueFull):
        submit(batches, [[item()]])


def test_batches_of_both_kinds_are_paged_newest_first(batches: BatchStore, groups: Groups) -> None:
    made = []
    for number in range(7):
        if number % 2:
            made.append(submit(batches, [[item()]])[0].name)
        else:
            made.append(f"batch:{number:024d}".replace("batch:0", "batch:7"))
            groups.submit(made[-1], "production", [item(), bad_item()])
    found: list[str] = []
    cursor = None
    while cursor or not found:
        page, cursor = batches.batches(cursor, 2)
        found += [batch.name for batch in page]
        assert all(sum(batch.counts.values()) == (1 if batch.parts else 2) for batch in page)

    assert found == sorted(made, reverse=True)


def test_counts_are_right_after_anything_that_may_happen(batches: BatchStore, groups: Groups, redis: Redis) -> None:
    chance = random.Random(5)
    known: list[Batch] = []
    for _ in range(600):
        if not known or chance.random() < 0.05:
            items = [chance.choice([item(), item(chance.randrange(10)), bad_item()]) for _ in range(30)]
            known.append(submit(batches, [items[:9], items[9:18], items[18:]])[0])
        batch = chance.choice(known)
        part = chance.randrange(3)
        piece = chance.choice(groups.slices(f"{batch.name}.{part:04d}", 12 if part == 2 else 9))
        match chance.randrange(12):
            case 0 if chance.random() < 0.3:
                batches.forget(batch.name)
            case 1 if chance.random() < 0.3:
                batches.cancel(batch)
            case 2 | 3 | 4 | 5:
                groups.begin(piece)
            case _:
                places = [place for place in range(piece.start, piece.stop) if chance.random() < 0.7]
                groups.finish(piece, [Answer(i, *chance.choice([("s", result()), ("f", failure())])) for i in places])
        found = batches.batch(batch.name)
        if found:
            states = [prediction.state for prediction in batches.items(found)]
            assert found.counts == {state: states.count(state) for state in JobState}
            assert bool(found.ended) == all(state.is_final for state in states)
    waiting = [p.state.is_final for batch in known for p in batches.items(batch)]
    assert bulk(redis) == waiting.count(False)
    assert queued(redis) == 0
