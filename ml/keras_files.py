"""Model files of Keras: read only where they describe a network, never where they bring code of their own.

Keras refuses such files by itself, unless anything in the process has called `enable_unsafe_deserialization`, which
overrides `safe_mode=True`. So the description is looked at before Keras sees it.
"""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import keras

# Layers of Keras that run a function, a graph or a module that the file brings.
_RUN_FOREIGN_CODE: Final = {"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}


class UntrustedFile(ValueError):
    """A .keras file brings code along, or is none."""


def to_keras(model: keras.Model) -> bytes:
    """A .keras file without the optimizer, whose state doubles the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        plain = model.__class__.from_config(model.get_config())
        plain.set_weights(model.get_weights())
        plain.save(path)
        return path.read_bytes()


def load_keras(content: bytes) -> keras.Model:
    """The model of a .keras file, ready to predict. Raises UntrustedFile."""
    _check(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False, safe_mode=True)


def _check(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            description = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UntrustedFile(f"This is no .keras file: {error}.") from error
    for part in _parts(description):
        module, name = part.get("module"), part["class_name"]
        if name in _RUN_FOREIGN_CODE or not (module is None or str(module).split(".")[0] in ("keras", "builtins")):
            raise UntrustedFile(f"The .keras file has a {name} of {module}; only layers of Keras that bring no code.")


def _parts(description: Any) -> Iterator[dict[str, Any]]:
    """Everything in a description that names a class."""
    inner = description.values() if isinstance(description, dict) else description
    if isinstance(description, dict) and "class_name" in description:
        yield description
    if isinstance(description, (dict, list)):
        for each in inner:
            yield from _parts(each)
