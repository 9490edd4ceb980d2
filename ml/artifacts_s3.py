"""Artifacts in a bucket of S3, or of any store that speaks its protocol and honours `If-None-Match: *`.

Where the store is and who we are there, boto3 takes from its own variables: AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION and their like. We must be allowed to list the bucket: without that, S3 calls what
is missing forbidden. Nothing but `ml.artifacts.open_artifacts` imports this module, because boto3 takes memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ml.artifacts import ArtifactNotFound, checked, is_key

_ATTEMPTS = 3
# A store that cannot be connected to is noticed within ten seconds; who asks has own ways to come back later.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    tcp_keepalive=True,
)


def connect() -> Any:
    """A client of the S3 that the environment names; it talks to nobody yet, and threads may share it.

    Raises OSError for a profile that is not there, ValueError for an endpoint that is no URL.
    """
    with _failures("client"):
        client = boto3.session.Session().client("s3", config=_CONFIG)
    client.meta.events.register("needs-retry.s3.PutObject", _pause_after_conflict)
    return client


class S3Artifacts:
    """Artifacts as objects under a prefix of a bucket, which must exist."""

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""

    def put(self, key: str, data: bytes) -> None:
        place = self._place(key)
        with _failures(key):
            self._client.put_object(**place, Body=data)

    def create(self, key: str, data: bytes) -> bool:
        place, writer = self._place(key), uuid4().hex
        with _failures(key):
            try:
                self._client.put_object(**place, Body=data, IfNoneMatch="*", Metadata={"writer": writer})
            except ClientError as refused:
                if refused.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
                    raise
                # A write whose answer was lost is sent again, and refused because of itself.
                return self._writer(place) == writer
        return True

    def get(self, key: str) -> bytes:
        place = self._place(key)
        with _failures(key):
            data: bytes = self._client.get_object(**place)["Body"].read()
        return data

    def list(self, prefix: str) -> list[str]:
        with _failures(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._root + prefix
            )
            found = [entry["Key"].removeprefix(self._root) for page in pages for entry in page.get("Contents", ())]
        return sorted(filter(is_key, found))

    def delete(self, key: str) -> None:
        place = self._place(key)
        # S3 itself does not mind, some that speak its protocol do.
        with suppress(ArtifactNotFound), _failures(key):
            self._client.delete_object(**place)

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._root + checked(key)}

    def _writer(self, place: dict[str, str]) -> str | None:
        """Who created what is stored there."""
        with suppress(ArtifactNotFound), _failures(place["Key"]):
            stored = self._client.get_object(**place)  # a HEAD could not tell a missing key from a missing bucket
            stored["Body"].close()
            return str(stored["Metadata"].get("writer"))
        return None


@contextmanager
def _failures(name: str) -> Iterator[None]:
    """Let botocore's errors be those of the protocol."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        # Any other 404 is that of a missing bucket, or of something that is no S3.
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
            raise ArtifactNotFound(name) from error
        raise OSError(f"S3: {error}") from error


def _pause_after_conflict(response: Any, attempts: int, **_: Any) -> float | None:
    """Seconds to wait before the next attempt, None for no further one.

    With 409, S3 refuses a write that meets another one under way and asks to send it again: nothing needs to be stored
    under the key, so the answer is not known. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    conflict = response is not None and response[0].status_code == 409
    return 0.2 * attempts if conflict and attempts < _ATTEMPTS else None
