from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.neighbor import Neighbor


T = TypeVar("T", bound="Explanation")


@_attrs_define
class Explanation:
    """
    Attributes:
        overlay (str): What the model saw, enlarged to 224x224, with color where covering it would make the model less
            sure of its answer: the brighter the more. A PNG as `data:` URI. Example: data:image/png;base64,iVBORw0KGgo=.
        neighbors (list[Neighbor]): The three training images that the model finds most alike, the nearest first. None
            where the version was published without an index of them.
    """

    overlay: str
    neighbors: list[Neighbor]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        overlay = self.overlay

        neighbors = []
        for neighbors_item_data in self.neighbors:
            neighbors_item = neighbors_item_data.to_dict()
            neighbors.append(neighbors_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "overlay": overlay,
                "neighbors": neighbors,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.neighbor import Neighbor  # noqa: PLC0415

        d = dict(src_dict)
        overlay = d.pop("overlay")

        neighbors = []
        _neighbors = d.pop("neighbors")
        for neighbors_item_data in _neighbors:
            neighbors_item = Neighbor.from_dict(neighbors_item_data)

            neighbors.append(neighbors_item)

        explanation = cls(
            overlay=overlay,
            neighbors=neighbors,
        )

        explanation.additional_properties = d
        return explanation

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
