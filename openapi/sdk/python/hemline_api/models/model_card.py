from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.metrics import Metrics
    from ..models.model_card_calibration import ModelCardCalibration
    from ..models.model_card_data import ModelCardData
    from ..models.model_card_history_item import ModelCardHistoryItem
    from ..models.model_card_levels import ModelCardLevels
    from ..models.model_card_metrics import ModelCardMetrics
    from ..models.model_card_novelty import ModelCardNovelty
    from ..models.model_card_photos import ModelCardPhotos
    from ..models.model_card_robustness import ModelCardRobustness
    from ..models.model_card_serving import ModelCardServing
    from ..models.model_card_sha_256 import ModelCardSha256
    from ..models.model_card_training_spec import ModelCardTrainingSpec


T = TypeVar("T", bound="ModelCard")


@_attrs_define
class ModelCard:
    """
    Attributes:
        version (str): Its id. Example: v1.
        network (str): The architecture. Example: resnet_small.
        aliases (list[str]): The aliases that point at it.
        created_at (datetime.datetime | Unset): When it was made. Example: 2026-01-31T12:00:00.123Z.
        parameters (int | Unset): Trainable and other weights. Example: 98000.
        macs (int | Unset): Multiply-accumulate operations for one picture. Example: 9000000.
        validation (Metrics | Unset):
        test (Metrics | Unset):
        training_spec (ModelCardTrainingSpec | Unset): The training spec that made it.
        training_seconds (float | Unset): How long training took.
        data (ModelCardData | Unset): What it was trained on, with digests.
        metrics (ModelCardMetrics | Unset): Metrics on validation and test, by class too, with the confusion matrix.
        levels (ModelCardLevels | Unset): What all pictures that it was trained on have in common, and a picture that
            lacks it is given: black and white in it, and dark corners.
        calibration (ModelCardCalibration | Unset): What logits are multiplied or divided by to get probabilities, and
            how it was fitted.
        novelty (ModelCardNovelty | Unset): The score of the novelty gate, its threshold, and how well it tells pictures
            of no class.
        robustness (ModelCardRobustness | Unset): Accuracy on corrupted test pictures, by corruption and severity, where
            it was measured.
        photos (ModelCardPhotos | Unset): The network that answers photographs, where the version has one: its
            parameters, metrics, calibration and novelty.
        history (list[ModelCardHistoryItem] | Unset): A row per epoch.
        serving (ModelCardServing | Unset): What the workers run.
        sha256 (ModelCardSha256 | Unset): Digest of each file.
    """

    version: str
    network: str
    aliases: list[str]
    created_at: datetime.datetime | Unset = UNSET
    parameters: int | Unset = UNSET
    macs: int | Unset = UNSET
    validation: Metrics | Unset = UNSET
    test: Metrics | Unset = UNSET
    training_spec: ModelCardTrainingSpec | Unset = UNSET
    training_seconds: float | Unset = UNSET
    data: ModelCardData | Unset = UNSET
    metrics: ModelCardMetrics | Unset = UNSET
    levels: ModelCardLevels | Unset = UNSET
    calibration: ModelCardCalibration | Unset = UNSET
    novelty: ModelCardNovelty | Unset = UNSET
    robustness: ModelCardRobustness | Unset = UNSET
    photos: ModelCardPhotos | Unset = UNSET
    history: list[ModelCardHistoryItem] | Unset = UNSET
    serving: ModelCardServing | Unset = UNSET
    sha256: ModelCardSha256 | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        version = self.version

        network = self.network

        aliases = self.aliases

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()

        parameters = self.parameters

        macs = self.macs

        validation: dict[str, Any] | Unset = UNSET
        if not isinstance(self.validation, Unset):
            validation = self.validation.to_dict()

        test: dict[str, Any] | Unset = UNSET
        if not isinstance(self.test, Unset):
            test = self.test.to_dict()

        training_spec: dict[str, Any] | Unset = UNSET
        if not isinstance(self.training_spec, Unset):
            training_spec = self.training_spec.to_dict()

        training_seconds = self.training_seconds

        data: dict[str, Any] | Unset = UNSET
        if not isinstance(self.data, Unset):
            data = self.data.to_dict()

        metrics: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metrics, Unset):
            metrics = self.metrics.to_dict()

        levels: dict[str, Any] | Unset = UNSET
        if not isinstance(self.levels, Unset):
            levels = self.levels.to_dict()

        calibration: dict[str, Any] | Unset = UNSET
        if not isinstance(self.calibration, Unset):
            calibration = self.calibration.to_dict()

        novelty: dict[str, Any] | Unset = UNSET
        if not isinstance(self.novelty, Unset):
            novelty = self.novelty.to_dict()

        robustness: dict[str, Any] | Unset = UNSET
        if not isinstance(self.robustness, Unset):
            robustness = self.robustness.to_dict()

        photos: dict[str, Any] | Unset = UNSET
        if not isinstance(self.photos, Unset):
            photos = self.photos.to_dict()

        history: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.history, Unset):
            history = []
            for history_item_data in self.history:
                history_item = history_item_data.to_dict()
                history.append(history_item)

        serving: dict[str, Any] | Unset = UNSET
        if not isinstance(self.serving, Unset):
            serving = self.serving.to_dict()

        sha256: dict[str, Any] | Unset = UNSET
        if not isinstance(self.sha256, Unset):
            sha256 = self.sha256.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "version": version,
                "network": network,
                "aliases": aliases,
            }
        )
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if parameters is not UNSET:
            field_dict["parameters"] = parameters
        if macs is not UNSET:
            field_dict["macs"] = macs
        if validation is not UNSET:
            field_dict["validation"] = validation
        if test is not UNSET:
            field_dict["test"] = test
        if training_spec is not UNSET:
            field_dict["training_spec"] = training_spec
        if training_seconds is not UNSET:
            field_dict["training_seconds"] = training_seconds
        if data is not UNSET:
            field_dict["data"] = data
        if metrics is not UNSET:
            field_dict["metrics"] = metrics
        if levels is not UNSET:
            field_dict["levels"] = levels
        if calibration is not UNSET:
            field_dict["calibration"] = calibration
        if novelty is not UNSET:
            field_dict["novelty"] = novelty
        if robustness is not UNSET:
            field_dict["robustness"] = robustness
        if photos is not UNSET:
            field_dict["photos"] = photos
        if history is not UNSET:
            field_dict["history"] = history
        if serving is not UNSET:
            field_dict["serving"] = serving
        if sha256 is not UNSET:
            field_dict["sha256"] = sha256

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.metrics import Metrics  # noqa: PLC0415
        from ..models.model_card_calibration import ModelCardCalibration  # noqa: PLC0415
        from ..models.model_card_data import ModelCardData  # noqa: PLC0415
        from ..models.model_card_history_item import ModelCardHistoryItem  # noqa: PLC0415
        from ..models.model_card_levels import ModelCardLevels  # noqa: PLC0415
        from ..models.model_card_metrics import ModelCardMetrics  # noqa: PLC0415
        from ..models.model_card_novelty import ModelCardNovelty  # noqa: PLC0415
        from ..models.model_card_photos import ModelCardPhotos  # noqa: PLC0415
        from ..models.model_card_robustness import ModelCardRobustness  # noqa: PLC0415
        from ..models.model_card_serving import ModelCardServing  # noqa: PLC0415
        from ..models.model_card_sha_256 import ModelCardSha256  # noqa: PLC0415
        from ..models.model_card_training_spec import ModelCardTrainingSpec  # noqa: PLC0415

        d = dict(src_dict)
        version = d.pop("version")

        network = d.pop("network")

        aliases = cast(list[str], d.pop("aliases"))

        _created_at = d.pop("created_at", UNSET)
        created_at: datetime.datetime | Unset
        if isinstance(_created_at, Unset):
            created_at = UNSET
        else:
            created_at = datetime.datetime.fromisoformat(_created_at)

        parameters = d.pop("parameters", UNSET)

        macs = d.pop("macs", UNSET)

        _validation = d.pop("validation", UNSET)
        validation: Metrics | Unset
        if isinstance(_validation, Unset):
            validation = UNSET
        else:
            validation = Metrics.from_dict(_validation)

        _test = d.pop("test", UNSET)
        test: Metrics | Unset
        if isinstance(_test, Unset):
            test = UNSET
        else:
            test = Metrics.from_dict(_test)

        _training_spec = d.pop("training_spec", UNSET)
        training_spec: ModelCardTrainingSpec | Unset
        if isinstance(_training_spec, Unset):
            training_spec = UNSET
        else:
            training_spec = ModelCardTrainingSpec.from_dict(_training_spec)

        training_seconds = d.pop("training_seconds", UNSET)

        _data = d.pop("data", UNSET)
        data: ModelCardData | Unset
        if isinstance(_data, Unset):
            data = UNSET
        else:
            data = ModelCardData.from_dict(_data)

        _metrics = d.pop("metrics", UNSET)
        metrics: ModelCardMetrics | Unset
        if isinstance(_metrics, Unset):
            metrics = UNSET
        else:
            metrics = ModelCardMetrics.from_dict(_metrics)

        _levels = d.pop("levels", UNSET)
        levels: ModelCardLevels | Unset
        if isinstance(_levels, Unset):
            levels = UNSET
        else:
            levels = ModelCardLevels.from_dict(_levels)

        _calibration = d.pop("calibration", UNSET)
        calibration: ModelCardCalibration | Unset
        if isinstance(_calibration, Unset):
            calibration = UNSET
        else:
            calibration = ModelCardCalibration.from_dict(_calibration)

        _novelty = d.pop("novelty", UNSET)
        novelty: ModelCardNovelty | Unset
        if isinstance(_novelty, Unset):
            novelty = UNSET
        else:
            novelty = ModelCardNovelty.from_dict(_novelty)

        _robustness = d.pop("robustness", UNSET)
        robustness: ModelCardRobustness | Unset
        if isinstance(_robustness, Unset):
            robustness = UNSET
        else:
            robustness = ModelCardRobustness.from_dict(_robustness)

        _photos = d.pop("photos", UNSET)
        photos: ModelCardPhotos | Unset
        if isinstance(_photos, Unset):
            photos = UNSET
        else:
            photos = ModelCardPhotos.from_dict(_photos)

        _history = d.pop("history", UNSET)
        history: list[ModelCardHistoryItem] | Unset = UNSET
        if _history is not UNSET:
            history = []
            for history_item_data in _history:
                history_item = ModelCardHistoryItem.from_dict(history_item_data)

                history.append(history_item)

        _serving = d.pop("serving", UNSET)
        serving: ModelCardServing | Unset
        if isinstance(_serving, Unset):
            serving = UNSET
        else:
            serving = ModelCardServing.from_dict(_serving)

        _sha256 = d.pop("sha256", UNSET)
        sha256: ModelCardSha256 | Unset
        if isinstance(_sha256, Unset):
            sha256 = UNSET
        else:
            sha256 = ModelCardSha256.from_dict(_sha256)

        model_card = cls(
            version=version,
            network=network,
            aliases=aliases,
            created_at=created_at,
            parameters=parameters,
            macs=macs,
            validation=validation,
            test=test,
            training_spec=training_spec,
            training_seconds=training_seconds,
            data=data,
            metrics=metrics,
            levels=levels,
            calibration=calibration,
            novelty=novelty,
            robustness=robustness,
            photos=photos,
            history=history,
            serving=serving,
            sha256=sha256,
        )

        model_card.additional_properties = d
        return model_card

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
