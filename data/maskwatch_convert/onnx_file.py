"""ONNX: MobileNetV2 classifiers (batch norm folded or not) and RFB-320, by walking the nodes."""

from . import exported, onnx_quantised, rfb, steps
from .classifier import PREPROCESSING, recognise
from .errors import ConvertError, need
from .graph import Graph, fold_norm
from .layouts import from_oihw


CONSTANT_FOLDS = {"Cast", "QuantizeLinear", "DequantizeLinear"}
CAST_TYPES = {1: "f4", 6: "i4", 7: "i8", 10: "f2", 11: "f8"}  # TensorProto.DataType -> numpy's name


STANDARD = ("", "ai.onnx")  # the domain of ONNX's own operators


def name_foreign(content):
    """Calls every operator that is not ONNX's own by a name that no reader knows; returns these nodes."""

    def domain(part):
        return "" if part.domain in STANDARD else part.domain

    functions, foreign = {(domain(f), f.name) for f in content.functions}, []
    for node in content.graph.node:
        if (domain(node), node.op_type) in functions:
            node.op_type += " as a function of the file"
        elif domain(node) and not onnx_quantised.is_known(node):
            node.op_type += f" of domain '{node.domain}'"
        else:
            continue
        foreign.append(node)
    return foreign


class Model:
    """The nodes of a graph with their attributes, and the arrays that are constant in it."""

    def __init__(self, path):
        onnx = need("onnx")
        need("onnx.numpy_helper", "onnx")
        try:
            content = onnx.load(path)
        except Exception as error:  # protobuf's DecodeError, missing external data, ...
            reason = str(error).strip().split("\n")[0]
            raise ConvertError(f"is not a readable ONNX file: {reason}") from error
        self.onnx, self.nodes = onnx, list(content.graph.node)
        if not self.nodes:
            raise ConvertError("is not a readable ONNX file: it holds no nodes")
        onnx_quantised.check(self.nodes)
        self.foreign = name_foreign(content)
        self.content, self.metadata = content, {p.key: p.value for p in content.metadata_props}
        if not all(isinstance(text, str) for pair in self.metadata.items() for text in pair):
            raise ConvertError("is damaged: its metadata are not text")  # as bytes come what is not UTF-8
        to_array = onnx.numpy_helper.to_array
        self.constants = {t.name: to_array(t) for t in content.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and self.attributes(node).get("value") is not None:
                self.constants[node.output[0]] = to_array(self.attributes(node)["value"])
            elif self.is_constant(node):
                self.constants[node.output[0]] = self.folded(node)
        self.inputs = [i for i in content.graph.input if i.name not in self.constants]
        self.outputs = [o.name for o in content.graph.output]
        self.consumers = {}
        for node in self.nodes:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)

    def is_constant(self, node):
        """Whether it is of CONSTANT_FOLDS and takes constants alone."""
        known = node.op_type in CONSTANT_FOLDS and all(name in self.constants for name in node.input)
        return known and (node.op_type != "Cast" or self.attributes(node)["to"] in CAST_TYPES)

    def folded(self, node):
        """What such a node makes of them."""
        inputs, attributes = [self.constants[name] for name in node.input], self.attributes(node)
        if node.op_type == "Cast":
            return inputs[0].astype(CAST_TYPES[attributes["to"]])
        return onnx_quantised.constant_of(node, inputs, attributes)

    def attributes(self, node):
        return {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}

    def constant(self, node, position):
        name = node.input[position]
        if name not in self.constants:
            raise ConvertError(f"tensor '{name}' of node '{node.name or node.op_type}' is missing")
        return self.constants[name]

    def follower(self, node, kinds):
        """The node that alone takes this node's output, if it is of one of the kinds."""
        after = self.consumers.get(node.output[0], [])
        return after[0] if len(after) == 1 and after[0].op_type in kinds else None

    def trains(self, node):
        """Whether a BatchNormalization or Dropout node is in training mode, or may be."""
        if node.op_type == "BatchNormalization":
            return bool(self.attributes(node).get("training_mode")) or any(node.output[1:])
        mode = node.input[2] if len(node.input) > 2 else ""
        return bool(mode) and (mode not in self.constants or bool(self.constants[mode].any()))

    def norm(self, node):
        """((gamma, beta, mean, variance), epsilon) of a BatchNormalization node."""
        if self.trains(node):
            raise ConvertError(f"node '{node.name or node.output[0]}' ({node.op_type}) is in training mode")
        parts = tuple(self.constant(node, i) for i in range(1, 5))
        return parts, float(self.attributes(node).get("epsilon", 1e-5))

    def input_size(self):
        """[width, height], or None where the file leaves it open."""
        dims = self.inputs[0].type.tensor_type.shape.dim if self.inputs else []
        sizes = [d.dim_value for d in dims]
        return [sizes[3], sizes[2]] if len(sizes) == 4 and sizes[2] > 0 and sizes[3] > 0 else None


