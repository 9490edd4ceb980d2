"""What can go wrong on the way to S3, and which keys of a bucket are ours."""

import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse

from ml.artifacts import ArtifactNotFound, Artifacts, open_artifacts
from ml.artifacts_s3 import S3Artifacts

USES: tuple[Callable[[Artifacts], object], ...] = (
    lambda artifacts: artifacts.put("key", b"data"),
    lambda artifacts: artifacts.create("key", b"data"),
    lambda artifacts: artifacts.get("key"),
    lambda artifacts: artifacts.list(""),
    lambda artifacts: artifacts.delete("key"),
)


@pytest.fixture
def store(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> S3Artifacts:
    """A store whose requests may be tampered with, and which does not wait between attempts."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    store = open_artifacts(s3_url)
    assert isinstance(store, S3Artifacts)
    return store


def answer(store: S3Artifacts, operation: str, reply: Callable[..., AWSResponse | None]) -> None:
    """Let `reply(request)` answer instead of the server, wherever it does not answer None."""
    store._client.meta.events.register(f"before-send.s3.{operation}" if operation else "before-send.s3", reply)


def response(status: int, body: bytes, **headers: str) -> AWSResponse:
    return AWSResponse("http://s3", status, headers, HTTPResponse(io.BytesIO(body), headers, preload_content=False))


def test_a_prefix_keeps_stores_apart_in_one_bucket(s3_url: str) -> None:
    one, other, longer, all_of_it = (
        open_artifacts(url) for url in (f"{s3_url}/one", f"{s3_url}/other/", f"{s3_url}/one-more", s3_url)
    )
    for store, data in ((one, b"1"), (other, b"2"), (longer, b"3")):
        assert store.create("key", data)

    assert (one.get("key"), other.get("key"), longer.get("key")) == (b"1", b"2", b"3")
    assert one.list("") == ["key"]
    assert all_of_it.list("one") == ["one-more/key", "one/key"]


def test_a_bucket_without_a_prefix_is_a_store(s3_url: str) -> None:
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    open_artifacts(s3_url).put("key", b"data")

    for url in (f"s3://{bucket}", f"s3://{bucket}/"):
        assert open_artifacts(url).get(f"{prefix}/key") == b"data"
        assert open_artifacts(url).list(prefix) == [f"{prefix}/key"]


def test_what_others_put_there_is_not_listed_unless_it_could_be_ours(store: S3Artifacts) -> None:
    store.put("models/v1/card.json", b"{}")
    for name in ("models/", "models/.DS_Store", "models//x", ""):
        store._client.put_object(Bucket=store._bucket, Key=store._root + name, Body=b"")

    assert store.list("") == ["models/v1/card.json"]


def test_a_bucket_that_is_not_there_is_no_missing_artifact(s3_client: Any) -> None:
    for use in USES:
        with pytest.raises(OSError, match="NoSuchBucket"):
            use(S3Artifacts(s3_client, "nobodys-bucket"))


def test_a_store_that_cannot_be_reached_is_an_error_of_the_system(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    store = open_artifacts(s3_url)

    for use in USES:
        with pytest.raises(OSError, match="S3: Could not connect to the endpoint"):
            use(store)


def test_a_store_that_does_not_answer_is_given_up(s3_url: str) -> None:
    store = open_artifacts(s3_url)
    assert isinstance(store, S3Artifacts)
    config = store._client.meta.config

    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.connect_timeout * config.retries["total_max_attempts"] < 10
    assert config.read_timeout <= 20


@pytest.mark.parametrize("status", [403, 404, 500])
def test_what_is_no_s3_is_an_error_of_the_system(store: S3Artifacts, status: int) -> None:
    answer(store, "", lambda request, **_: response(status, b"<html><body>Welcome!<br></body></html>"))

    for use in USES:
        with pytest.raises(OSError, match="S3: "):
            use(store)


def test_a_page_where_a_list_should_be_is_an_error_of_the_system(store: S3Artifacts) -> None:
    answer(store, "ListObjectsV2", lambda request, **_: response(200, b"<html><body>Welcome!<br></body></html>"))

    with pytest.raises(OSError, match="S3: "):
        store.list("")


def test_who_has_no_credentials_is_told_so(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(OSError, match="S3: Unable to locate credentials"):
        open_artifacts(s3_url).get("key")


def test_a_profile_that_is_not_there_is_told_at_once(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(OSError, match="S3: .*nobody"):
        open_artifacts(s3_url)


def test_an_endpoint_that_is_no_url_is_told_at_once(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "my store")

    with pytest.raises(ValueError, match="my store"):
        open_artifacts(s3_url)


def test_bytes_that_end_early_are_not_handed_out(store: S3Artifacts) -> None:
    store.put("key", b"complete")
    answer(store, "GetObject", lambda request, **_: response(200, b"comp", **{"content-length": "8"}))

    with pytest.raises(OSError, match="S3: 4 read"):
        store.get("key")


def test_a_server_that_stumbles_is_asked_again(store: S3Artifacts) -> None:
    replies = iter([response(503, b""), response(500, b"")])
    answer(store, "", lambda request, **_: next(replies, None))

    store.put("key", b"data")
    assert store.get("key") == b"data"


def lose_first_answer(request: Any, seen: Iterator[int], **_: Any) -> None:
    """The request is served, and its answer lost."""
    if next(seen) == 0:
        URLLib3Session().send(request)
        raise ConnectionClosedError(endpoint_url=request.url)


def test_who_created_a_key_knows_it_even_if_the_answer_was_lost(store: S3Artifacts) -> None:
    seen = itertools.count()
    answer(store, "PutObject", lambda request, **_: lose_first_answer(request, seen))

    assert store.create("key", b"mine")
    assert next(seen) == 2
    assert not store.create("key", b"mine")
    assert store.get("key") == b"mine"


def test_who_asked_again_in_vain_did_not_create_the_key(store: S3Artifacts, s3_url: str) -> None:
    assert open_artifacts(s3_url).create("key", b"data")
    seen = itertools.count()
    answer(store, "PutObject", lambda request, **_: lose_first_answer(request, seen))

    assert not store.create("key", b"data")


def test_a_key_that_was_put_was_not_created(store: S3Artifacts) -> None:
    store.put("key", b"data")

    assert not store.create("key", b"data")


def test_a_key_that_is_deleted_while_it_is_refused_was_not_created(store: S3Artifacts) -> None:
    taken = b"<Error><Code>PreconditionFailed</Code></Error>"
    answer(store, "PutObject", lambda request, **_: response(412, taken))

    assert not store.create("key", b"data")
    with pytest.raises(ArtifactNotFound):
        store.get("key")


@pytest.mark.parametrize("conflicts, outcome", [(1, True), (2, True), (3, OSError)])
def test_writes_that_meet_are_sent_again(store: S3Artifacts, conflicts: int, outcome: Any) -> None:
    body = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
    replies = iter([response(409, body) for _ in range(conflicts)])
    answer(store, "PutObject", lambda request, **_: next(replies, None))

    if outcome is True:
        assert store.create("key", b"data")
        assert not store.create("key", b"late")
    else:
        with pytest.raises(outcome, match="ConditionalRequestConflict"):
            store.create("key", b"data")
        assert store.list("") == []
