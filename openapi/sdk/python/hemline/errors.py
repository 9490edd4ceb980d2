"""What can go wrong, as exceptions that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from hemline_api.models import ProblemDetail

if TYPE_CHECKING:
    from hemline.protocol import Work


class HemlineError(Exception):
    """Anything that the service did not do.

    `status` is the HTTP status, or None where it has nothing to do with one answer; `detail` says what happened and
    what to do about it; `errors` points at what has to change in the request; `type` names the kind of problem.
    """

    def __init__(
        self, detail: str, status: int | None = None, errors: list[ProblemDetail] | None = None,
        type: str = "about:blank",
    ) -> None:
        self.detail = detail
        self.status = status
        self.errors = errors or []
        self.type = type
        super().__init__(detail, *(f"{error.pointer}: {error.detail}" for error in self.errors))

    def __str__(self) -> str:
        return " ".join(map(str, self.args))


class Unreachable(HemlineError):
    """There was no answer."""


class TimedOut(HemlineError, TimeoutError):
    """The work is accepted but has not ended in time. It goes on: `work` is its record, to be waited for again."""

    def __init__(self, work: Work) -> None:
        super().__init__(f"{work.id} is {work.status}: it goes on, but has not ended in the time given.")
        self.work = work


class WorkFailed(HemlineError):
    """The work was accepted and ended without a result. `code` names the reason, `work` is its record."""

    def __init__(self, work: Work) -> None:
        error: Any = getattr(work, "error", None)
        self.code: str = error.code if error else work.status
        super().__init__(error.detail if error else f"{work.id} was {work.status}.")
        self.work = work


def problem(response: httpx.Response) -> HemlineError:
    """The error that an answer (read already) stands for; not every proxy on the way answers with a document."""
    try:
        document = response.json()
        errors = [ProblemDetail.from_dict(error) for error in document.get("errors", [])]
        return HemlineError(document["detail"], response.status_code, errors, document.get("type", "about:blank"))
    except (ValueError, KeyError, AttributeError, TypeError):
        return HemlineError(f"{response.request.url} answered {response.status_code}.", response.status_code)
