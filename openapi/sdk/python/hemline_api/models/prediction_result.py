from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.class_probability import ClassProbability
    from ..models.explanation import Explanation
    from ..models.image_warning import ImageWarning


T = TypeVar("T", bound="PredictionResult")


@_attrs_define
class PredictionResult:
    """
    Attributes:
        label (str): The most probable class. Example: Sneaker.
        class_id (int): Its number: 0 T-shirt/top, 1 Trouser, 2 Pullover, 3 Dress, 4 Coat, 5 Sandal, 6 Shirt, 7 Sneaker,
            8 Bag, 9 Ankle boot. Example: 7.
        confidence (float): Its calibrated probability. Example: 0.97.
        probabilities (list[ClassProbability]): The `top_k` most probable classes, the first first.
        is_fashion (bool): False where the picture looks like none of the classes.
        novelty (float): Share of known garments that look less unusual than this picture, 0 to 1. Example: 0.03.
        warnings (list[ImageWarning]): What to know about the picture.
        source (str): How the picture came in, and so which network answered: `contract` (28x28, a drawing, or on a
            plain background) or `photo` (cut out of a photograph; answered by the version's network for photos, where it
            has one). Example: contract.
        preview (str): The 28x28 picture that was classified, before its light is adjusted, a PNG as `data:` URI.
            Example: data:image/png;base64,iVBORw0KGgo=.
        explanation (Explanation | Unset):
    """

    label: str
    class_id: int
    confidence: float
    probabilities: list[ClassProbability]
    is_fashion: bool
    novelty: float
    warnings: list[ImageWarning]
    source: str
    preview: str
    explanation: Explanation | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        label = self.label

        class_id = self.class_id

        confidence = self.confidence

        probabilities = []
        for probabilities_item_data in self.probabilities:
            probabilities_item = probabilities_item_data.to_dict()
            probabilities.append(probabilities_item)

        is_fashion = self.is_fashion

        novelty = self.novelty

        warnings = []
        for warnings_item_data in self.warnings:
            warnings_item = warnings_item_data.to_dict()
            warnings.append(warnings_item)

        source = self.source

        preview = self.preview

        explanation: dict[str, Any] | Unset = UNSET
        if not isinstance(self.explanation, Unset):
            explanation = self.explanation.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "label": label,
                "class_id": class_id,
                "confidence": confidence,
                "probabilities": probabilities,
                "is_fashion": is_fashion,
                "novelty": novelty,
                "warnings": warnings,
                "source": source,
                "preview": preview,
            }
        )
        if explanation is not UNSET:
            field_dict["explanation"] = explanation

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.class_probability import ClassProbability  # noqa: PLC0415
        from ..models.explanation import Explanation  # noqa: PLC0415
        from ..models.image_warning import ImageWarning  # noqa: PLC0415

        d = dict(src_dict)
        label = d.pop("label")

        class_id = d.pop("class_id")

        confidence = d.pop("confidence")

        probabilities = []
        _probabilities = d.pop("probabilities")
        for probabilities_item_data in _probabilities:
            probabilities_item = ClassProbability.from_dict(probabilities_item_data)

            probabilities.append(probabilities_item)

        is_fashion = d.pop("is_fashion")

        novelty = d.pop("novelty")

        warnings = []
        _warnings = d.pop("warnings")
        for warnings_item_data in _warnings:
            warnings_item = ImageWarning.from_dict(warnings_item_data)

            warnings.append(warnings_item)

        source = d.pop("source")

        preview = d.pop("preview")

        _explanation = d.pop("explanation", UNSET)
        explanation: Explanation | Unset
        if isinstance(_explanation, Unset):
            explanation = UNSET
        else:
            explanation = Explanation.from_dict(_explanation)

        prediction_result = cls(
            label=label,
            class_id=class_id,
            confidence=confidence,
            probabilities=probabilities,
            is_fashion=is_fashion,
            novelty=novelty,
            warnings=warnings,
            source=source,
            preview=preview,
            explanation=explanation,
        )

        prediction_result.additional_properties = d
        return prediction_result

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
