"""Columns side by side as channels: the same answers to the bit, whatever the convolution."""

from collections.abc import Callable
from typing import Any

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from ml import export, layout, litert
from processes import ROOT

SHIPPED = ROOT / "ml" / "shipped"
PICTURES = np.random.default_rng(5).integers(0, 256, (6, 28, 28), np.uint8)
PICTURES[3:, :, :14] = 0


def int8(outputs: keras.KerasTensor, inputs: keras.KerasTensor) -> bytes:
    """A full-integer file of a network with random weights."""
    model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(outputs)))
    return export.to_litert_int8(model, PICTURES)


def convolution(filters: int, size: int, strides: int = 1, padding: str = "same", **more: object) -> layers.Layer:
    return layers.Conv2D(
        filters, size, strides=strides, padding=padding, activation="relu", bias_initializer="random_normal", **more
    )


def widths(content: bytes) -> list[int]:
    """Channels of all convolutions' results."""
    interpreter = Interpreter(model_content=content)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()
    return [int(tensors[each["outputs"][0]]["shape"][3]) for each in operators if each["op_name"] == "CONV_2D"]


@pytest.mark.parametrize("name", ["small/model.int8", "accurate/model.int8", "photos/photos.int8"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_what_ships_answers_the_same_to_the_bit(name: str, batch_size: int) -> None:
    content = SHIPPED.joinpath(f"{name}.tflite").read_bytes()
    wide = layout.widened(content)
    assert wide is not None

    for before, after in zip(*(litert.outputs(each, PICTURES, batch_size) for each in (content, wide)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_channels_fill_the_lanes_as_far_as_the_width_allows() -> None:
    content = SHIPPED.joinpath("small/model.int8.tflite").read_bytes()
    wide = layout.widened(content)
    assert wide is not None

    assert set(widths(content)) == {16, 32, 48}
    assert set(widths(wide)) == {64, 48}, "48 channels at 7x7 stay: 7 columns have no neighbours to share with"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("lanes", [16, 64])
def test_kernels_of_any_size_and_stride(size: int, strides: int, lanes: int) -> None:
    inputs = keras.Input((28, 28, 1))
    x = convolution(8, 3)(inputs)
    x = layers.Add()([convolution(8, size, strides)(x), convolution(8, 1, strides)(x)])
    content = int8(convolution(12, size)(x), inputs)
    wide = layout.widened(content, lanes)

    assert wide is not None
    np.testing.assert_array_equal(litert.logits(content, PICTURES), litert.logits(wide, PICTURES))


def test_what_it_does_not_know_stays_and_sees_the_picture_as_it_was() -> None:
    inputs = keras.Input((28, 28, 1))
    x = layers.MaxPooling2D()(convolution(8, 3)(inputs))  # 14x14
    x = convolution(8, 3, padding="valid")(x)  # 12x12
    x = convolution(8, 3, dilation_rate=2)(x)
    x = layers.Add()([convolution(8, 3, groups=2)(x), layers.GlobalAveragePooling2D(keepdims=True)(x)])
    content = int8(convolution(8, 3, 5)(layers.DepthwiseConv2D(3)(x)), inputs)  # 10 columns by 5
    wide = layout.widened(content)

    assert wide is not None
    np.testing.assert_array_equal(litert.logits(content, PICTURES), litert.logits(wide, PICTURES))


def test_there_is_nothing_to_widen_in_float32_or_where_lanes_are_few() -> None:
    assert layout.widened(SHIPPED.joinpath("small/model.tflite").read_bytes()) is None
    assert layout.widened(SHIPPED.joinpath("small/model.int8.tflite").read_bytes(), lanes=16) is None


def without_bias(graph: Any, convolution: Any) -> None:
    convolution.inputs = [*convolution.inputs[:2], -1]


def with_another_zero(graph: Any, convolution: Any) -> None:
    quantization = graph.tensors[convolution.inputs[1]].quantization
    quantization.zeroPoint = np.ones_like(quantization.zeroPoint)


def as_output(graph: Any, convolution: Any) -> None:
    graph.outputs = [convolution.outputs[0]]


@pytest.mark.parametrize("edit", [without_bias, with_another_zero, as_output])
def test_what_cannot_be_widened_stays_as_it_is(edit: Callable[[Any, Any], None]) -> None:
    inputs = layers.Input((28, 28, 1))
    content = int8(convolution(16, 3)(inputs), inputs)
    assert layout.widened(content) is not None
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAs(content, 0))
    (graph,) = model.subgraphs
    kinds = [code.builtinCode for code in model.operatorCodes]
    (only,) = (each for each in graph.operators if kinds[each.opcodeIndex] == tflite.BuiltinOperator.CONV_2D)
    edit(graph, only)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")

    assert layout.widened(bytes(builder.Output())) is None
