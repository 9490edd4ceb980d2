"""The arithmetic of the benchmark: targets, medians, and the model of what many cores carry."""

import pytest

from tests.benchmarks import capacity, report, soak
from tests.benchmarks.pictures import COUNT, pictures


def results(**figures: list[dict]) -> dict:
    """Rounds of servers by name, as a run writes them."""
    rounds = [{"server": name, "failures": [], **one} for name, several in figures.items() for one in several]
    environment = {"cores": 2, "processor": "a", "wrk": "b", "python": "c", "commit": "d", "at": "e", "load_average": 0}
    protocol = {"rounds": 3, "seconds": 1}
    return {"rounds": rounds, "absent": {}, "environment": environment, "protocol": protocol}


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


def test_what_is_accepted_is_measured_by_what_another_answers() -> None:
    submitted = {"submitted": [{"per_second": 700}]}
    found = results(Hemline=[closed(1) | submitted], **{"Flask + Celery": [closed(100) | submitted]})

    assert "≥ 6 × Flask + Celery's answers/s: met (7)" in report.tables(found)


def test_bulk_is_a_share_of_the_floor_beside_it() -> None:
    found = results(Hemline=[{**closed(1), "bulk": [{"per_second": 7, "images": 100}], "floor": 1000}])

    assert "≥ 0.6 × the floor: met (0.7)" in report.tables(found)


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


def soaked(memory: float, p99: float, minutes: float = 10, **more: object) -> dict:
    """A soak in which memory (MB) and p99 (ms) grow by this much a minute."""
    seconds = range(0, round(minutes * 60), 5)
    samples = [{"second": s, "redis": 50e6, "load": 1.5, "pss": {"web": (100 + memory * s / 60) * 1e6}}
               for s in seconds]  # fmt: skip
    samples[40]["pss"]["web"] = 900e6  # one odd sample says nothing
    windows = [{"second": s, "p50_ms": 2, "p99_ms": 10 + p99 * s / 60, "answered": 100} for s in seconds]
    return {"minutes": minutes, "rate": 20, "capacity": 30, "answered": 12000, "errors": [], "samples": samples,
            "windows": windows, **more}  # fmt: skip


def test_a_soak_says_what_grows() -> None:
    def growing(found: dict) -> list[str]:
        return [row["what"] for row in soak.judge(found) if row["holds"] is False]

    assert growing(soaked(memory=0.1, p99=0.1)) == []
    assert growing(soaked(memory=1, p99=0)) == ["memory of web"]
    assert growing(soaked(memory=-1, p99=1)) == ["p99 of a window"]
    assert soak.holds(soaked(0, 0)) and not soak.holds(soaked(0, 0, errors=["503"])) and not soak.holds(soaked(1, 0))
    said = "12,000 predictions in 10 minutes at 20/s, 70% of the measured 30/s; none failed."
    assert said in soak.table(soaked(0, 0))


def test_a_soak_that_is_short_judges_only_errors() -> None:
    assert soak.holds(soaked(memory=100, p99=100, minutes=4))


def test_a_slope_is_the_median_of_all_slopes() -> None:
    assert soak.slope([0, 1, 2, 3, 4], [1, 3, 5, 7, 100]) == 2
    assert soak.slope([7], [1]) == 0