def round_epsilon(epsilon):
    """1e-05 for the 9.999999747378752e-06 that a float32 attribute makes of it."""
    return float(f"{epsilon:.6g}")


def conv_padding(attributes):
    """(top, left, bottom, right) of a Conv node, or "same" for TensorFlow's."""
    automatic = attributes.get("auto_pad", b"NOTSET").decode()
    if automatic == "SAME_UPPER":
        return "same"
    if automatic not in ("NOTSET", "VALID"):
        raise ConvertError(f"padding {automatic} is not known")
    return tuple(attributes.get("pads", [0, 0, 0, 0]))


def is_depthwise(weight, attributes):
    return attributes.get("group", 1) == weight.shape[0] > 1 and weight.shape[1] == 1


# Classifiers


CASTS, SAME = {1, 10, 11, 16}, {"Identity", "Dropout", "Cast", "DequantizeLinear"}  # types of numbers that count as float32


class ClassifierWalker:
    """The nodes of a classifier as steps. A value is a step and the layout that the file gives it, "nchw", "nhwc" or,
    on the way from a map to values in a row, "nc1"; what is computed of shapes alone is None."""

    def __init__(self, model):
        self.model, self.values = model, {}
        if len(model.inputs) != 1:
            raise ConvertError(f"has {len(model.inputs)} inputs; expected one")
        if len(model.outputs) != 1:
            raise ConvertError(f"has {len(model.outputs)} outputs; expected one")
        self.picture, layout = self.input(model.inputs[0])
        self.values[model.inputs[0].name] = (self.picture, layout)

    def input(self, info):
        sizes = [d.dim_value for d in info.type.tensor_type.shape.dim]
        if len(sizes) != 4 or 3 not in (sizes[1], sizes[3]):
            raise ConvertError(f"takes {sizes} where pictures, [N, 3, H, W] or [N, H, W, 3], are due")
        layout = "nchw" if sizes[1] == 3 else "nhwc"
        height, width = sizes[2:] if layout == "nchw" else sizes[1:3]
        return steps.pictures(height, width, info.name), layout

    def walk(self):
        """The last step."""
        for node in self.model.nodes:
            self.node(node)
        if self.values.get(self.model.outputs[0]) is None:
            raise ConvertError(f"its output '{self.model.outputs[0]}' is not computed from its input")
        return self.values[self.model.outputs[0]][0]

    def node(self, node):
        taken = [self.values[name] for name in node.input if name in self.values]
        if not taken:
            return  # of constants, which constant() names where a layer needs them
        if any(value is None for value in taken) and node.op_type not in ("Reshape", "Squeeze"):
            self.values[node.output[0]] = None
            return
        x, layout = next(value for value in taken if value is not None)
        name = node.name or node.output[0]
        handler = getattr(self, "on_" + node.op_type.lower(), None)
        if node.op_type == "Shape":
            result = None
        elif x.op == "unknown":
            result = x, layout
        elif node.op_type in ("BatchNormalization", "Dropout") and self.model.trains(node):
            result = steps.unknown(x, f"{node.op_type} in training mode", name), layout
        elif layout == "nc1" and node.op_type not in (*SAME, "Flatten", "Reshape", "Squeeze"):
            result = steps.unknown(x, f"{node.op_type} of values in a column", name), layout
        elif node.op_type in SAME:
            numbers = node.op_type != "Cast" or self.attribute(node, "to", 1) in CASTS
            result = (x if numbers else steps.unknown(x, "Cast to whole numbers", name)), layout
        elif handler is None:
            result = steps.unknown(x, node.op_type, name), layout
        else:
            result = handler(node, x, layout, name)
        self.values[node.output[0]] = result

    def attribute(self, node, name, otherwise=None):
        return self.model.attributes(node).get(name, otherwise)

    def constant(self, node, position):
        numpy = need("numpy")
        value = self.model.constant(node, position)
        return value.astype(numpy.float32) if value.dtype == numpy.float16 else value

    def optional(self, node, position):
        return self.constant(node, position) if len(node.input) > position and node.input[position] else None

    def on_conv(self, node, x, layout, name):
        attributes, weight = self.model.attributes(node), self.constant(node, 1)
        if layout != "nchw":
            return steps.unknown(x, "Conv of channels last", name), layout
        depthwise = is_depthwise(weight, attributes)
        if attributes.get("group", 1) != 1 and not depthwise:
            return steps.unknown(x, "Conv in groups", name), layout
        strides, dilations = (attributes.get(k, [1, 1]) for k in ("strides", "dilations"))
        ready = from_oihw(weight, depthwise, node.input[1])
        ready = ready[None, None] if ready.ndim == 2 else ready
        bias, padding = self.optional(node, 2), conv_padding(attributes)
        return steps.conv(x, ready, bias, strides, padding, node.input[1], dilations), layout

    def on_batchnormalization(self, node, x, layout, name):
        parts = [self.constant(node, i) for i in range(1, 5)]
        epsilon = round_epsilon(self.attribute(node, "epsilon", 1e-5))
        if layout != "nchw" and len(x.shape) == 3:
            return steps.unknown(x, "BatchNormalization of channels last", name), layout
        return steps.norm(x, *parts, epsilon, name), layout

    def on_clip(self, node, x, layout, name):
        limits = [self.attribute(node, k) for k in ("min", "max")]
        for i in (1, 2):
            value = self.optional(node, i)
            limits[i - 1] = limits[i - 1] if value is None else float(value.reshape(()))
        return steps.clipped(x, *limits, name), layout

    def on_relu(self, node, x, layout, name):
        return steps.act(x, "relu", name), layout

    def on_sigmoid(self, node, x, layout, name):
        return steps.act(x, "sigmoid", name), layout

    def on_tanh(self, node, x, layout, name):
        return steps.act(x, "tanh", name), layout

    def on_softmax(self, node, x, layout, name):
        axis, of_channels = self.attribute(node, "axis", None), {"nchw": (1, -3), "nhwc": (3, -1)}
        fits = axis in (None, 1, -1) if len(x.shape) == 1 else axis in of_channels[layout]
        return (steps.act(x, "softmax", name) if fits else steps.unknown(x, "Softmax of another axis", name)), layout

    def on_quantizelinear(self, node, x, layout, name):
        constants = [self.model.constant(node, i) for i in range(1, len(node.input))]
        users = self.model.consumers
        behind = {user.op_type for back in users.get(node.output[0], []) for user in users.get(back.output[0], [])}
        is_last = behind <= {"Softmax", "Sigmoid"}
        attributes = self.model.attributes(node)
        return onnx_quantised.quantised(x, node, [None, *constants], attributes, name, is_last), layout

    def arithmetic(self, node, x, layout, name, of_number):
        """`of_number`: (scale, offset) for a constant, or None where that cannot be, from the constant and whether
        the step comes first."""
        positions = [i for i, n in enumerate(node.input) if n not in self.values]
        if not positions:
            other = self.values[node.input[1]]
            if node.op_type == "Add" and other[1] == layout:
                return steps.add(x, other[0], name), layout
            return steps.unknown(x, f"{node.op_type} of two values", name), layout
        value = self.channels(self.constant(node, positions[0]).astype("f8"), x, layout)
        pair = None if value is None else of_number(value, positions[0] == 1)
        if pair is None:
            return steps.unknown(x, node.op_type, name), layout
        return steps.affine(x, *pair, name), layout

    @staticmethod
    def channels(value, x, layout):
        """The constant as one number or one for each channel; None where it is neither."""
        if value.size == 1:
            return value.reshape(1)
        axis = value.ndim - 3 if layout == "nchw" and len(x.shape) == 3 else value.ndim - 1
        fits = axis >= 0 and value.shape[axis] == value.size == x.shape[-1]
        return value.reshape(-1) if fits else None

    def on_add(self, node, x, layout, name):
        return self.arithmetic(node, x, layout, name, lambda v, first: (1, v))

    def on_mul(self, node, x, layout, name):
        return self.arithmetic(node, x, layout, name, lambda v, first: (v, 0))

    def on_sub(self, node, x, layout, name):
        return self.arithmetic(node, x, layout, name, lambda v, first: (1, -v) if first else (-1, v))

    def on_div(self, node, x, layout, name):
        return self.arithmetic(node, x, layout, name, lambda v, first: (1 / v, 0) if first else None)

    def on_transpose(self, node, x, layout, name):
        perm = list(self.attribute(node, "perm", []))
        turned = {(0, 2, 3, 1): ("nchw", "nhwc"), (0, 3, 1, 2): ("nhwc", "nchw")}.get(tuple(perm))
        if len(x.shape) != 3 or turned is None or turned[0] != layout:
            return steps.unknown(x, f"Transpose {perm}", name), layout
        return x, turned[1]

    def on_pad(self, node, x, layout, name):
        pads = self.attribute(node, "pads")
        pads = [int(p) for p in (self.constant(node, 1) if pads is None else pads)]
        value = self.optional(node, 2) if len(node.input) > 2 else self.attribute(node, "value", 0)
        if self.attribute(node, "mode", b"constant") != b"constant" or (value is not None and float(value) != 0):
            return steps.unknown(x, "Pad with other values than 0", name), layout
        half = len(pads) // 2
        rows = 2 if layout == "nchw" else 1
        if half != 4 or any(pads[i] for i in range(8) if i % 4 not in (rows, rows + 1)):
            return steps.unknown(x, f"Pad by {pads}", name), layout
        return steps.pad(x, (pads[rows], pads[rows + 1], pads[4 + rows], pads[5 + rows]), name), layout

    def on_globalaveragepool(self, node, x, layout, name):
        return (steps.average(x, name=name) if layout == "nchw" else steps.unknown(x, node.op_type, name)), layout

    def on_averagepool(self, node, x, layout, name):
        attributes = self.model.attributes(node)
        window = attributes["kernel_shape"]
        strides, pads = attributes.get("strides", [1, 1]), conv_padding(attributes)
        if layout != "nchw":
            return steps.unknown(x, node.op_type, name), layout
        return steps.average(x, window, strides, pads, name), layout

    def on_reducemean(self, node, x, layout, name):
        axes = self.attribute(node, "axes")
        axes = self.optional(node, 1) if axes is None else axes
        of_maps = {"nchw": [2, 3], "nhwc": [1, 2]}[layout]
        if axes is None or len(x.shape) != 3 or sorted(int(a) % 4 for a in axes) != of_maps:
            return steps.unknown(x, "ReduceMean of other axes than the map's", name), layout
        x = steps.average(x, name=name)
        return (x if self.attribute(node, "keepdims", 1) else steps.flatten(x, name)), layout

    def on_flatten(self, node, x, layout, name):
        fits = self.attribute(node, "axis", 1) in (1, -3 if len(x.shape) == 3 else -1)
        return (steps.flatten(x, name) if fits else steps.unknown(x, node.op_type, name)), "nchw"

    @staticmethod
    def sizes(x, layout):
        """Of a value in the file, behind the batch."""
        if len(x.shape) == 1:
            return [*x.shape, 1] if layout == "nc1" else [*x.shape]
        return [x.shape[2], *x.shape[:2]] if layout == "nchw" else [*x.shape]

    @staticmethod
    def reshaped(x, sizes, name):
        """To these sizes behind the batch, of which a single value may have none."""
        if len(sizes) == 3 and sizes[1:] == [1, 1]:
            return steps.reshape(x, [1, 1, sizes[0]], name), "nchw"
        if len(sizes) == 2 and sizes[1] == 1:
            return steps.reshape(x, sizes[:1], name), "nc1"
        return steps.reshape(x, sizes or [1], name), "nhwc" if len(sizes) == 3 else "nchw"

    def shape_in(self, name):
        """The sizes that a vector holds, None for the batch; [] where they are not known."""
        if name in self.model.constants:
            return [int(n) for n in self.model.constants[name].reshape(-1)]
        node = next((node for node in self.model.nodes if name in node.output), None)
        kind = None if node is None else node.op_type
        if kind == "Shape" and self.values.get(node.input[0]) and self.values[node.input[0]][0].op != "unknown":
            return [None, *self.sizes(*self.values[node.input[0]])]
        if kind not in ("Cast", "Concat", "Gather", "Slice", "Squeeze", "Unsqueeze"):
            return []
        parts = [self.shape_in(part) for part in node.input]
        if not all(parts) or (kind == "Slice" and (len(parts) < 3 or parts[4:] not in ([], [[1]]))):
            return []
        if kind == "Concat":
            return [size for part in parts for size in part]
        if kind == "Gather":
            return [parts[0][i] for i in parts[1]]
        return parts[0][parts[1][0] : parts[2][0]] if kind == "Slice" else parts[0]

    def on_reshape(self, node, x, layout, name):
        shape, own = self.attribute(node, "shape") or self.shape_in(node.input[1]), [-1, *self.sizes(x, layout)]
        sizes = [own[i] if n == 0 and i < len(own) else n for i, n in enumerate(shape)][1:]
        if not shape or None in sizes:
            return steps.unknown(x, "a reshape to computed sizes", name), layout
        return self.reshaped(x, sizes, name)

    def on_squeeze(self, node, x, layout, name):
        sizes, axes = self.sizes(x, layout), self.attribute(node, "axes")
        axes = self.optional(node, 1) if axes is None else axes
        lost = [i for i, n in enumerate(sizes) if n == 1] if axes is None else [int(a) % (len(sizes) + 1) - 1 for a in axes]
        return self.reshaped(x, [n for i, n in enumerate(sizes) if i not in lost], name)

    def on_gemm(self, node, x, layout, name):
        attributes = self.model.attributes(node)
        if attributes.get("transA", 0) or node.input[1] in self.values:
            return steps.unknown(x, "Gemm of two values", name), layout
        weight, bias = self.constant(node, 1), self.optional(node, 2)
        weight = (weight.T if attributes.get("transB", 0) else weight) * attributes.get("alpha", 1.0)
        bias = None if bias is None else bias.reshape(-1) * attributes.get("beta", 1.0)
        return steps.dense(x, weight, bias, name), layout

    def on_matmul(self, node, x, layout, name):
        if node.input[0] not in self.values or node.input[1] in self.values:
            return steps.unknown(x, "MatMul of two values", name), layout
        return steps.dense(x, self.constant(node, 1), None, name), layout


