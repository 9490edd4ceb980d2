from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.tuning_job import TuningJob
from ...types import UNSET, Response, Unset


def _get_kwargs(
    tune_id: str,
    *,
    prefer: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(prefer, Unset):
        headers["Prefer"] = prefer

    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/tuning-jobs/{tune_id}".format(
            tune_id=quote(str(tune_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Any | Problem | TuningJob | None:
    if response.status_code == 200:
        response_200 = TuningJob.from_dict(response.json())

        return response_200

    if response.status_code == 304:
        response_304 = cast(Any, None)
        return response_304

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())

        return response_404

    if response.status_code == 421:
        response_421 = Problem.from_dict(response.json())

        return response_421

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Problem.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Any | Problem | TuningJob]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    tune_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[Any | Problem | TuningJob]:
    """Get a tuning job

     The state of a tuning job: how many trials are done, and on success the best of them.

    Args:
        tune_id (str):
        prefer (str | Unset):
        if_none_match (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Problem | TuningJob]
    """

    kwargs = _get_kwargs(
        tune_id=tune_id,
        prefer=prefer,
        if_none_match=if_none_match,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    tune_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Any | Problem | TuningJob | None:
    """Get a tuning job

     The state of a tuning job: how many trials are done, and on success the best of them.

    Args:
        tune_id (str):
        prefer (str | Unset):
        if_none_match (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Problem | TuningJob
    """

    return sync_detailed(
        tune_id=tune_id,
        client=client,
        prefer=prefer,
        if_none_match=if_none_match,
    ).parsed


async def asyncio_detailed(
    tune_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[Any | Problem | TuningJob]:
    """Get a tuning job

     The state of a tuning job: how many trials are done, and on success the best of them.

    Args:
        tune_id (str):
        prefer (str | Unset):
        if_none_match (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Problem | TuningJob]
    """

    kwargs = _get_kwargs(
        tune_id=tune_id,
        prefer=prefer,
        if_none_match=if_none_match,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    tune_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Any | Problem | TuningJob | None:
    """Get a tuning job

     The state of a tuning job: how many trials are done, and on success the best of them.

    Args:
        tune_id (str):
        prefer (str | Unset):
        if_none_match (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Problem | TuningJob
    """

    return (
        await asyncio_detailed(
            tune_id=tune_id,
            client=client,
            prefer=prefer,
            if_none_match=if_none_match,
        )
    ).parsed
