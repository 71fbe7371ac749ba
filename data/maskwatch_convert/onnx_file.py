"""ONNX: MobileNetV2 classifiers (batch norm folded or not) and RFB-320, by walking the nodes."""

from . import rfb
from .errors import ConvertError, need
from .graph import Graph, fold_norm
from .layouts import from_oihw
from .mobilenet_v2 import ConvNorm, Source

QUANTISED = {"QLinearConv", "ConvInteger", "DequantizeLinear"}


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
        quantised = sorted({n.op_type for n in self.nodes} & QUANTISED)
        if quantised:
            raise ConvertError(f"is quantised ({quantised[0]}); give the float32 file")
        to_array = onnx.numpy_helper.to_array
        self.constants = {t.name: to_array(t) for t in content.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and self.attributes(node).get("value") is not None:
                self.constants[node.output[0]] = to_array(self.attributes(node)["value"])
        self.inputs = [i for i in content.graph.input if i.name not in self.constants]
        self.outputs = [o.name for o in content.graph.output]
        self.consumers = {}
        for node in self.nodes:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)

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

    def norm(self, node):
        """((gamma, beta, mean, variance), epsilon) of a BatchNormalization node."""
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


# MobileNetV2


def read_mobilenet(model):
    convolutions = [n for n in model.nodes if n.op_type == "Conv"]
    classifier = None
    if len(convolutions) == 53:  # the classifier as a 1x1 convolution on the pooled features
        last = convolutions.pop()
        classifier = (model.constant(last, 1)[:, :, 0, 0].T, model.constant(last, 2))
    layers, epsilon = [], None
    for node in convolutions:
        weight = model.constant(node, 1)
        ready = from_oihw(weight, is_depthwise(weight, model.attributes(node)), node.input[1])
        layer = ConvNorm(ready, origin=node.input[1])
        if len(node.input) > 2:
            layer.bias = model.constant(node, 2)
        norm = model.follower(node, {"BatchNormalization"})
        if norm is not None:
            layer.norm, epsilon = model.norm(norm)
            if layer.bias is not None:
                raise ConvertError(f"'{layer.origin}' has both a bias and a batch norm")
        layers.append(layer)
    padding = stem_padding(model, convolutions[0]) if convolutions else "symmetric"
    tf = padding == "tf"
    epsilon = (1e-3 if tf else 1e-5) if epsilon is None else round_epsilon(epsilon)
    source = Source(layers, padding, epsilon, "tf" if tf else "imagenet")
    source.input_size = (model.input_size() or [224])[0]
    source.classifier = classifier or gemm_classifier(model)
    return source


def stem_padding(model, node):
    """Which of the two styles the first convolution has: its own padding or a Pad node before it."""
    pads = conv_padding(model.attributes(node))
    before = [n for n in model.nodes if n.output and n.output[0] == node.input[0]]
    if before and before[0].op_type == "Pad" and pads != "same":
        given = model.attributes(before[0]).get("pads")
        given = model.constant(before[0], 1) if given is None else given
        half = len(given) // 2
        pads = tuple(int(p) for p in (given[half - 2], given[half - 1], given[-2], given[-1]))
    styles = {(1, 1, 1, 1): "symmetric", (0, 0, 1, 1): "tf", "same": "tf"}
    if pads not in styles:
        raise ConvertError(f"the first convolution pads {list(pads)}; known are 1,1,1,1 and 0,0,1,1")
    return styles[pads]


def gemm_classifier(model):
    """(weight [in, out], bias) of the Gemm, or MatMul and Add, at the end; None where there is none."""
    for node in reversed(model.nodes):
        if node.op_type == "Gemm" and node.input[1] in model.constants:
            attributes = model.attributes(node)
            if attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
                raise ConvertError("the classifier's Gemm scales its operands, which is not known")
            weight = model.constant(node, 1)
            return (weight.T if attributes.get("transB", 0) else weight), model.constant(node, 2)
        if node.op_type == "MatMul" and node.input[1] in model.constants:
            weight, add = model.constant(node, 1), model.follower(node, {"Add"})
            if add is not None:
                bias = [model.constants[i] for i in add.input if i in model.constants]
                return weight, bias[0]
            return weight, 0 * weight[0]
    return None


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
            ready, bias = fold_norm(ready, parts, round_epsilon(epsilon), bias)
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


def read(path):
    model = Model(path)
    if set(model.outputs) == {"scores", "boxes"} and rfb.recognised(model.constants):
        return read_rfb(model)
    return read_mobilenet(model)
