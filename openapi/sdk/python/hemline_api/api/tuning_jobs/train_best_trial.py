from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.train_best_request import TrainBestRequest
from ...models.training_job import TrainingJob
from ...types import UNSET, Response, Unset


def _get_kwargs(
    tune_id: str,
    *,
    body: TrainBestRequest | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/tuning-jobs/{tune_id}/train-best".format(
            tune_id=quote(str(tune_id), safe=""),
        ),
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | TrainingJob | None:
    if response.status_code == 202:
        response_202 = TrainingJob.from_dict(response.json())

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

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())

        return response_404

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


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Problem | TrainingJob]:
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
    body: TrainBestRequest | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[Problem | TrainingJob]:
    """Train the best trial in full

     Unless said otherwise it trains on all of the data, and for as many epochs as a training job does by
    itself.

    Args:
        tune_id (str):
        idempotency_key (str | Unset):
        body (TrainBestRequest | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | TrainingJob]
    """

    kwargs = _get_kwargs(
        tune_id=tune_id,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    tune_id: str,
    *,
    client: AuthenticatedClient,
    body: TrainBestRequest | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Problem | TrainingJob | None:
    """Train the best trial in full

     Unless said otherwise it trains on all of the data, and for as many epochs as a training job does by
    itself.

    Args:
        tune_id (str):
        idempotency_key (str | Unset):
        body (TrainBestRequest | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | TrainingJob
    """

    return sync_detailed(
        tune_id=tune_id,
        client=client,
        body=body,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    tune_id: str,
    *,
    client: AuthenticatedClient,
    body: TrainBestRequest | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[Problem | TrainingJob]:
    """Train the best trial in full

     Unless said otherwise it trains on all of the data, and for as many epochs as a training job does by
    itself.

    Args:
        tune_id (str):
        idempotency_key (str | Unset):
        body (TrainBestRequest | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | TrainingJob]
    """

    kwargs = _get_kwargs(
        tune_id=tune_id,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    tune_id: str,
    *,
    client: AuthenticatedClient,
    body: TrainBestRequest | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Problem | TrainingJob | None:
    """Train the best trial in full

     Unless said otherwise it trains on all of the data, and for as many epochs as a training job does by
    itself.

    Args:
        tune_id (str):
        idempotency_key (str | Unset):
        body (TrainBestRequest | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | TrainingJob
    """

    return (
        await asyncio_detailed(
            tune_id=tune_id,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
