"""TFLite: MobileNetV2 classifiers, float32, float16 or quantised (whose weights are dequantised).

Weights are OHWI, depthwise 1HWC; a quantised value q stands for scale * (q - zero point).
"""

import json
import math

from . import steps
from .classifier import PREPROCESSING, recognise
from .errors import ConvertError, need
from .layouts import from_ohwi
from .mobilenet_v2 import layer_names

NUMBER_TYPES = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT32": "<i4", "INT64": "<i8", "UINT8": "u1", "INT8": "i1"}
SAME_RANGE = 0.1  # of a range that was measured on pictures which need not have held every value


class Model:
    """The first subgraph of the file: its operators in order, and its constant tensors."""

    def __init__(self, content):
        self.tflite = need("tflite")
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

    def constant(self, index, whole=False):
        """(the tensor as float32, dequantised where it is quantised, its name); `whole`: it holds numbers as they
        are, such as paddings."""
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
        if whole:
            return values, name
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

    def type_of(self, index):
        return enum_name(self.tflite.TensorType, self.graph.Tensors(index).Type())

    def range(self, index):
        """[lowest, highest] value that a quantised activation can hold, or None for a float one."""
        tensor = self.graph.Tensors(index)
        kind = enum_name(self.tflite.TensorType, tensor.Type())
        if kind not in ("UINT8", "INT8"):
            return None
        quantisation = tensor.Quantization()
        if quantisation is None or quantisation.ScaleLength() == 0:
            return None
        scale, zero = float(quantisation.Scale(0)), int(quantisation.ZeroPoint(0))
        first = 0 if kind == "UINT8" else -128
        return [scale * (first - zero), scale * (first + 255 - zero)]


def enum_name(enum, number):
    return next((k for k, v in vars(enum).items() if v == number), f"number {number}")


