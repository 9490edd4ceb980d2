"""The one vocabulary of states for everything asynchronous."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """queued → running → succeeded | failed | canceled; a final state never changes again."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)
