"""The store of predictions, on a real Redis: nothing half written, nothing final changed, nothing counted twice."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import orjson
import pytest
from redis import Redis

from workers import groups as groups_module
from workers import ids
from workers.groups import QUEUED, Groups
from workers.records import RESULT, Answer, Item, QueueFull, Slice, Taken, UnknownModel, error
from workers.jobs import JobState

PIXELS = bytes(784)
DOC = {"top_k": 10, "warnings": [], "decode_ms": 0.1}


def item(number: int = 0) -> Item:
    return Item({**DOC, "metadata": {"number": str(number)}}, bytes([number % 256]) * 784)


def bad_item() -> Item:
    return Item(DOC, error=error("not_an_image", "This is no picture."))


def submit(groups: Groups, count: int = 1, kind: str = "pred", model: str = "production") -> str:
    group = ids.new_group(kind)
    groups.submit(group, model, [item(i) for i in range(count)])
    return group


def result(best: int = 0) -> bytes:
    values = np.zeros(1, RESULT)
    values["probabilities"][0, best] = 1
    values["started"] = values["completed"] = time.time_ns() // 1000
    return values.tobytes()


def failure() -> bytes:
    return orjson.dumps({**error("inference_failed", "It could not."), "completed": time.time_ns() // 1000})


def finish(groups: Groups, group: str, best: int = 0) -> None:
    """Answer everything that is open of a group."""
    found = groups.group(group)
    assert found
    for piece in groups.slices(group, len(found.states)):
        taken = groups.begin(piece)
        if taken:
            store(groups, piece, taken, best)


def store(groups: Groups, piece: Slice, taken: Taken, best: int = 0) -> int:
    """Answer all that was taken, as a worker does."""
    if taken.in_block:
        return groups.finish_block(piece, taken.places, np.frombuffer(result(best) * len(taken.places), RESULT))
    return groups.finish(piece, [Answer(place, "s", result(best)) for place in taken.places])


def queued(redis: Redis) -> int:
    return int(redis.get(QUEUED) or 0)


def states(groups: Groups, group: str) -> str:
    found = groups.group(group)
    assert found
    return found.states


def test_an_accepted_prediction_waits_with_what_came_along(groups: Groups, redis: Redis) -> None:
    group = ids.new_group("pred")
    accepted = groups.submit(group, "production", [item(1), item(2)])
    prediction = groups.prediction(group, 1)

    assert (accepted.group, accepted.version, accepted.queued) == (group, "v1", 2)
    assert prediction
    assert prediction.id == ids.join(group, 1)
    assert prediction.state is JobState.QUEUED
    assert prediction.version == "v1"
    assert prediction.created == accepted.created
    assert prediction.doc["metadata"] == {"number": "2"}
    assert prediction.pixels == bytes([2]) * 784
    assert (prediction.started, prediction.completed, prediction.expires, prediction.result) == (None,) * 4
    assert queued(redis) == 2


def test_a_plain_picture_is_784_bytes_and_any_other_one_more(groups: Groups, redis: Redis) -> None:
    group = ids.new_group("pred")
    items = [Item(DOC, PIXELS, photo=photo, explain=explain) for photo in (False, True) for explain in (False, True)]
    groups.submit(group, "production", items)
    taken = groups.begin(Slice(group, 0, 4))

    assert [redis.hget(f"hemline:{group}", f"p{i}") for i in range(4)] == [
        PIXELS, PIXELS + b"\2", PIXELS + b"\1", PIXELS + b"\3",
    ]  # fmt: skip
    assert taken and [row.tobytes() for row in taken.pixels] == [PIXELS] * 4
    assert taken.photos.tolist() == [False, False, True, True]
    assert taken.explained.tolist() == [False, True, False, True]


def test_the_version_stays_pinned_when_the_alias_moves(groups: Groups, redis: Redis) -> None:
    before = submit(groups)
    redis.hset("hemline:aliases", "production", "v2")
    after = submit(groups)

    assert [groups.group(group).version for group in (before, after)] == ["v1", "v2"]  # type: ignore[union-attr]


def test_a_version_can_be_asked_for_by_its_id(groups: Groups) -> None:
    assert groups.submit(ids.new_group("pred"), "v2", [item()]).version == "v2"


@pytest.mark.parametrize("model", ["v3", "staging", "", "V1", "production "])
def test_an_unknown_model_stores_nothing(groups: Groups, redis: Redis, model: str) -> None:
    before = sorted(redis.keys())
    with pytest.raises(UnknownModel):
        submit(groups, model=model)

    assert sorted(redis.keys()) == before


def test_an_alias_of_a_version_that_is_gone_is_unknown(groups: Groups, redis: Redis) -> None:
    redis.srem("hemline:versions", "v1")
    with pytest.raises(UnknownModel):
        submit(groups)


def test_a_full_queue_stores_nothing_and_takes_what_just_fits(groups: Groups, redis: Redis) -> None:
    submit(groups, 998)
    before = sorted(redis.keys())
    with pytest.raises(QueueFull, match="998"):
        submit(groups, 3)
    assert sorted(redis.keys()) == before

    submit(groups, 2)
    with pytest.raises(QueueFull):
        submit(groups)
    assert queued(redis) == 1000


def test_a_redis_that_runs_out_of_memory_takes_nothing(groups: Groups, redis: Redis) -> None:
    redis.set("hemline:full", 1)
    with pytest.raises(QueueFull):
        submit(groups)
    assert queued(redis) == 0


def test_a_group_that_is_submitted_twice_is_stored_once(groups: Groups, redis: Redis) -> None:
    group = ids.new_group("pred")
    first = groups.submit(group, "production", [item(1)])
    redis.hset("hemline:aliases", "production", "v2")
    second = groups.submit(group, "production", [item(2)])

    assert (second.version, second.created) == (first.version, first.created)
    assert queued(redis) == 1
    assert groups.prediction(group, 0).doc["metadata"] == {"number": "1"}  # type: ignore[union-attr]


def labels(groups: Groups, group: str) -> list[int | str]:
    """What became of each item: the class that it got, or its state."""
    found = groups.group(group)
    assert found
    items = groups.items(found, range(len(found.states)))
    return [i.result.probabilities.index(1) if i.result else i.state.value for i in items]


def test_a_slice_of_a_batch_is_answered_as_a_block_and_once(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 6, "batch")
    first, last = groups.slices(group, 6)
    one, other = groups.begin(first), groups.begin(first)
    assert one and other and one.in_block and one.places == [0, 1, 2, 3]
    assert one.pixels.tolist() == [[i] * 784 for i in range(4)]
    assert store(groups, first, one, 1) == 4
    assert store(groups, first, other, 2) == 0
    assert groups.finish(first, [Answer(0, "s", result(3)), Answer(1, "f", failure())]) == 0
    assert groups.begin(first) is None
    assert labels(groups, group) == [1, 1, 1, 1, "queued", "queued"]
    assert queued(redis) == 2
    assert (taken := groups.begin(last)) and taken.places == [4, 5] and store(groups, last, taken, 5) == 2
    assert labels(groups, group) == [1, 1, 1, 1, 5, 5]
    assert [i.doc["metadata"]["number"] for i in groups.items(groups.group(group), range(6))] == list("012345")
    assert (found := groups.prediction(group, 5)) and found.pixels == bytes([5]) * 784


def test_what_was_answered_by_itself_stays_when_a_block_comes_late(groups: Groups) -> None:
    group = ids.new_group("batch")
    groups.submit(group, "production", [item(0), bad_item(), item(2), item(3)])
    (piece,) = groups.slices(group, 4)
    slow, taken = groups.begin(piece), groups.begin(piece)
    assert slow and taken and taken.places == [0, 2, 3]
    assert groups.finish(piece, [Answer(2, "s", result(9)), Answer(3, "f", failure())]) == 2
    assert store(groups, piece, slow, 4) == 1
    assert labels(groups, group) == [4, "failed", 9, "failed"]
    assert (late := groups.prediction(group, 1)) and late.error == error("not_an_image", "This is no picture.")
    assert (late := groups.prediction(group, 2)) and late.result and late.result.probabilities[9] == 1


def test_pixels_of_what_was_canceled_are_dropped_where_nobody_needs_them(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 12, "batch")
    answered, begun, _ = groups.slices(group, 12)
    taken, running = groups.begin(answered), groups.begin(begun)
    assert taken and running and store(groups, answered, taken) == 4
    groups.cancel(group)
    assert store(groups, begun, running, 1) == 4
    assert labels(groups, group) == [0] * 4 + [1] * 4 + ["canceled"] * 4
    assert {name for name in redis.hkeys(f"hemline:{group}") if name[:1] == b"P"} == {b"P0", b"P4"}


def test_a_batch_that_goes_while_it_is_read_ends_the_reading(
    groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = ids.new_group("batch")
    groups.submit(group, "production", [item(0), bad_item(), item(2)])
    (piece,) = groups.slices(group, 3)
    taken, found = groups.begin(piece), None
    assert taken and store(groups, piece, taken) == 2 and (found := groups.group(group))
    read = groups._redis.hmget

    def read_and_lose(*arguments: object) -> object:
        answer = read(*arguments)  # type: ignore[arg-type]
        groups.forget(group)
        return answer

    monkeypatch.setattr(groups._redis, "hmget", read_and_lose)
    assert [each.place for each in groups.items(found, range(3))] == [0, 2]
    assert list(groups.items(found, range(3))) == []


def test_photos_of_a_batch_are_known_as_such(groups: Groups) -> None:
    group = ids.new_group("batch")
    groups.submit(group, "production", [Item(DOC, PIXELS, photo=photo) for photo in (True, False)])
    taken = groups.begin(groups.slices(group, 2)[0])
    assert taken and taken.photos.tolist() == [True, False] and not taken.explained.any()
    alone = taken.alone(0)
    assert alone.places == [0] and alone.photos.tolist() == [True] and not alone.in_block


def test_a_group_is_taken_twice_but_answered_once(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 3)
    (piece,) = groups.slices(group, 3)
    first, second = groups.begin(piece), groups.begin(piece)

    assert first and second
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.places == second.places == [0, 1, 2]
    assert first.pixels.tolist() == second.pixels.tolist() == [[i] * 784 for i in range(3)]
    assert groups.finish(piece, [Answer(i, "s", result(best=1)) for i in range(3)]) == 3
    assert groups.finish(piece, [Answer(i, "s", result(best=2)) for i in range(3)]) == 0
    assert groups.finish(piece, [Answer(i, "f", failure()) for i in range(3)]) == 0
    answers = [groups.prediction(group, i) for i in range(3)]
    assert all(p and p.state is JobState.SUCCEEDED and p.result.probabilities[1] == 1 for p in answers)
    assert groups.begin(piece) is None
    assert queued(redis) == 0


def test_only_one_of_many_answers_at_once_is_stored(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 4)
    (piece,) = groups.slices(group, 4)
    groups.begin(piece)
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(
            lambda n: groups.finish(piece, [Answer(i, "s", result(best=n % 10)) for i in range(4)]), range(40)
        ))  # fmt: skip

    assert sorted(stored) == [0] * 39 + [4]
    best = {int(np.argmax(p.result.probabilities)) for i in range(4) if (p := groups.prediction(group, i))}
    assert best == {stored.index(4) % 10}
    assert queued(redis) == 0


def test_an_answer_comes_with_its_times_and_expires(groups: Groups, redis: Redis) -> None:
    group = submit(groups)
    finish(groups, group)
    prediction = groups.prediction(group, 0)

    assert prediction and prediction.started and prediction.completed and prediction.expires
    assert prediction.created <= prediction.started <= prediction.completed
    assert prediction.expires == prediction.completed + 3600 * 1_000_000
    assert 3500 < redis.ttl(f"hemline:{group}") <= 3600


def test_what_still_waits_never_expires(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 5)
    first, _ = groups.slices(group, 5)
    groups.begin(first)
    groups.finish(first, [Answer(i, "s", result()) for i in range(4)])

    assert redis.ttl(f"hemline:{group}") == -1


def test_an_expired_prediction_is_gone_everywhere(redis: Redis, groups: Groups) -> None:
    short = Groups(redis, max_queued=10, ttl=1, slice_size=4, lease=10)
    expiring, staying = submit(short), submit(groups)
    finish(short, expiring)
    deadline = time.monotonic() + 30
    while short.prediction(expiring, 0) is not None or redis.exists(f"hemline:{expiring}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    page, cursor = groups.predictions(None, 10, lambda *_: True)
    assert [p.id for p in page] == [ids.join(staying)]
    assert cursor is None
    assert not short.forget(expiring)
    assert short.begin(short.slices(expiring, 1)[0]) is None


def test_what_failed_at_submission_is_final_at_once(groups: Groups, redis: Redis) -> None:
    group = ids.new_group("batch")
    groups.submit(group, "production", [bad_item(), item(), bad_item()], {"a": "b"})
    found = groups.group(group)
    bad = groups.prediction(group, 0)

    assert found and found.states == "fqf" and found.metadata == {"a": "b"}
    assert found.counts[JobState.FAILED] == 2
    assert queued(redis) == 1
    assert bad and bad.state is JobState.FAILED and bad.error == error("not_an_image", "This is no picture.")
    finish(groups, group)
    assert states(groups, group) == "fsf"


def test_a_group_in_which_everything_failed_at_submission_has_ended(groups: Groups, redis: Redis) -> None:
    group = ids.new_group("batch")
    groups.submit(group, "production", [bad_item(), bad_item()])
    found = groups.group(group)

    assert found and found.state is JobState.SUCCEEDED and found.ended
    assert redis.ttl(f"hemline:{group}") > 0
    assert groups.overdue(10) == []
    assert queued(redis) == 0


def test_a_batch_is_queued_then_running_then_succeeded(groups: Groups) -> None:
    group = submit(groups, 5, "batch")
    first, second = groups.slices(group, 5)
    seen = [groups.group(group)]
    groups.begin(first)
    seen.append(groups.group(group))
    groups.finish(first, [Answer(i, "s", result()) for i in range(4)])
    seen.append(groups.group(group))
    groups.begin(second)
    groups.finish(second, [Answer(4, "f", failure())])
    seen.append(groups.group(group))

    assert [(g.state.value, g.states) for g in seen if g] == [
        ("queued", "qqqqq"), ("running", "rrrrq"), ("running", "ssssq"), ("succeeded", "ssssf"),
    ]  # fmt: skip


def test_what_was_forgotten_is_not_answered_any_more(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 3)
    (piece,) = groups.slices(group, 3)
    groups.begin(piece)

    assert groups.forget(group, 1)
    assert not groups.forget(group, 1)
    assert groups.prediction(group, 1) is None
    assert groups.finish(piece, [Answer(i, "s", result()) for i in range(3)]) == 2
    assert groups.prediction(group, 1) is None
    assert not {b"d1", b"p1", b"r1"} & set(redis.hkeys(f"hemline:{group}"))
    assert [bool(groups.prediction(group, i)) for i in (0, 2)] == [True, True]
    assert queued(redis) == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_forgotten_group_leaves_nothing_behind(groups: Groups, redis: Redis, begun: bool) -> None:
    before = sorted(redis.keys())
    group = submit(groups, 6, "batch")
    pieces = groups.slices(group, 6)
    if begun:
        groups.begin(pieces[0])

    assert groups.forget(group)
    assert not groups.forget(group)
    assert groups.group(group) is None
    for piece in pieces:
        assert groups.finish(piece, [Answer(piece.start, "s", result())]) == 0
        assert groups.begin(piece) is None
    # Whoever takes the messages finds no group.
    assert sorted(redis.keys()) == sorted([*before, b"hemline:queued", b"hemline:celery:batches"])
    assert queued(redis) == 0


def test_forgetting_the_last_one_forgets_the_group(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 2)
    for place in (0, 1):
        assert groups.forget(group, place)

    assert groups.group(group) is None
    assert not redis.exists(f"hemline:{group}")


@pytest.mark.parametrize("place", [1, 1023])
def test_there_is_nothing_at_a_place_that_a_group_does_not_have(groups: Groups, place: int) -> None:
    group = submit(groups)

    assert groups.prediction(group, place) is None
    assert not groups.forget(group, place)
    assert states(groups, group) == "q"


def test_canceling_stops_what_has_not_begun_and_keeps_what_is_done(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 12, "batch")
    first, second, third = groups.slices(group, 12)
    groups.begin(first)
    groups.finish(first, [Answer(i, "s", result()) for i in range(4)])
    groups.begin(second)
    assert groups.cancel(group)
    running = groups.group(group)

    assert running and running.states == "ssssrrrrcccc" and running.state is JobState.RUNNING
    assert groups.begin(third) is None
    groups.finish(second, [Answer(i, "s", result()) for i in range(4, 8)])
    ended = groups.group(group)
    assert ended and ended.states == "sssssssscccc" and ended.state is JobState.CANCELED
    canceled = groups.prediction(group, 11)
    assert canceled and canceled.state is JobState.CANCELED and canceled.completed and not canceled.started
    assert redis.ttl(f"hemline:{group}") > 0
    assert queued(redis) == 0


def test_canceling_what_has_not_begun_ends_it_at_once(groups: Groups, redis: Redis) -> None:
    group = submit(groups, 5, "batch")
    groups.cancel(group)
    found = groups.group(group)

    assert found and found.state is JobState.CANCELED and found.ended
    assert not {b"p0", b"p4"} & set(redis.hkeys(f"hemline:{group}"))


def test_canceling_what_has_ended_changes_nothing(groups: Groups) -> None:
    group = submit(groups, 5, "batch")
    finish(groups, group)
    before = groups.group(group)
    groups.cancel(group)

    assert groups.group(group) == before
    assert not groups.cancel(ids.new_group("batch"))


def test_a_slice_is_overdue_when_its_lease_is_over_and_not_when_it_is_postponed(redis: Redis, groups: Groups) -> None:
    hasty = Groups(redis, max_queued=10, ttl=60, slice_size=2, lease=0)
    group = submit(hasty, 3)
    pieces = hasty.slices(group, 3)

    assert sorted(hasty.overdue(10)) == pieces
    assert hasty.overdue(1) == [pieces[0]]
    assert not hasty.has_begun(pieces[0])
    groups.begin(pieces[0])
    assert hasty.has_begun(pieces[0])
    assert hasty.overdue(10) == [pieces[1]]
    groups.postpone(pieces)
    assert hasty.overdue(10) == []
    finish(hasty, group)
    hasty.postpone(pieces)
    assert hasty.overdue(10) == []


def test_attempts_of_one_picture_are_counted_by_themselves(groups: Groups) -> None:
    group = submit(groups, 3)
    (piece,) = groups.slices(group, 3)

    assert [groups.count_attempt(piece, place) for place in (0, 0, 1, 0)] == [1, 2, 1, 3]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 1024])
def test_slices_cover_a_group_without_gap_or_overlap(groups: Groups, count: int) -> None:
    pieces = groups.slices("pred:X", count)

    assert [place for piece in pieces for place in range(piece.start, piece.stop)] == list(range(count))
    assert all(piece.stop - piece.start <= 4 for piece in pieces)
    assert [Slice.parse(str(piece)) for piece in pieces] == pieces


def walk(groups: Groups, limit: int, state: JobState | None = None, version: str | None = None) -> list[str]:
    """The ids of all pages, each as long as was asked for except the last."""
    found: list[str] = []
    cursor = None
    while True:
        page, cursor = groups.predictions(
            cursor, limit, lambda s, v: state in (None, s) and version in (None, v)
        )  # fmt: skip
        found += [p.id for p in page]
        if cursor is None:
            return found
        assert len(page) <= limit


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_list_everything_once_newest_first(groups: Groups, limit: int) -> None:
    sizes = [1, 3, 1, 5, 2, 1, 8]
    made = [ids.join(group, i) for size in sizes for group in [submit(groups, size)] for i in range(size)]
    submit(groups, 2, "batch")

    assert walk(groups, limit) == made[::-1]


def test_a_page_that_ends_exactly_at_the_end_has_no_next(groups: Groups) -> None:
    submit(groups, 3)

    page, cursor = groups.predictions(None, 3, lambda *_: True)
    assert len(page) == 3 and cursor is None


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_pages_can_be_filtered_by_state_and_version(groups: Groups, limit: int) -> None:
    old = [submit(groups, 2, model="v2") for _ in range(3)]
    new = [submit(groups, 2) for _ in range(3)]
    for group in (old[1], new[0], new[2]):
        finish(groups, group)

    assert walk(groups, limit, JobState.SUCCEEDED) == [
        ids.join(group, i) for group in (new[2], new[0], old[1]) for i in (1, 0)
    ]
    assert walk(groups, limit, JobState.QUEUED, "v2") == [ids.join(g, i) for g in (old[2], old[0]) for i in (1, 0)]
    assert walk(groups, limit, JobState.CANCELED) == []


def test_a_filter_that_finds_little_still_comes_to_the_end(groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = submit(groups, model="v2")
    for _ in range(11):
        submit(groups)
    monkeypatch.setattr(groups_module, "_SCAN_LIMIT", 3)

    assert walk(groups, 5, version="v2") == [ids.join(wanted)]


def test_pages_go_on_where_they_were_when_their_last_item_is_forgotten(groups: Groups) -> None:
    made = [submit(groups, 3) for _ in range(3)]
    page, cursor = groups.predictions(None, 4, lambda *_: True)
    groups.forget(made[1])
    rest, _ = groups.predictions(cursor, 10, lambda *_: True)

    assert [p.id for p in page] == [*(ids.join(made[2], i) for i in (2, 1, 0)), ids.join(made[1], 2)]
    assert [p.id for p in rest] == [ids.join(made[0], i) for i in (2, 1, 0)]


def test_what_comes_while_paging_does_not_disturb_it(groups: Groups) -> None:
    first = submit(groups, 4)
    page, cursor = groups.predictions(None, 2, lambda *_: True)
    submit(groups, 4)
    rest, _ = groups.predictions(cursor, 10, lambda *_: True)

    assert [p.id for p in page + rest] == [ids.join(first, i) for i in (3, 2, 1, 0)]


def test_the_count_of_what_waits_is_right_after_anything_that_may_happen(groups: Groups, redis: Redis) -> None:
    """Random work on many groups; no final state ever changes, but for being forgotten."""
    chance = random.Random(11)
    known: dict[str, str] = {}
    for step in range(1500):
        name = chance.choice(list(known)) if known and chance.random() < 0.85 else submit(groups, chance.randint(1, 9))
        size = len(known.get(name, "")) or len(states(groups, name))
        piece = chance.choice(groups.slices(name, size))
        match chance.randrange(6):
            case 0 | 1:
                groups.begin(piece)
            case 2 | 3:
                places = [i for i in range(piece.start, piece.stop) if chance.random() < 0.7]
                groups.finish(piece, [Answer(i, *chance.choice([("s", result()), ("f", failure())])) for i in places])
            case 4:
                groups.forget(name, chance.choice([chance.randrange(size), chance.randrange(size), None]))
            case _:
                groups.cancel(name) if chance.random() < 0.2 else None
        found = groups.group(name)
        now, before = found.states if found else "d" * size, known.get(name, "q" * size)
        for old, new in zip(before, now, strict=True):
            assert new == old or (old in "qr" and new != "q") or new == "d", (before, now)
        known[name] = now
        if found:
            assert bool(found.ended) == (not set(now) & set("qr")), now
        if step % 100 == 0:
            assert queued(redis) == sum(letters.count("q") + letters.count("r") for letters in known.values())
    assert queued(redis) == sum(letters.count("q") + letters.count("r") for letters in known.values())


def test_every_change_is_announced(groups: Groups, redis: Redis) -> None:
    heard: list[str] = []
    subscription = redis.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("hemline:done")
    ready, done = threading.Event(), threading.Event()

    def listen() -> None:
        subscription.get_message(timeout=1)
        ready.set()
        while not done.is_set():
            if message := subscription.get_message(timeout=0.05):
                heard.append(message["data"].decode())

    listener = threading.Thread(target=listen)
    listener.start()
    ready.wait()
    answered, forgotten, canceled = submit(groups), submit(groups), submit(groups, 1, "batch")
    finish(groups, answered)
    groups.forget(forgotten)
    groups.cancel(canceled)
    deadline = time.monotonic() + 30
    while len(heard) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    done.set()
    listener.join()
    subscription.close()

    assert heard == [answered, forgotten, canceled]


@pytest.fixture
def reusing(groups: Groups, redis: Redis) -> Groups:
    """The same store, where answers are given again."""
    return Groups(redis, max_queued=1000, ttl=3600, slice_size=4, lease=10, reuse=60)


def test_the_same_pixels_on_the_same_version_are_answered_at_once(reusing: Groups, redis: Redis) -> None:
    finish(reusing, submit(reusing, 2), best=7)
    accepted = reusing.submit(ids.new_group("pred"), "production", [item(0), item(5), item(1)])
    first, other, last = (reusing.prediction(accepted.group, place) for place in range(3))

    assert states(reusing, accepted.group) == "sqs"
    assert queued(redis) == 1
    assert first and first.result and last and other and other.state is JobState.QUEUED
    assert first.result.probabilities[7] == 1 and first.pixels == item(0).pixels
    assert (first.result.batch_size, first.result.inference_ms) == (0, 0)
    assert first.result.started == first.result.completed == first.completed == accepted.created
    assert [(answer.place, answer.state) for answer in accepted.answers] == [(0, "s"), (2, "s")]
    finish(reusing, accepted.group)
    assert states(reusing, accepted.group) == "sss" and queued(redis) == 0


def test_a_group_that_is_answered_at_once_has_ended(reusing: Groups, redis: Redis) -> None:
    finish(reusing, submit(reusing, 2))
    accepted = reusing.submit(ids.new_group("batch"), "production", [item(1), bad_item(), item(0)])
    found = reusing.group(accepted.group)

    assert found == reusing.as_accepted(accepted, [item(1), bad_item(), item(0)], None)
    assert found and found.ended and found.states == "sfs"
    assert 0 < redis.ttl(f"hemline:{accepted.group}") <= 3600


def test_answers_are_not_given_again_for_another_version_another_way_or_for_ever(reusing: Groups, redis: Redis) -> None:
    finish(reusing, submit(reusing))
    explained = Item(item(0).doc, item(0).pixels, explain=True)

    assert states(reusing, submit(reusing, model="v2")) == "q"
    assert reusing.submit(ids.new_group("pred"), "production", [explained]).answers == ()
    (known,) = redis.keys("hemline:answer:*")
    assert 0 < redis.ttl(known) <= 60


def test_what_fails_is_tried_again(reusing: Groups) -> None:
    group = submit(reusing)
    reusing.begin(Slice(group, 0, 1))
    reusing.finish(Slice(group, 0, 1), [Answer(0, "f", failure())])

    assert states(reusing, submit(reusing)) == "q"


def test_without_reuse_every_picture_is_computed(groups: Groups, redis: Redis) -> None:
    finish(groups, submit(groups))

    assert states(groups, submit(groups)) == "q"
    assert not redis.keys("hemline:answer:*")
