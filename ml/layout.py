"""The same int8 network with neighbouring columns of a picture side by side, as channels of one wide column.

Matrix units multiply by blocks of 64 columns of weights (XNNPACK on Intel's AMX), and a convolution to 16 channels
leaves three quarters of a block idle. Memory holds [height, width, channels] just as it holds [height, width / p,
p * channels], so p neighbours can be computed as one, by weights that are zero where a channel does not see a
neighbour. Every sum stays the same sum, so every answer stays the same to the bit. There is more to multiply, p times
or less, so it is slower where units are narrow: who runs a network measures both.
"""

from __future__ import annotations

import timeit
from copy import copy
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite
from numpy.typing import NDArray

from ml import litert

LANES: Final = 64
# How often each layout is tried, with how many images, to find the faster one: some hundredths of a second in all.
_TRIALS: Final = 5
_TRIED: Final = np.zeros((8, 28, 28), np.uint8)
_IDENTIFIER: Final = b"TFL3"


def fastest(content: bytes) -> bytes:
    """Of the files that answer as `content` does, the one that this processor computes in the least time."""
    wide = widened(content)
    return content if wide is None else min(content, wide, key=_seconds)


def _seconds(content: bytes) -> float:
    run = litert.runner(content, _TRIED)
    run()  # the first call prepares the kernels
    # The least of several is what the processor takes; the rest is what others took from it meanwhile.
    return min(timeit.repeat(run, number=1, repeat=_TRIALS))


def widened(content: bytes, lanes: int = LANES) -> bytes | None:
    """A LiteRT file that answers as `content` does, with convolutions of up to `lanes` channels; None where that
    changes nothing.

    Convolutions of a network in int8 are widened, and what adds their results; all else stays as it is.
    """
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAs(content, 0))
    if len(model.subgraphs) != 1 or not _Widening(model, lanes).run():
        return None
    builder = flatbuffers.Builder(2 * len(content))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


