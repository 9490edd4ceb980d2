"""The arithmetic of the benchmark: targets, medians, and the model of what many cores carry."""

import pytest

from tests.benchmarks import capacity, report
from tests.benchmarks.pictures import COUNT, pictures


def results(**figures: list[dict]) -> dict:
    """Rounds of servers by name, as a run writes them."""
    rounds = [{"server": name, "failures": [], **one} for name, several in figures.items() for one in several]
    environment = {"cores": 2, "processor": "a", "wrk": "b", "python": "c", "commit": "d", "at": "e", "load_average": 0}
    protocol = {"rounds": 3, "seconds": 1}
    return {"rounds": rounds, "floor": [1000.0], "absent": {}, "environment": environment, "protocol": protocol}


def closed(per_second: float) -> dict:
    """A round with one closed loop."""
    load = {"connections": 64, "per_second": per_second, "p99_ms": 1, "p50_ms": 1, "cpu_ms": {"web": 1.0, "redis": 0.5}}
    return {"closed": [load | {"batch_sizes": {"4": 1}, "early": 0}]}


def test_a_figure_is_the_median_of_its_rounds() -> None:
    found = results(Hemline=[closed(1), closed(50), closed(3)])

    assert report.figure(found, "Hemline", "closed 64 per_second") == 3
    assert report.figure(found, "Hemline", "closed 64 cpu_ms") == 1.5
    assert report.figure(found, "Hemline", "closed 1 per_second") is None
    assert report.figure(found, "LitServe", "closed 64 per_second") is None


@pytest.mark.parametrize("own, said", [
    (500, "≥ 5 × Flask + Celery: met (5)"), (400, "≥ 5 × Flask + Celery: missed by 20% (4)"),
])  # fmt: skip
def test_a_target_says_how_far_it_is(own: float, said: str) -> None:
    found = results(Hemline=[closed(own)], **{"Flask + Celery": [closed(100)]})

    assert said in report.tables(found)
    assert "≥ 1.4 × LitServe: not measured" in report.tables(found)


def test_the_better_of_two_settings_is_the_bar() -> None:
    found = results(Hemline=[closed(150)], **{"LitServe, 1": [closed(100)], "LitServe, 2": [closed(125)]})

    assert "≥ 1.4 × LitServe: missed by 14% (1.2)" in report.tables(found)
    assert not report.met(found)


def test_failures_are_told() -> None:
    found = results(Hemline=[{**closed(1), "round": 0, "failures": ["3 wrong answers"]}])

    assert "- Hemline, round 1: 3 wrong answers" in report.tables(found)


def test_the_busiest_part_bounds_what_is_carried() -> None:
    cost = capacity.Cost({"web": 0.5, "worker": 0.2, "redis": 0.1}, {"kept": 1000.0})

    assert cost.bound(web=1, workers=1, redis=1, cores=8) == (2000, "web")
    assert cost.bound(web=4, workers=1, redis=1, cores=8) == (5000, "worker")
    assert cost.bound(web=99, workers=99, redis=1, cores=99) == (10_000, "redis")
    assert cost.bound(web=4, workers=4, redis=1, cores=2) == (pytest.approx(2500), "all cores")


def test_one_redis_bounds_many_cores_and_several_do_not() -> None:
    cost = capacity.Cost({"web": 0.5, "worker": 0.2, "redis": 0.1}, {"kept": 1000.0})
    alone, sharded = capacity.plan(cost, 1000, redis=1), capacity.plan(cost, 1000)

    assert alone.per_second == pytest.approx(7000)
    assert sharded.per_second == pytest.approx(875_000)
    assert sharded.redis == 125
    assert sharded.web + sharded.workers + sharded.redis == pytest.approx(1000, abs=2)


def test_clients_send_different_pictures() -> None:
    assert len(set(pictures(""))) == COUNT
