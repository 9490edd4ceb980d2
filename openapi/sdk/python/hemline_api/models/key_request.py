from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.key_request_scopes_item import (
    KeyRequestScopesItem,
    check_key_request_scopes_item,
)
from ..types import UNSET, Unset

T = TypeVar("T", bound="KeyRequest")


@_attrs_define
class KeyRequest:
    """
    Attributes:
        name (str): What you will know it by. Example: nightly batches.
        scopes (list[KeyRequestScopesItem]): What it is good for. `predict`: predictions and batches. `train`: training,
            tuning, data sets, aliases. `admin`: everything. Example: ['predict'].
        expires_in (int | Unset): Seconds for which it is valid; until it is revoked, unless given. Example: 7776000.
    """

    name: str
    scopes: list[KeyRequestScopesItem]
    expires_in: int | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        scopes = []
        for scopes_item_data in self.scopes:
            scopes_item: str = scopes_item_data
            scopes.append(scopes_item)

        expires_in = self.expires_in

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "scopes": scopes,
            }
        )
        if expires_in is not UNSET:
            field_dict["expires_in"] = expires_in

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        name = d.pop("name")

        scopes = []
        _scopes = d.pop("scopes")
        for scopes_item_data in _scopes:
            scopes_item = check_key_request_scopes_item(scopes_item_data)

            scopes.append(scopes_item)

        expires_in = d.pop("expires_in", UNSET)

        key_request = cls(
            name=name,
            scopes=scopes,
            expires_in=expires_in,
        )

        return key_request
