"""From a trained Keras model to the files of a version: Keras, LiteRT float32 and int8, and the card.

A version is published only when its files answer alike on real images, so that is checked here.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from ml import evaluation, litert, networks
from ml.datasets import CLASSES, Split
from ml.images import CLASS_NAMES
from ml.keras_files import load_keras, to_keras
from ml.litert import logits as litert_logits
from ml.report import Track, fit, report
from ml.runs import Epoch
from ml.spec import TrainingSpec
from ml.training import Trained, predict_logits

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

KERAS, FLOAT32, INT8 = "model.keras", "model.tflite", "model.int8.tflite"

_log = logging.getLogger(__name__)

# Largest difference of a logit between Keras and LiteRT in float32, relative to the largest logit.
FLOAT32_TOLERANCE: Final = 1e-4
# Share of validation images that the int8 file may get wrong on top of what float32 gets wrong.
INT8_ACCURACY_LOSS: Final = 0.001
REPRESENTATIVE_IMAGES: Final = 1000

# What decides a run's outcome, for the card's code digest.
_SOURCES: Final = (
    "augmentation.py", "calibration.py", "datasets.py", "distillation.py", "evaluation.py", "export.py", "levels.py",
    "novelty.py", "optimization.py", "runs.py", "sampling.py", "spec.py", "training.py",
)


class ExportFailed(RuntimeError):
    """An exported file does not answer as the trained model does; nothing may be published."""


@dataclass(frozen=True, slots=True)
class Package:
    """What the registry publishes: the files of a version, and its card."""

    files: Mapping[str, bytes]
    card: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """An earlier run, from whose weights the next one started."""

    spec: TrainingSpec
    history: Sequence[Epoch]


def package(
    trained: Trained,
    spec: TrainingSpec,
    data: Split,
    dataset: str = "fashion-mnist",
    earlier: Sequence[Stage] = (),
    teachers: Sequence[str] = (),
    full_report: bool = False,
) -> Package:
    """Export a trained model and write its card. `teachers`: SHA-256 of the files that it learned from. Raises
    ExportFailed.

    Which file is served is chosen on validation images, on which temperature and novelty are fitted too; the test
    images are looked at once, through the file that is served. A full report takes minutes, another seconds.
    """
    files, serving = _choose_files(trained.model, data)
    made_of = {
        "network": spec.network,
        "parameters": trained.model.count_params(),
        "macs": networks.count_macs(trained.model),
        "classes": list(CLASS_NAMES),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "code": _code(spec.network),
        "data": {"name": dataset} | {
            name: {"images": len(part), "sha256": part.digest}
            for name, part in (("training", data.training), ("validation", data.validation), ("test", data.test))
        },
        "training_spec": spec.to_dict(),
        "history": [asdict(row) for row in trained.history],
        "earlier_stages": [
            {"training_spec": stage.spec.to_dict(), "history": [asdict(row) for row in stage.history]}
            for stage in earlier
        ],
        "teachers": list(teachers),
        "training_seconds": round(_seconds(trained.history) + sum(_seconds(stage.history) for stage in earlier), 1),
    }
    return _measured(files, made_of | {"serving": serving}, data, full_report)


def refresh(
    files: Mapping[str, bytes],
    card: Mapping[str, Any],
    data: Split,
    full_report: bool = True,
    track: Track = iter,
) -> Package:
    """A version with everything fitted and measured anew, without training. The same input gives the same output.

    A version whose files lack the features is exported again from its Keras model. Raises ExportFailed.
    """
    serving = card["serving"]
    kept = {name: files[name] for name in (KERAS, FLOAT32, INT8) if name in files}
    if not litert.has_features(files[serving["artifact"]]):
        kept, serving = _choose_files(load_keras(files[KERAS]), data)
    older = {name: value for name, value in card.items() if name != "levels"}  # which the data may have none of
    return _measured(kept, {**older, "serving": serving}, data, full_report, track)


def _measured(
    files: Mapping[str, bytes],
    card: Mapping[str, Any],
    data: Split,
    full: bool,
    track: Track = iter,
) -> Package:
    served, more = fit(files[card["serving"]["artifact"]], data)
    found = report(served, data.test, full=full, track=track)
    on_validation = served.answer(data.validation.images).logits
    measured = {
        "metrics": {
            "validation": evaluation.metrics(on_validation, data.validation.labels),
            "test": found.pop("test"),
        },
        "calibration": served.calibration,
        "novelty": {**served.novelty, **found.pop("novelty")},
        **found,
        **({"levels": served.levels} if served.levels else {}),
    }
    return Package({**files, **more}, {**card, **measured})


def _seconds(history: Sequence[Epoch]) -> float:
    return sum(row.seconds for row in history)


def _choose_files(model: keras.Model, data: Split) -> tuple[dict[str, bytes], dict[str, Any]]:
    images, labels = data.validation.images, data.validation.labels
    keras_file = to_keras(model)
    reloaded = load_keras(keras_file)
    float32, int8 = to_litert(reloaded), _int8_if_possible(reloaded, data)
    expected, (found, features) = predict_logits(model, images), litert.outputs(float32, images)
    if features is None or len(features) != len(found):
        raise ExportFailed("The features are not one row for each image.")
    difference = float(np.abs(expected - found).max())
    if difference > FLOAT32_TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ExportFailed(f"Keras and LiteRT differ by {difference:.2g} in a logit of the validation images.")
    accuracies = {FLOAT32: evaluation.accuracy(found, labels)}
    files = {KERAS: keras_file, FLOAT32: float32}
    served = FLOAT32
    if int8 is not None:
        content, logits = int8
        accuracies[INT8] = evaluation.accuracy(logits, labels)
        if accuracies[FLOAT32] - accuracies[INT8] <= INT8_ACCURACY_LOSS:
            files[INT8], served = content, INT8
    return files, {
        "artifact": served,
        "largest_logit_difference": difference,
        "validation_accuracy": accuracies,
    }


def _int8_if_possible(model: keras.Model, data: Split) -> tuple[bytes, Floats] | None:
    """The int8 file and its logits of the validation images; nothing for weights too wild to be quantized."""
    try:
        content = to_litert_int8(model, data.training.images)
        return content, litert_logits(content, data.validation.images)
    except (ExportFailed, RuntimeError) as error:
        _log.warning("no int8 file: %s", error)
        return None


def to_litert(model: keras.Model) -> bytes:
    """A LiteRT file with float32 input [n, 28, 28, 1] from 0 to 1 and two float32 outputs: logits [n, 10], features
    [n, d]. Raises ExportFailed if they come out otherwise."""
    return _checked(bytes(_converter(model).convert()), model)


def to_litert_int8(model: keras.Model, images: Images) -> bytes:
    """A full-integer LiteRT file whose int8 input is the raw pixel minus 128; the outputs are those of `to_litert`.

    images: training images uint8 [n, 28, 28], of which a regular sample sets the ranges of activations. Raises
    ExportFailed if the input's quantization does not come out as the raw pixel, or the outputs in another order.
    """
    step = max(1, len(images) // REPRESENTATIVE_IMAGES)
    sample = np.concatenate([images[::step], np.array([[[0, 255] * 14] * 28], np.uint8)])

    def representative() -> Iterator[list[Floats]]:
        for image in sample:
            yield [image[None, :, :, None].astype(np.float32) / np.float32(255)]

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    content = bytes(converter.convert())
    scale, zero_point = Interpreter(model_content=content).get_input_details()[0]["quantization"]
    if zero_point != -128 or abs(scale * 255 - 1) > 1e-5:
        raise ExportFailed(f"The int8 input has scale {scale} and zero point {zero_point}; expected 1/255 and -128.")
    return _checked(content, model)


def _converter(model: keras.Model) -> Any:
    signature = tf.TensorSpec((None, 28, 28, 1), tf.float32, name="image")
    # The converter numbers outputs from the last to the first, so the features go in first; _checked holds it to that.
    function = tf.function(lambda image: logits_and_features(model, image)[::-1], input_signature=[signature])
    # The converter's calibrator cannot read variables, so they become constants first.
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen], model)


def logits_and_features(model: keras.Model, image: Any) -> tuple[Any, Any]:
    """What the model answers to a tensor of images [n, 28, 28, 1], and what its last dense layer saw: [n, 10], [n, d].

    A model that asks its network more than once, about the mirror image say, has the mean of what the layer saw.
    """
    layer = _last_dense(model)
    if layer is None:
        raise ExportFailed(f"{model.name} has no dense layer of {CLASSES} units, whose input would be the features.")
    seen: list[Any] = []
    call = layer.call

    def recording(inputs: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(inputs)
        return call(inputs, *arguments, **options)

    # However deep the layer is nested, it is this object that is called.
    layer.call = recording
    try:
        logits = model(image, training=False)
    finally:
        layer.call = call
    features = seen[0] if len(seen) == 1 else tf.add_n(seen) / len(seen)
    return tf.cast(logits, tf.float32), tf.cast(features, tf.float32)


def _last_dense(model: Any) -> Any:
    for layer in reversed(model.layers):
        if isinstance(layer, keras.layers.Dense) and layer.units == CLASSES:
            return layer
        if found := _last_dense(layer) if hasattr(layer, "layers") else None:
            return found
    return None


def _checked(content: bytes, model: keras.Model) -> bytes:
    """The file, if its outputs are logits and features, in this order."""
    outputs = Interpreter(model_content=content).get_output_details()
    found = [(int(each["shape"][-1]), each["dtype"]) for each in outputs]
    expected = [(CLASSES, np.float32), (int(_last_dense(model).kernel.shape[0]), np.float32)]
    if found != expected:
        raise ExportFailed(f"The outputs are {found}; expected logits and features: {expected}.")
    return content


def _code(network: str) -> dict[str, str]:
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for name in (*_SOURCES, f"networks/{network}.py"):
        digest.update(folder.joinpath(name).read_bytes())
    libraries = {name: version(name) for name in ("keras", "numpy", "ai-edge-litert")}
    return {"sha256": digest.hexdigest(), "tensorflow": str(tf.__version__)} | libraries
