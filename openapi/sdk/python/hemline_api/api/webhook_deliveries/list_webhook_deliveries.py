from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.list_webhook_deliveries_status_type_1 import (
    ListWebhookDeliveriesStatusType1,
)
from ...models.list_webhook_deliveries_status_type_2_type_1 import (
    ListWebhookDeliveriesStatusType2Type1,
)
from ...models.list_webhook_deliveries_status_type_3_type_1 import (
    ListWebhookDeliveriesStatusType3Type1,
)
from ...models.problem import Problem
from ...models.webhook_delivery_page import WebhookDeliveryPage
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    limit: int | Unset = 20,
    cursor: None | str | Unset = UNSET,
    status: ListWebhookDeliveriesStatusType1
    | ListWebhookDeliveriesStatusType2Type1
    | ListWebhookDeliveriesStatusType3Type1
    | None
    | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    json_cursor: None | str | Unset
    if isinstance(cursor, Unset):
        json_cursor = UNSET
    else:
        json_cursor = cursor
    params["cursor"] = json_cursor

    json_status: None | str | Unset
    if isinstance(status, Unset):
        json_status = UNSET
    elif isinstance(status, str):
        json_status = status
    elif isinstance(status, str):
        json_status = status
    elif isinstance(status, str):
        json_status = status
    else:
        json_status = status
    params["status"] = json_status

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/webhook-deliveries",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Problem | WebhookDeliveryPage | None:
    if response.status_code == 200:
        response_200 = WebhookDeliveryPage.from_dict(response.json())

        return response_200

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())

        return response_403

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
) -> Response[Problem | WebhookDeliveryPage]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 20,
    cursor: None | str | Unset = UNSET,
    status: ListWebhookDeliveriesStatusType1
    | ListWebhookDeliveriesStatusType2Type1
    | ListWebhookDeliveriesStatusType3Type1
    | None
    | Unset = UNSET,
) -> Response[Problem | WebhookDeliveryPage]:
    """List messages to webhooks

     What was, is and will be sent to your webhooks, newest first; to all webhooks for an admin.

    Args:
        limit (int | Unset):  Default: 20.
        cursor (None | str | Unset):
        status (ListWebhookDeliveriesStatusType1 | ListWebhookDeliveriesStatusType2Type1 |
            ListWebhookDeliveriesStatusType3Type1 | None | Unset):  Example: failed.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | WebhookDeliveryPage]
    """

    kwargs = _get_kwargs(
        limit=limit,
        cursor=cursor,
        status=status,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 20,
    cursor: None | str | Unset = UNSET,
    status: ListWebhookDeliveriesStatusType1
    | ListWebhookDeliveriesStatusType2Type1
    | ListWebhookDeliveriesStatusType3Type1
    | None
    | Unset = UNSET,
) -> Problem | WebhookDeliveryPage | None:
    """List messages to webhooks

     What was, is and will be sent to your webhooks, newest first; to all webhooks for an admin.

    Args:
        limit (int | Unset):  Default: 20.
        cursor (None | str | Unset):
        status (ListWebhookDeliveriesStatusType1 | ListWebhookDeliveriesStatusType2Type1 |
            ListWebhookDeliveriesStatusType3Type1 | None | Unset):  Example: failed.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | WebhookDeliveryPage
    """

    return sync_detailed(
        client=client,
        limit=limit,
        cursor=cursor,
        status=status,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 20,
    cursor: None | str | Unset = UNSET,
    status: ListWebhookDeliveriesStatusType1
    | ListWebhookDeliveriesStatusType2Type1
    | ListWebhookDeliveriesStatusType3Type1
    | None
    | Unset = UNSET,
) -> Response[Problem | WebhookDeliveryPage]:
    """List messages to webhooks

     What was, is and will be sent to your webhooks, newest first; to all webhooks for an admin.

    Args:
        limit (int | Unset):  Default: 20.
        cursor (None | str | Unset):
        status (ListWebhookDeliveriesStatusType1 | ListWebhookDeliveriesStatusType2Type1 |
            ListWebhookDeliveriesStatusType3Type1 | None | Unset):  Example: failed.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | WebhookDeliveryPage]
    """

    kwargs = _get_kwargs(
        limit=limit,
        cursor=cursor,
        status=status,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 20,
    cursor: None | str | Unset = UNSET,
    status: ListWebhookDeliveriesStatusType1
    | ListWebhookDeliveriesStatusType2Type1
    | ListWebhookDeliveriesStatusType3Type1
    | None
    | Unset = UNSET,
) -> Problem | WebhookDeliveryPage | None:
    """List messages to webhooks

     What was, is and will be sent to your webhooks, newest first; to all webhooks for an admin.

    Args:
        limit (int | Unset):  Default: 20.
        cursor (None | str | Unset):
        status (ListWebhookDeliveriesStatusType1 | ListWebhookDeliveriesStatusType2Type1 |
            ListWebhookDeliveriesStatusType3Type1 | None | Unset):  Example: failed.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | WebhookDeliveryPage
    """

    return (
        await asyncio_detailed(
            client=client,
            limit=limit,
            cursor=cursor,
            status=status,
        )
    ).parsed
