from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.tuning_job import TuningJob
from ...models.tuning_job_request import TuningJobRequest
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: TuningJobRequest,
    prefer: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(prefer, Unset):
        headers["Prefer"] = prefer

    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/tuning-jobs",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | TuningJob | None:
    if response.status_code == 201:
        response_201 = TuningJob.from_dict(response.json())

        return response_201

    if response.status_code == 202:
        response_202 = TuningJob.from_dict(response.json())

        return response_202

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())

        return response_403

    if response.status_code == 409:
        response_409 = Problem.from_dict(response.json())

        return response_409

    if response.status_code == 410:
        response_410 = Problem.from_dict(response.json())

        return response_410

    if response.status_code == 413:
        response_413 = Problem.from_dict(response.json())

        return response_413

    if response.status_code == 415:
        response_415 = Problem.from_dict(response.json())

        return response_415

    if response.status_code == 421:
        response_421 = Problem.from_dict(response.json())

        return response_421

    if response.status_code == 422:
        response_422 = Problem.from_dict(response.json())

        return response_422

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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Problem | TuningJob]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: TuningJobRequest,
    prefer: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[Problem | TuningJob]:
    """Search hyperparameters

     `search_space` says what to try; every other field has the same value in all trials. Trials are
    short: `epochs` and
    `fraction` are the budget of each. They run on as many training workers as there are, those that are
    clearly worse
    than others after the same epoch are pruned, and one that loses its worker is tried again with the
    same values.

    Args:
        prefer (str | Unset):
        idempotency_key (str | Unset):
        body (TuningJobRequest):  Example: {'network': 'tutorial_cnn', 'dataset': 'fashion-mnist',
            'trials': 12, 'epochs': 3, 'fraction': 0.1, 'search_space': {'learning_rate': {'low':
            0.01, 'high': 1.0, 'log': True}, 'batch_size': {'choices': [32, 64, 128]},
            'hyperparameters': {'dense': {'low': 32, 'high': 256}}}}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | TuningJob]
    """

    kwargs = _get_kwargs(
        body=body,
        prefer=prefer,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    body: TuningJobRequest,
    prefer: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Problem | TuningJob | None:
    """Search hyperparameters

     `search_space` says what to try; every other field has the same value in all trials. Trials are
    short: `epochs` and
    `fraction` are the budget of each. They run on as many training workers as there are, those that are
    clearly worse
    than others after the same epoch are pruned, and one that loses its worker is tried again with the
    same values.

    Args:
        prefer (str | Unset):
        idempotency_key (str | Unset):
        body (TuningJobRequest):  Example: {'network': 'tutorial_cnn', 'dataset': 'fashion-mnist',
            'trials': 12, 'epochs': 3, 'fraction': 0.1, 'search_space': {'learning_rate': {'low':
            0.01, 'high': 1.0, 'log': True}, 'batch_size': {'choices': [32, 64, 128]},
            'hyperparameters': {'dense': {'low': 32, 'high': 256}}}}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | TuningJob
    """

    return sync_detailed(
        client=client,
        body=body,
        prefer=prefer,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: TuningJobRequest,
    prefer: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[Problem | TuningJob]:
    """Search hyperparameters

     `search_space` says what to try; every other field has the same value in all trials. Trials are
    short: `epochs` and
    `fraction` are the budget of each. They run on as many training workers as there are, those that are
    clearly worse
    than others after the same epoch are pruned, and one that loses its worker is tried again with the
    same values.

    Args:
        prefer (str | Unset):
        idempotency_key (str | Unset):
        body (TuningJobRequest):  Example: {'network': 'tutorial_cnn', 'dataset': 'fashion-mnist',
            'trials': 12, 'epochs': 3, 'fraction': 0.1, 'search_space': {'learning_rate': {'low':
            0.01, 'high': 1.0, 'log': True}, 'batch_size': {'choices': [32, 64, 128]},
            'hyperparameters': {'dense': {'low': 32, 'high': 256}}}}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | TuningJob]
    """

    kwargs = _get_kwargs(
        body=body,
        prefer=prefer,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: TuningJobRequest,
    prefer: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Problem | TuningJob | None:
    """Search hyperparameters

     `search_space` says what to try; every other field has the same value in all trials. Trials are
    short: `epochs` and
    `fraction` are the budget of each. They run on as many training workers as there are, those that are
    clearly worse
    than others after the same epoch are pruned, and one that loses its worker is tried again with the
    same values.

    Args:
        prefer (str | Unset):
        idempotency_key (str | Unset):
        body (TuningJobRequest):  Example: {'network': 'tutorial_cnn', 'dataset': 'fashion-mnist',
            'trials': 12, 'epochs': 3, 'fraction': 0.1, 'search_space': {'learning_rate': {'low':
            0.01, 'high': 1.0, 'log': True}, 'batch_size': {'choices': [32, 64, 128]},
            'hyperparameters': {'dense': {'low': 32, 'high': 256}}}}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | TuningJob
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            prefer=prefer,
            idempotency_key=idempotency_key,
        )
    ).parsed