class _Widening:
    """One pass over the operators of a network, in their order.

    Tensors keep their numbers. `_columns` says how many columns a tensor has as one; what needs it otherwise gets a
    reshaped one, for which nothing is moved.
    """

    def __init__(self, model: Any, lanes: int) -> None:
        self._model, self._graph, self._lanes = model, model.subgraphs[0], lanes
        self._kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
        self._columns: dict[int, int] = {}
        self._reshaped: dict[tuple[int, int], int] = {}
        self._operators: list[Any] = []
        # As they were: outputs get other shapes on the way.
        self._shapes = [tuple(each.shape) if each.shape is not None else () for each in self._graph.tensors]

    def run(self) -> bool:
        """Whether anything became wider."""
        for operator in self._graph.operators:
            kind = self._kinds[operator.opcodeIndex]
            if kind == tflite.BuiltinOperator.CONV_2D and (columns := self._columns_of(operator)) > 1:
                self._widen_convolution(operator, columns)
            elif kind == tflite.BuiltinOperator.ADD and self._is_elementwise(operator):
                columns = max(self._columns.get(index, 1) for index in operator.inputs)
                operator.inputs = [self._as(index, columns) for index in operator.inputs]
                self._mark(operator.outputs[0], columns)
            else:
                operator.inputs = [self._as(index, 1) for index in operator.inputs]
            self._operators.append(operator)
        self._graph.operators = self._operators
        # Signatures name outputs as well, so a network that ends in a convolution stays as it is.
        return bool(self._columns) and not self._columns.keys() & set(self._graph.outputs)

    def _columns_of(self, convolution: Any) -> int:
        """How many columns of its result to compute as one: 1 where it has to stay as it is."""
        options = convolution.builtinOptions
        if min(convolution.inputs) < 0:  # no bias
            return 1
        source, kernel, *bias = (self._graph.tensors[index] for index in convolution.inputs)
        stride, width = options.strideW, self._shapes[convolution.inputs[0]][2]
        if not (
            source.type == kernel.type == tflite.TensorType.INT8 and len(bias) == 1
            and options.padding == tflite.Padding.SAME and width % stride == 0
            and options.dilationWFactor == options.dilationHFactor == 1
            and kernel.shape[3] == self._shapes[convolution.inputs[0]][3]  # not one of groups
            and self._is_symmetric_constant(kernel) and self._is_symmetric_constant(bias[0])
        ):  # fmt: skip
            return 1
        most = max(1, self._lanes // kernel.shape[0])
        return max(p for p in range(1, most + 1) if width // stride % p == 0)

    def _is_elementwise(self, operator: Any) -> bool:
        first, second = (self._shapes[index] for index in operator.inputs)
        return len(first) == 4 and first == second

    def _widen_convolution(self, operator: Any, columns: int) -> None:
        """`columns` of the result come from columns * stride of the source, so that a group moves on by one group."""
        source, kernel, bias = operator.inputs
        options, weights = operator.builtinOptions, self._graph.tensors[kernel]
        values = self._content(weights).view(np.int8).reshape(weights.shape)
        wide = _widened_kernel(values, columns, options.strideW, self._shapes[source][2])
        sums = self._content(self._graph.tensors[bias]).view(np.int32)
        operator.inputs = [
            self._as(source, columns * options.strideW),
            self._constant(kernel, wide, columns),
            self._constant(bias, np.tile(sums, columns), columns),
        ]
        operator.builtinOptions.strideW = 1
        self._mark(operator.outputs[0], columns)

    def _mark(self, index: int, columns: int) -> None:
        """Say that a tensor is computed with so many columns as one."""
        if columns > 1:
            self._columns[index] = columns
            _regroup(self._graph.tensors[index], self._shapes[index], columns)

    def _as(self, index: int, columns: int) -> int:
        """The tensor with so many columns as one, reshaped where it is not."""
        if self._columns.get(index, 1) == columns:
            return index
        if (index, columns) not in self._reshaped:
            self._reshaped[index, columns] = self._reshape(index, columns)
        return self._reshaped[index, columns]

    def _reshape(self, index: int, columns: int) -> int:
        target = copy(self._graph.tensors[index])
        _regroup(target, self._shapes[index], columns)
        shape = tflite.TensorT()
        shape.type, shape.shape = tflite.TensorType.INT32, [4]
        # Batches are of any size: the first number is what is left.
        shape.buffer = self._buffer(np.array([-1, *target.shape[1:]], np.int32))
        operator = tflite.OperatorT()
        operator.opcodeIndex = self._code(tflite.BuiltinOperator.RESHAPE)
        operator.inputs, operator.outputs = [index, self._add(shape)], [self._add(target)]
        self._operators.append(operator)
        return int(operator.outputs[0])

    def _constant(self, index: int, values: NDArray[Any], columns: int) -> int:
        """A constant like another, with these values, whose scales repeat for each column."""
        tensor = copy(self._graph.tensors[index])
        tensor.shape, tensor.shapeSignature, tensor.buffer = list(values.shape), None, self._buffer(values)
        tensor.quantization = copy(tensor.quantization)
        if len(tensor.quantization.scale) > 1:
            tensor.quantization.scale = np.tile(tensor.quantization.scale, columns)
            tensor.quantization.zeroPoint = np.tile(tensor.quantization.zeroPoint, columns)
        return self._add(tensor)

    def _is_symmetric_constant(self, tensor: Any) -> bool:
        """Whether it has values whose zero is 0, as the weights have that are added."""
        quantization, values = tensor.quantization, self._model.buffers[tensor.buffer].data
        return (
            values is not None and quantization is not None and quantization.scale is not None
            and quantization.zeroPoint is not None and not np.any(quantization.zeroPoint)
        )

    def _content(self, tensor: Any) -> NDArray[np.uint8]:
        return np.array(self._model.buffers[tensor.buffer].data, np.uint8)

    def _buffer(self, values: NDArray[Any]) -> int:
        buffer = tflite.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _add(self, tensor: Any) -> int:
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _code(self, kind: int) -> int:
        if kind not in self._kinds:
            code = tflite.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 1
            self._model.operatorCodes.append(code)
            self._kinds.append(kind)
        return self._kinds.index(kind)


def _regroup(tensor: Any, shape: tuple[int, ...], columns: int) -> None:
    batch, height, width, channels = shape
    tensor.shape = [batch, height, width // columns, columns * channels]
    if tensor.shapeSignature is not None and len(tensor.shapeSignature):
        tensor.shapeSignature = [tensor.shapeSignature[0], *tensor.shape[1:]]


def _widened_kernel(kernel: NDArray[np.int8], columns: int, stride: int, width: int) -> NDArray[np.int8]:
    """int8 [columns * c_out, h, groups, columns * stride * c_in] of int8 [c_out, h, w, c_in].

    Groups are those of the source that the result's group sees: its own in the middle, so many to the left as to the
    right, which is what the padding of an odd kernel with a stride of 1 expects.
    """
    outputs, height, taps, inputs = kernel.shape
    size = columns * stride
    padding = max((width // stride - 1) * stride + taps - width, 0) // 2
    first, last = -padding, (columns - 1) * stride + taps - 1 - padding
    reach = max(-(first // size), last // size)
    wide = np.zeros((columns, outputs, height, 2 * reach + 1, size, inputs), np.int8)
    for column in range(columns):
        for tap in range(taps):
            group, place = divmod(column * stride + tap - padding, size)
            wide[column, :, :, group + reach, place] = kernel[:, :, tap]
    return wide.reshape(columns * outputs, height, 2 * reach + 1, size * inputs)
