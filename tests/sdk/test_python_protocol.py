"""What the Python SDK does where a service is busy, vanishes, or is newer than the SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hemline import Client, HemlineError, TimedOut, Unreachable
from stub import Answer, Start, Stub

PREDICTION = {"id": "pred_1", "status": "queued", "model_version": "v1"}
RESULT = {
    "label": "Bag", "class_id": 8, "confidence": 0.9, "probabilities": [], "is_fashion": True, "novelty": 0.1,
    "warnings": [], "source": "contract", "preview": "", "shine": 3,
}  # fmt: skip
DONE = Answer(201, PREDICTION | {"status": "succeeded", "result": RESULT, "colour": "red"})
BUSY = {"type": "urn:hemline:problem:queue-full", "status": 503, "title": "", "detail": "Full.", "instance": "/"}
JOB = {"id": "job_1", "status": "running", "spec": {}, "history": []}


def told(*events: tuple[int, str], cut: bool = False) -> Answer:
    """A stream that ends, or breaks, after these events."""
    lines = (f'id: {number}-0\nevent: {kind}\ndata: {{"n": {number}}}\n\n: still here\n\n' for number, kind in events)
    text = "".join(lines).encode()
    length = {"Content-Length": str(len(text) + 9)} if cut else {}
    return Answer(200, text, {"Content-Type": "text/event-stream", **length})


def client_of(stub: Stub, **options: Any) -> tuple[Client, list[float]]:
    """A client whose pauses are written down, not made."""
    client = Client(stub.url, **options)
    pauses: list[float] = []
    client._wire.transport.sleep = pauses.append
    return client, pauses


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_when_it_says(stub: Start, picture: Path, status: int) -> None:
    service = stub(Answer(status, BUSY, {"Retry-After": "3"}), Answer(status, b"<html>", {"Retry-After": "2"}), DONE)
    client, pauses = client_of(service)

    prediction = client.classify(picture)
    assert prediction.result and prediction.result.label == "Bag"
    assert 3 <= pauses[0] <= 3.75 and 2 <= pauses[1] <= 2.5
    assert len(service.asked) == 3


def test_retry_after_may_be_a_date(stub: Start, picture: Path) -> None:
    past = Answer(503, BUSY, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    client, pauses = client_of(stub(past, DONE))

    assert client.classify(picture) and pauses == [0.0]


def test_without_retry_after_pauses_grow(stub: Start, picture: Path) -> None:
    client, pauses = client_of(stub(Answer(503, BUSY), Answer(503, BUSY), Answer(503, BUSY), DONE))

    assert client.classify(picture)
    assert [0.25 <= pauses[0] <= 0.5, 0.5 <= pauses[1] <= 1, 1 <= pauses[2] <= 2] == [True] * 3


def test_a_service_that_stays_busy_is_given_up(stub: Start, picture: Path) -> None:
    service = stub(Answer(503, BUSY, {"Retry-After": "1"}))
    client, _ = client_of(service, tries=3)

    with pytest.raises(HemlineError, match="Full") as raised:
        client.classify(picture)
    assert raised.value.status == 503 and raised.value.type == BUSY["type"]
    assert len(service.asked) == 3


def test_a_pause_longer_than_the_timeout_is_not_made(stub: Start, picture: Path) -> None:
    client, pauses = client_of(stub(Answer(503, BUSY, {"Retry-After": "600"})))

    with pytest.raises(HemlineError):
        client.classify(picture)
    assert pauses == []


def test_an_error_that_is_no_document_is_one_all_the_same(stub: Start, picture: Path) -> None:
    client, _ = client_of(stub(Answer(502, b"<html>Bad Gateway</html>")))

    with pytest.raises(HemlineError, match="502") as raised:
        client.classify(picture)
    assert raised.value.status == 502


def test_a_submission_that_may_have_arrived_is_sent_again_only_with_a_key(stub: Start, picture: Path) -> None:
    service = stub(Answer(None))
    client, _ = client_of(service)

    with pytest.raises(Unreachable):
        client.classify(picture)
    assert len(service.asked) == 1
    with pytest.raises(Unreachable):
        client.train()
    keys = [headers["Idempotency-Key"] for _, _, headers in service.asked[1:]]
    assert len(keys) == 5 and len(set(keys)) == 1
    with pytest.raises(Unreachable):
        list(client.models())
    assert len(service.asked) == 1 + 5 + 5


def test_work_is_polled_as_the_service_says_and_through_states_that_nobody_knows(stub: Start, picture: Path) -> None:
    service = stub(
        Answer(202, PREDICTION, {"Retry-After": "2"}), Answer(200, PREDICTION | {"status": "warming_up"}),
        Answer(200, PREDICTION, {"Preference-Applied": "wait=25", "Retry-After": "9"}), DONE,
    )  # fmt: skip
    client, pauses = client_of(service)

    prediction = client.classify(picture)
    assert prediction["colour"] == "red" and prediction.result and prediction.result["shine"] == 3
    assert 2 <= pauses[0] <= 2.5 and len(pauses) == 2
    assert {headers["Prefer"].partition("=")[0] for _, _, headers in service.asked} == {"wait"}
    assert [path for _, path, _ in service.asked[1:]] == ["/v1/predictions/pred_1"] * 3


def test_a_final_state_that_nobody_knows_ends_the_wait(stub: Start) -> None:
    client, _ = client_of(stub(Answer(200, JOB | {"status": "expired", "completed_at": "2026-01-31T12:00:00.123Z"})))

    assert client.wait("job_1").status == "expired"


def test_work_that_takes_too_long_times_out_and_can_be_waited_for_again(stub: Start, picture: Path) -> None:
    client, _ = client_of(stub(Answer(202, PREDICTION), DONE))

    with pytest.raises(TimedOut) as raised:
        client.classify(picture, timeout=0)
    assert client.wait(raised.value.work).result


def test_events_that_were_missed_are_asked_for(stub: Start) -> None:
    service = stub(
        Answer(202, JOB), told((1, "queued"), (2, "progress"), cut=True), Answer(None), told((3, "dancing")),
        Answer(200, JOB), told((4, "succeeded")),
    )  # fmt: skip
    client, _ = client_of(service)

    events = list(client.train())
    assert [(event.id, event.type, event.data["n"]) for event in events] == [
        ("1-0", "queued", 1), ("2-0", "progress", 2), ("3-0", "dancing", 3), ("4-0", "succeeded", 4),
    ]  # fmt: skip
    asked = [headers.get("Last-Event-ID") for _, path, headers in service.asked if path.endswith("/events")]
    assert asked == [None, "2-0", "2-0", "3-0"]


def test_nothing_more_to_tell_ends_the_events(stub: Start) -> None:
    client, _ = client_of(stub(Answer(202, JOB), Answer(204), Answer(200, JOB | {"status": "succeeded"})))

    assert list(client.train()) == []


def test_a_stream_that_breaks_for_ever_is_given_up(stub: Start) -> None:
    client, _ = client_of(stub(Answer(202, JOB), Answer(None)), tries=2)

    with pytest.raises(Unreachable):
        list(client.train())


def test_the_key_is_sent(stub: Start, picture: Path) -> None:
    service = stub(DONE)
    Client(service.url, "secret").classify(picture)

    assert service.asked[0][2]["Authorization"] == "Bearer secret"