def read_classifier(model):
    walker = ClassifierWalker(model)
    prepared = exported.preparation(model.metadata)
    source = recognise(walker.walk(), walker.picture, prepared if prepared in PREPROCESSING else None)
    exported.remember(source, model.metadata)
    quantised = onnx_quantised.first(model.nodes)
    if quantised is not None:
        source.assumed.append("is quantised: its weights are dequantised to float32, and values between layers are not "
                              f"rounded, as from {onnx_quantised.named(quantised)} on")  # fmt: skip
    return source


# RFB-320


class GraphWalker:
    """Turns the nodes of an SSD in NCHW into our layers in NHWC, up to the decoding of its boxes.

    Node outputs are renamed after the weight that made them, so that the graph does not depend on
    the exporter's numbering.
    """

    def __init__(self, model, architecture, detector):
        self.model = model
        self.graph = Graph(architecture, detector=detector)
        self.names = {model.inputs[0].name: "input"}  # ONNX name -> our name
        self.shapes = {}  # ONNX name -> integers, None where they depend on the input
        self.merged = set()  # outputs of nodes that an earlier layer has taken in
        self.boxes = None  # ONNX name of the encoded boxes, from where decoding starts

    def walk(self):
        for node in self.model.nodes:
            if node.output[0] in self.merged:
                continue
            handler = getattr(self, "on_" + node.op_type.lower(), None)
            if handler is None:
                if not self.in_decoding(node):
                    raise ConvertError(f"node '{node.op_type}' is not known in a detector")
                continue
            handler(node)
        return self.graph

    def in_decoding(self, node):
        """True for what computes corners from the encoded boxes: all that depends on a Slice."""
        return all(name not in self.names for name in node.input) or node.op_type == "Slice"

    def take(self, node, kinds):
        """A following node of these kinds, marked as merged into this layer."""
        after = self.model.follower(node, kinds)
        if after is not None:
            self.merged.add(after.output[0])
        return after

    def activation(self, node):
        """("relu" or "none", last node merged)."""
        after = self.take(node, {"Relu"})
        return ("relu", after) if after is not None else ("none", node)

    def on_conv(self, node):
        attributes, weight = self.model.attributes(node), self.model.constant(node, 1)
        name = node.input[1].removesuffix(".weight")
        ready = from_oihw(weight, is_depthwise(weight, attributes), node.input[1])
        if attributes.get("group", 1) not in (1, weight.shape[0]):
            raise ConvertError(f"'{name}': a convolution in groups is not known")
        bias = self.model.constant(node, 2) if len(node.input) > 2 else None
        norm = self.take(node, {"BatchNormalization"})
        if norm is not None:
            parts, epsilon = self.model.norm(norm)
            ready, bias = fold_norm(name, ready, parts, round_epsilon(epsilon), bias)
        elif bias is None:
            bias = 0 * ready.reshape(-1, ready.shape[-1])[0]
        activation, last = self.activation(norm if norm is not None else node)
        stride, dilation = (attributes.get(k, [1, 1]) for k in ("strides", "dilations"))
        pads = conv_padding(attributes)
        if pads == "same" or stride[0] != stride[1] or dilation[0] != dilation[1]:
            raise ConvertError(f"'{name}': its padding, stride or dilation is not known")
        self.names[last.output[0]] = self.graph.convolution(
            self.names[node.input[0]], name, ready, bias, stride[0], dilation[0], pads, activation
        )

    def on_add(self, node):
        if any(name not in self.names for name in node.input):
            return
        inputs = [self.names[name] for name in node.input]
        activation, last = self.activation(node)
        name = f"{self.module(inputs)}.add"
        self.names[last.output[0]] = self.graph.add("add", inputs, name, activation=activation)

    def on_concat(self, node):
        if all(name in self.shapes or name in self.model.constants for name in node.input):
            parts = [self.integers(name) for name in node.input]
            self.shapes[node.output[0]] = [value for part in parts for value in part]
        if any(name not in self.names for name in node.input):
            return
        inputs = [self.names[name] for name in node.input]
        if all(name.endswith(".rows") for name in inputs):
            self.concat_rows(node, inputs)
        else:
            name = f"{self.module(inputs)}.concat"
            self.names[node.output[0]] = self.graph.add("concat", inputs, name, axis=3)

    def concat_rows(self, node, inputs):
        """The levels of the scores, which a softmax follows, or of the boxes."""
        softmax = any(n.op_type == "Softmax" for n in self.model.consumers[node.output[0]])
        name = "scores.rows" if softmax else "boxes"
        if not softmax:
            self.boxes = node.output[0]
        self.names[node.output[0]] = self.graph.add("concat", inputs, name, axis=1)

    def on_softmax(self, node):
        self.names[node.output[0]] = self.graph.add(
            "softmax", [self.names[node.input[0]]], node.output[0]
        )

    def on_transpose(self, node):
        if list(self.model.attributes(node)["perm"]) != [0, 2, 3, 1]:
            raise ConvertError("a Transpose other than to NHWC is not known")
        self.names[node.output[0]] = self.names[node.input[0]]

    def on_reshape(self, node):
        shape, x = self.integers(node.input[1]), self.names[node.input[0]]
        rows = self.graph.add("reshape", [x], f"{x}.rows", shape=shape[1:])
        self.names[node.output[0]] = rows

    def on_shape(self, node):
        self.shapes[node.output[0]] = [None] * 4

    def on_gather(self, node):
        index = int(self.model.constant(node, 1).reshape(-1)[0])
        self.shapes[node.output[0]] = [self.shapes[node.input[0]][index]]

    def on_unsqueeze(self, node):
        self.shapes[node.output[0]] = self.integers(node.input[0])

    def on_constant(self, node):
        pass

    def integers(self, name):
        if name in self.model.constants:
            return [int(v) for v in self.model.constants[name].reshape(-1)]
        return self.shapes[name]

    @staticmethod
    def module(inputs):
        """What two layer names have in common: base_net.7 of base_net.7.a and base_net.7.b."""
        parts = zip(*(name.split(".")[:2] for name in inputs))
        return ".".join(p[0] for p in parts if len(set(p)) == 1)


