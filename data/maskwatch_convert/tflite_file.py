"""TFLite: MobileNetV2 classifiers, float32, float16 or quantised (whose weights are dequantised).

Weights are OHWI, depthwise 1HWC; a quantised value q stands for scale * (q - zero point).
"""

import json
import math

from .errors import ConvertError, need
from .layouts import from_ohwi
from .mobilenet_v2 import ConvNorm, Source, layer_names

NUMBER_TYPES = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT32": "<i4", "UINT8": "u1", "INT8": "i1"}


class Model:
    """The first subgraph of the file: its operators in order, and its constant tensors."""

    def __init__(self, path):
        self.tflite = need("tflite")
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise ConvertError(f"cannot be read: {error.strerror}") from error
        if content[4:8] != b"TFL3":
            raise ConvertError("is not a TFLite file (its identifier TFL3 is missing)")
        self.model = self.tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.operators = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
        self.kinds = [self.kind(operator) for operator in self.operators]
        self.sources = {
            operator.Outputs(0): operator.Inputs(0)
            for operator, kind in zip(self.operators, self.kinds)
            if kind == "DEQUANTIZE"
        }

    def kind(self, operator):
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        return enum_name(self.tflite.BuiltinOperator, number)

    def constant(self, index):
        """The tensor as float32, dequantised where it is quantised."""
        numpy = need("numpy")
        tensor = self.graph.Tensors(self.sources.get(index, index))
        name = tensor.Name().decode(errors="replace")
        kind = enum_name(self.tflite.TensorType, tensor.Type())
        data = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        shape = tuple(int(n) for n in tensor.ShapeAsNumpy())
        if kind not in NUMBER_TYPES or not isinstance(data, numpy.ndarray):
            raise ConvertError(f"tensor '{name}' holds no {' or '.join(NUMBER_TYPES)} values")
        number_type = numpy.dtype(NUMBER_TYPES[kind])
        expected = math.prod(shape) * number_type.itemsize
        if data.size != expected:
            raise ConvertError(f"tensor '{name}' has {data.size} bytes where {shape} needs {expected}")
        values = numpy.frombuffer(data.tobytes(), number_type).reshape(shape)
        if number_type.kind == "f":
            return values.astype(numpy.float32), name
        return self.dequantised(values, tensor, name), name

    @staticmethod
    def dequantised(values, tensor, name):
        numpy = need("numpy")
        quantisation = tensor.Quantization()
        if quantisation is None or quantisation.ScaleLength() == 0:
            raise ConvertError(f"tensor '{name}' is quantised without a scale")
        scale = quantisation.ScaleAsNumpy().astype(numpy.float64)
        zero = numpy.zeros(scale.shape)
        if quantisation.ZeroPointLength() > 0:
            zero = quantisation.ZeroPointAsNumpy().astype(numpy.float64)
        shape = [1] * values.ndim
        if scale.size > 1:
            shape[quantisation.QuantizedDimension()] = scale.size
        return (scale.reshape(shape) * (values - zero.reshape(shape))).astype(numpy.float32)

    def range(self, index):
        """[lowest, highest] value that a quantised activation can hold, or None for a float one."""
        tensor = self.graph.Tensors(index)
        kind = enum_name(self.tflite.TensorType, tensor.Type())
        if kind not in ("UINT8", "INT8"):
            return None
        quantisation = tensor.Quantization()
        scale, zero = float(quantisation.Scale(0)), int(quantisation.ZeroPoint(0))
        first = 0 if kind == "UINT8" else -128
        return [scale * (first - zero), scale * (first + 255 - zero)]


def enum_name(enum, number):
    return next((k for k, v in vars(enum).items() if v == number), f"number {number}")


def read(path):
    model = Model(path)
    layers, ranges = [], []
    for operator, kind in zip(model.operators, model.kinds):
        if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        if operator.InputsLength() < 3:
            raise ConvertError(f"operator {kind} has no bias")
        weight, name = model.constant(operator.Inputs(1))
        bias, _ = model.constant(operator.Inputs(2))
        if kind == "FULLY_CONNECTED":
            weight = weight.reshape(weight.shape[0], 1, 1, -1)
        ready = from_ohwi(weight, kind == "DEPTHWISE_CONV_2D", name)
        layers.append(ConvNorm(ready, bias=bias, origin=name))
        ranges.append(model.range(operator.Outputs(0)))
    source = Source(layers, "tf", 1e-3, "tf")
    if len(layers) == len(layer_names()) + 1:
        last = layers.pop()
        source.classifier = (last.weight, last.bias)
    source.input_size = int(model.graph.Tensors(model.graph.Inputs(0)).Shape(1))
    names = [conv for conv, _ in layer_names()] + ["classifier"]
    if None not in ranges:
        source.notes["activation_ranges"] = json.dumps(dict(zip(names, ranges)))
    return source