class Walker:
    """The operators of a classifier as steps, which are None where only shapes are computed."""

    def __init__(self, model):
        self.model, self.ranges = model, []  # of the outputs of layers with weights
        graph = model.graph
        if graph.InputsLength() != 1 or graph.OutputsLength() != 1:
            raise ConvertError(f"has {graph.InputsLength()} inputs and {graph.OutputsLength()} outputs; expected "
                               "one of each")  # fmt: skip
        shape = [int(n) for n in graph.Tensors(graph.Inputs(0)).ShapeAsNumpy()]
        if len(shape) != 4 or shape[3] != 3:
            raise ConvertError(f"takes {shape} where pictures, [N, H, W, 3], are due")
        self.picture = steps.pictures(*(side if side > 1 else None for side in shape[1:3]))
        self.values = {graph.Inputs(0): self.picture}

    def walk(self):
        """The last step."""
        for operator, kind in zip(self.model.operators, self.model.kinds):
            self.operator(operator, kind)
        last = self.values.get(self.model.graph.Outputs(0))
        if last is None:
            raise ConvertError("its output is not computed from its input")
        return last

    def operator(self, operator, kind):
        inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]
        taken = [self.values[i] for i in inputs if i in self.values]
        if not taken:
            return  # of constants
        output = operator.Outputs(0)
        name = self.model.graph.Tensors(output).Name().decode(errors="replace")
        x = next((value for value in taken if value is not None), None)
        if x is None or kind == "SHAPE":
            self.values[output] = None
            return
        handler = getattr(self, "on_" + kind.lower(), None)
        if x.op == "unknown":
            self.values[output] = x
        elif handler is None:
            self.values[output] = steps.unknown(x, kind, name)
        else:
            self.values[output] = handler(operator, inputs, x, name)

    def options(self, operator, kind):
        options, table = getattr(self.model.tflite, kind)(), operator.BuiltinOptions()
        if table is None:
            raise ConvertError(f"an operator has no {kind}")
        options.Init(table.Bytes, table.Pos)
        return options

    def constant(self, index):
        return self.model.constant(index)[0]

    def optional(self, inputs, position):
        return self.constant(inputs[position]) if len(inputs) > position and inputs[position] >= 0 else None

    def active(self, x, operator, fused, name):
        """The activation that an operator holds, or that the range of its quantised output amounts to."""
        if x.op == "unknown":
            return x
        kind = enum_name(self.model.tflite.ActivationFunctionType, fused)
        kinds = {"NONE": "linear", "RELU": "relu", "RELU6": "relu6"}
        held = kinds.get(kind, kind.lower())
        limits = self.model.range(operator.Outputs(0))
        if limits is not None and held == "linear" and x.op in ("conv", "depthwise") and limits[0] == 0:
            held = "relu6" if limits[1] < 6.05 else "relu"
        return steps.act(x, held, name)

    def on_conv_2d(self, operator, inputs, x, name):
        options = self.options(operator, "Conv2DOptions")
        return self.convolution(operator, inputs, x, name, options, False)

    def on_depthwise_conv_2d(self, operator, inputs, x, name):
        options = self.options(operator, "DepthwiseConv2DOptions")
        return self.convolution(operator, inputs, x, name, options, True)

    def convolution(self, operator, inputs, x, name, options, depthwise):
        weight, origin = self.model.constant(inputs[1])
        ready = from_ohwi(weight, depthwise, origin)
        ready = ready[None, None] if ready.ndim == 2 else ready
        strides = (options.StrideH(), options.StrideW())
        dilations = (options.DilationHFactor(), options.DilationWFactor())
        made = steps.conv(x, ready, self.optional(inputs, 2), strides, self.padding(options), origin, dilations)
        self.ranges.append(self.model.range(operator.Outputs(0)))
        return self.active(made, operator, options.FusedActivationFunction(), name)

    def padding(self, options):
        return enum_name(self.model.tflite.Padding, options.Padding())

    def on_fully_connected(self, operator, inputs, x, name):
        fused = self.options(operator, "FullyConnectedOptions").FusedActivationFunction()
        if inputs[1] in self.values:
            return steps.unknown(x, "FULLY_CONNECTED of two values", name)
        self.ranges.append(self.model.range(operator.Outputs(0)))
        made = steps.dense(x, self.constant(inputs[1]).T, self.optional(inputs, 2), name)
        return self.active(made, operator, fused, name)

    def arithmetic(self, operator, inputs, x, name, options, of_number):
        fused = self.options(operator, options).FusedActivationFunction()
        numbers = [i for i in inputs if i not in self.values]
        if not numbers:
            both = [self.values[i] for i in inputs]
            made = steps.add(*both, name) if options == "AddOptions" else steps.unknown(x, options, name)
            return self.active(made, operator, fused, name) if fused else made
        value = self.constant(numbers[0]).astype("f8")
        fits = value.size == 1 or value.size == value.shape[-1]
        pair = of_number(value.reshape(-1), numbers[0] == inputs[1]) if fits else None
        made = steps.unknown(x, options.removesuffix("Options"), name) if pair is None else steps.affine(x, *pair, name)
        return self.active(made, operator, fused, name) if fused else made

    def on_add(self, operator, inputs, x, name):
        return self.arithmetic(operator, inputs, x, name, "AddOptions", lambda v, first: (1, v))

    def on_mul(self, operator, inputs, x, name):
        return self.arithmetic(operator, inputs, x, name, "MulOptions", lambda v, first: (v, 0))

    def on_sub(self, operator, inputs, x, name):
        return self.arithmetic(operator, inputs, x, name, "SubOptions",
                               lambda v, first: (1, -v) if first else (-1, v))  # fmt: skip

    def on_div(self, operator, inputs, x, name):
        return self.arithmetic(operator, inputs, x, name, "DivOptions", lambda v, first: (1 / v, 0) if first else None)

    def on_pad(self, operator, inputs, x, name):
        pads = self.model.constant(inputs[1], whole=True)[0].tolist()
        if len(pads) != 4 or any(pads[0]) or any(pads[3]):
            return steps.unknown(x, f"PAD by {pads}", name)
        return steps.pad(x, (pads[1][0], pads[2][0], pads[1][1], pads[2][1]), name)

    def on_mean(self, operator, inputs, x, name):
        axes = sorted(int(a) % 4 for a in self.model.constant(inputs[1], whole=True)[0].reshape(-1))
        if axes != [1, 2] or len(x.shape) != 3:
            return steps.unknown(x, "MEAN of other axes than the map's", name)
        x = steps.average(x, name=name)
        return x if self.options(operator, "ReducerOptions").KeepDims() else steps.flatten(x, name)

    def on_average_pool_2d(self, operator, inputs, x, name):
        options = self.options(operator, "Pool2DOptions")
        window, strides = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
        made = steps.average(x, window, strides, self.padding(options), name)
        fused = options.FusedActivationFunction()
        return self.active(made, operator, fused, name) if fused else made

    def on_reshape(self, operator, inputs, x, name):
        shape = [int(n) for n in self.model.graph.Tensors(operator.Outputs(0)).ShapeAsNumpy()]
        return steps.reshape(x, shape[1:] or shape, name)

    on_squeeze = on_reshape

    def on_softmax(self, operator, inputs, x, name):
        beta = self.options(operator, "SoftmaxOptions").Beta()
        return steps.act(x if beta == 1 else steps.affine(x, beta, 0, name), "softmax", name)

    def on_logistic(self, operator, inputs, x, name):
        return steps.act(x, "sigmoid", name)

    def on_tanh(self, operator, inputs, x, name):
        return steps.act(x, "tanh", name)

    def on_relu(self, operator, inputs, x, name):
        return steps.act(x, "relu", name)

    def on_relu6(self, operator, inputs, x, name):
        return steps.act(x, "relu6", name)

    def on_quantize(self, operator, inputs, x, name):
        return x

    on_dequantize = on_quantize

    def on_cast(self, operator, inputs, x, name):
        kind = self.model.type_of(operator.Outputs(0))
        return x if kind in ("FLOAT32", "FLOAT16") else steps.unknown(x, f"CAST to {kind}", name)


def what_comes_in(model):
    """What an input of bytes stands for, by the range of its values: a name of PREPROCESSING or "pixels"; None for
    one of floats, and for a range of none of these."""
    index = model.graph.Inputs(0)
    limits = model.range(index)
    if limits is None:
        return "pixels" if model.type_of(index) == "UINT8" else None
    ways = {"pixels": (0, 255)}
    for name, (scales, offsets) in PREPROCESSING.items():
        ways[name] = min(offsets), max(255 * s + o for s, o in zip(scales, offsets))
    for name, (low, high) in ways.items():
        if max(abs(limits[0] - low), abs(limits[1] - high)) < SAME_RANGE * (high - low):
            return name
    return None


def source_of(model):
    walker = Walker(model)
    source = recognise(walker.walk(), walker.picture, what_comes_in(model))
    source.notes.update(activation_ranges(walker))
    return source


def activation_ranges(walker):
    """What the output of each convolution could hold, of a network whose activations are quantised too."""
    names = [conv for conv, _ in layer_names()]
    if len(walker.ranges) == len(names) + 1:
        names.append("classifier")
    if None in walker.ranges:
        return {}
    return {"activation_ranges": json.dumps(dict(zip(names, walker.ranges)))}


def read(path):
    try:
        with open(path, "rb") as file:
            return source_of(Model(file.read()))
    except OSError as error:
        raise ConvertError(f"cannot be read: {error.strerror}") from error