def decoding_constants(walker):
    """(priors [P, 4], (centre variance, size variance)) from the arithmetic after the encoded boxes:
    centre = encoded * variance * prior size + prior centre; size = exp(encoded * variance) * prior size."""
    numpy = need("numpy")
    model, scalars, arrays = walker.model, [], []
    reached = {walker.boxes}
    for node in model.nodes:
        if not reached & set(node.input):
            continue
        reached.update(node.output)
        for name in node.input:
            if node.op_type in ("Mul", "Add") and name in model.constants:
                value = model.constants[name]
                (scalars if value.size == 1 else arrays).append(value)
    if len(scalars) != 2 or len(arrays) != 3 or any(a.shape[-1] != 2 for a in arrays):
        raise ConvertError("its boxes are not decoded in the way of RFB-320")
    sizes, centres = (a.reshape(-1, 2) for a in arrays[:2])
    variances = tuple(round_epsilon(float(s.reshape(()))) for s in scalars)
    return numpy.concatenate([centres, sizes], 1).astype(numpy.float32), variances


def read_rfb(model):
    walker = GraphWalker(model, rfb.ARCHITECTURE, rfb.detector())
    graph = walker.walk()
    if walker.boxes is None:
        raise ConvertError("holds no boxes that are joined over the levels")
    graph.tensors["priors"], variances = decoding_constants(walker)
    graph.detector["variances"] = list(variances)
    graph.detector["input_size"] = model.input_size() or graph.detector["input_size"]
    return graph


def check_float(model):
    """Of a detector, which is read only in float32."""
    quantised = onnx_quantised.first(model.nodes)
    if quantised is not None:
        raise ConvertError(f"is a quantised detector ({onnx_quantised.named(quantised)}); give the float32 file")


def read(path):
    model = Model(path)
    if set(model.outputs) in ({"scores", "boxes"}, {"scores", "boxes", "probabilities"}):
        check_float(model)
    ours = exported.read(model.content, model.metadata, lambda: read_classifier(model))
    if ours is not None:
        return ours
    if set(model.outputs) == {"scores", "boxes"} and rfb.recognised(model.constants):
        if model.foreign:  # which may stand in the decoding, of which only constants are read
            raise ConvertError(f"{onnx_quantised.named(model.foreign[0])} is not known in a detector")
        return read_rfb(model)
    return read_classifier(model)
