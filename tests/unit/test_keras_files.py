"""A .keras file is a description and numbers; one that brings code along is refused before any of it runs."""

import io
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

from ml import networks, training
from ml.datasets import Dataset
from ml.keras_files import UntrustedFile, load_keras, to_keras
from ml.spec import TrainingSpec
from ml.training import WrongBase

# Keras saves variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def bomb(folder: Path) -> bytes:
    """A file whose layer makes a folder when its code is run."""
    made = str(folder / "it-ran")
    layer = keras.layers.Lambda(lambda x, made=made: (__import__("os").makedirs(made, exist_ok=True), x)[1])
    inputs = keras.Input((28, 28, 1))
    path = folder / "bomb.keras"
    keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(layer(inputs)))).save(path)
    (folder / "it-ran").rmdir()  # building the model ran it, which was our own doing
    return path.read_bytes()


@pytest.mark.parametrize("unsafe", [False, True], ids=["by default", "where a library has allowed it"])
def test_a_file_that_brings_code_along_is_refused_and_the_code_does_not_run(unsafe: bool, tmp_path: Path) -> None:
    content = bomb(tmp_path)
    data = Dataset(np.zeros((40, 28, 28), np.uint8), np.zeros(40, np.uint8))
    if unsafe:
        keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(UntrustedFile, match="Lambda"):
            load_keras(content)
        with pytest.raises(WrongBase, match="Lambda"):
            training.train(TrainingSpec(epochs=1), data, data, base=content)
    finally:
        global_state.set_global_attribute("safe_mode_saving", None)

    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("part", [
    {"class_name": "Lambda", "module": "keras.layers"}, {"class_name": "TFSMLayer", "module": "keras.layers"},
    {"class_name": "system", "module": "os"}, {"class_name": "Layer", "module": "kerasmalicious"},
    {"class_name": "function", "module": "subprocess", "config": "run"},
])  # fmt: skip
def test_a_description_that_names_what_is_not_keras_is_refused(part: dict[str, str]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(
            "config.json", json.dumps({"class_name": "Functional", "module": "keras", "config": [{"x": part}]})
        )

    with pytest.raises(UntrustedFile, match=part["class_name"]):
        load_keras(content.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x89HDF\r\n\x1a\n", b"PK\5\6" + bytes(18)])
def test_what_is_no_keras_file_is_refused(content: bytes) -> None:
    with pytest.raises(UntrustedFile, match="no .keras file"):
        load_keras(content)


@pytest.mark.parametrize("name", networks.names())
def test_every_network_of_ours_comes_back_as_it_was(name: str) -> None:
    model = networks.build(name)

    for ours, theirs in zip(model.get_weights(), load_keras(to_keras(model)).get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
