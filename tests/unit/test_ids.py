"""Ids lead to records, sort by creation time, and nothing else passes for one."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers import ids


def test_ids_sort_by_creation_time_even_within_one_millisecond() -> None:
    made = [ids.join(ids.new_group("pred")) for _ in range(2000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_one_group_sort_by_place() -> None:
    group = ids.new_group("batch")
    made = [ids.join(group, place) for place in range(ids.GROUP_LIMIT)]

    assert made == sorted(made)


def test_split_finds_the_group_and_place_of_every_id() -> None:
    group = ids.new_group("pred")

    assert [ids.split("pred", ids.join(group, i)) for i in range(ids.GROUP_LIMIT)] == [
        (group, i) for i in range(ids.GROUP_LIMIT)
    ]


def test_threads_never_get_the_same_id() -> None:
    made: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(lambda: made.extend(ids.new_group("pred") for _ in range(500)))

    assert len(set(made)) == 4000


def test_an_id_is_a_ulid_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    ulid = ids.join(ids.new_group("pred")).removeprefix("pred_")
    after = time.time_ns() // 1_000_000

    moment = 0
    for letter in ulid[:10]:
        moment = moment << 5 | "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    assert len(ulid) == 26
    assert before <= moment <= after


@pytest.mark.parametrize("malformed", [
    "", "pred", "pred_", "pred_01KBQ8Z6J0V6M3Y8F5W2T4N7R", "pred_01KBQ8Z6J0V6M3Y8F5W2T4N7RCC",
    "pred_01kbq8z6j0v6m3y8f5w2t4n7rc", "pred_01KBQ8Z6J0V6M3Y8F5W2T4N7RU", "pred_01KBQ8Z6J0V6M3Y8F5W2T4N7R\n",
    "batch_01KBQ8Z6J0V6M3Y8F5W2T4N7RC", "01KBQ8Z6J0V6M3Y8F5W2T4N7RC", "pred:01KBQ8Z6J0V6M3Y8F5W2T4N7RC",
    "pred_01KBQ8Z6J0V6M3Y8F5W2T4N7R٣", "pred__01KBQ8Z6J0V6M3Y8F5W2T4N7R", "PRED_01KBQ8Z6J0V6M3Y8F5W2T4N7RC",
])  # fmt: skip
def test_a_malformed_id_leads_nowhere(malformed: str) -> None:
    assert ids.split("pred", malformed) is None
