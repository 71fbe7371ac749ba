"""Published detectors and landmark networks, which a file describes layer by layer (metadata `graph` and `detector`,
data/README.md), as ONNX nodes. Values are NHWC there and NCHW here, until rows are made of them."""

import json
from math import prod

from .errors import ConvertError

ARCHITECTURES = ("rfb_320", "ssd_mobilenet_v1", "face_landmark_68")
POINTS = 68


class Network:
    """`values`: name in the file -> (name in the graph, shape of one picture, with channels last)."""

    def __init__(self, builder, layers, picture, width, height):
        self.builder, self.values = builder, {"input": (picture, (height, width, 3))}
        for layer in layers:
            self.layer(layer)

    def value(self, name):
        if name not in self.values:
            raise ConvertError(f"metadata graph: '{name}' is not made by a layer before")
        return self.values[name]

    def layer(self, layer):
        handlers = {"conv2d": self.convolution, "depthwise": self.convolution, "pointwise": self.convolution, "dense": self.dense,
                    "add": self.add, "concat": self.concat, "reshape": self.reshape, "average_pool": self.average_pool,
                    "softmax": self.softmax, "sigmoid": self.sigmoid}  # fmt: skip
        op, output = layer["op"], layer["output"]
        if op not in handlers:
            raise ConvertError(f"metadata graph: the layer '{op}' is not known")
        if output in self.values:
            raise ConvertError(f"metadata graph: two layers make '{output}'")
        name = f"graph.{output}"
        inputs = [self.value(one) for one in layer["inputs"]]
        x, shape = handlers[op](layer, inputs, name)
        self.values[output] = (self.activated(layer, x), shape)

    def activated(self, layer, x):
        kind, builder = layer.get("activation", "none"), self.builder
        if kind == "relu":
            return builder.node("Relu", [x], f"{x}.relu")
        if kind == "relu6":
            return builder.node("Clip", [x, builder.floats("zero", 0), builder.floats("six", 6)], f"{x}.relu6")
        if kind != "none":
            raise ConvertError(f"metadata graph: the activation '{kind}' is not known")
        return x

    def weights(self, layer, axes, layout):
        """(names of weight and bias, shape of the weight in our layout)."""
        name, found = layer["weight"], self.builder.model.tensors
        if name not in found or found[name].ndim != axes:
            raise ConvertError(f"tensor '{name}' is missing or has not {axes} axes")
        shape = found[name].shape
        return [self.builder.tensor(name, shape, layout), self.builder.tensor(layer["bias"], shape[-1:])], shape

    def convolution(self, layer, inputs, name):
        ((x, (height, width, channels)),) = inputs
        layouts = {
            "conv2d": (4, lambda w: w.transpose(3, 2, 0, 1)),
            "depthwise": (3, lambda w: w.transpose(2, 0, 1)[:, None]),
            "pointwise": (2, lambda w: w.T[:, :, None, None]),
        }
        taken, shape = self.weights(layer, *layouts[layer["op"]])
        if shape[-1 if layer["op"] == "depthwise" else -2] != channels:
            raise ConvertError(f"tensor '{layer['weight']}' has shape {list(shape)} for {channels} channels")
        window = [1, 1] if layer["op"] == "pointwise" else list(shape[:2])
        pads, stride, dilation = layer.get("pad", [0] * 4), layer.get("stride", 1), layer.get("dilation", 1)
        group = channels if layer["op"] == "depthwise" else 1
        self.builder.node("Conv", [x, *taken], name, kernel_shape=window, strides=[stride] * 2, dilations=[dilation] * 2,
                          pads=pads, group=group)  # fmt: skip
        sides = (height + pads[0] + pads[2], width + pads[1] + pads[3])
        rows, columns = ((side - dilation * (reach - 1) - 1) // stride + 1 for side, reach in zip(sides, window))
        return name, (rows, columns, shape[-1])

    def dense(self, layer, inputs, name):
        ((x, shape),) = inputs
        taken, weight = self.weights(layer, 2, lambda w: w)
        if shape != weight[:1]:
            raise ConvertError(f"tensor '{layer['weight']}' has shape {list(weight)} for values of {list(shape)}")
        return self.builder.node("Gemm", [x, *taken], name), weight[1:]

    def add(self, layer, inputs, name):
        if len(inputs) < 2 or len({shape for _, shape in inputs}) != 1:
            raise ConvertError(f"metadata graph: '{layer['output']}' adds values of different shapes")
        total = inputs[0][0]
        for i, (x, _) in enumerate(inputs[1:], 1):
            total = self.builder.node("Add", [total, x], name if i + 1 == len(inputs) else f"{name}.{i}")
        return total, inputs[0][1]

    def concat(self, layer, inputs, name):
        axis = {1: 0, 3: 2}[layer["axis"]]  # rows of [P, V], or channels of [H, W, C]
        shapes = [shape for _, shape in inputs]
        others = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
        if len(others) != 1 or len(shapes[0]) != (3 if axis else 2):
            raise ConvertError(f"metadata graph: '{layer['output']}' joins values that do not fit")
        joined = list(shapes[0])
        joined[axis] = sum(shape[axis] for shape in shapes)
        return self.builder.node("Concat", [x for x, _ in inputs], name, axis=1), tuple(joined)

    def reshape(self, layer, inputs, name):
        ((x, shape),) = inputs
        new, rest = list(layer["shape"]), prod(n for n in layer["shape"] if n != -1)
        if rest < 1 or new.count(-1) > 1 or prod(shape) % rest:
            raise ConvertError(f"metadata graph: '{layer['output']}' cannot make {new} of {list(shape)}")
        if len(shape) == 3:
            x = self.builder.node("Transpose", [x], f"{name}.nhwc", perm=[0, 2, 3, 1])
        if len(new) == 3:
            raise ConvertError(f"metadata graph: '{layer['output']}' makes a map, which is not known")
        target = self.builder.integers(f"{name}.shape", [0, *new])
        return self.builder.node("Reshape", [x, target], name), tuple(prod(shape) // rest if n == -1 else n for n in new)

    def average_pool(self, layer, inputs, name):
        ((x, (_, _, channels)),) = inputs
        x = self.builder.node("GlobalAveragePool", [x], f"{name}.map")
        return self.builder.node("Flatten", [x], name, axis=1), (channels,)

    def softmax(self, layer, inputs, name):
        ((x, shape),) = inputs
        return self.builder.node("Softmax", [x], name, axis=1 if len(shape) == 3 else -1), shape

    def sigmoid(self, layer, inputs, name):
        ((x, shape),) = inputs
        return self.builder.node("Sigmoid", [x], name), shape


class Outputs:
    """What the detector of a file makes of its network."""

    def __init__(self, builder, form, network):
        self.builder, self.form, self.network = builder, form, network

    def named(self, key):
        return self.network.value(self.form["outputs"][key])

    def output(self, op, inputs, name, shape, **attributes):
        self.builder.output(self.builder.node(op, inputs, name, **attributes), shape)

    def landmarks(self):
        """`points` [N, 68, 2] in pixels of the input; raw, `shares` [N, 136] of it."""
        builder, (x, shape) = self.builder, self.named("points")
        if shape != (2 * POINTS,):
            raise ConvertError(f"gives {list(shape)} numbers, not those of {POINTS} points")
        if builder.options.raw:
            return self.output("Identity", [x], "shares", shape)
        x = builder.node("Reshape", [x, builder.integers("points", [0, POINTS, 2])], "shares")
        self.output("Mul", [x, builder.floats("input_size", self.form["input_size"])], "points", [POINTS, 2])

    def boxes(self):
        """`boxes` [N, P, 4]: left, top, right, bottom in pixels of the input, and `scores` [N, P] of the face; raw,
        `codes` [N, P, 4], `class_scores` [N, P, classes] and `priors` [P, 4]."""
        builder, (scores, shape), (codes, code_shape) = self.builder, self.named("scores"), self.named("boxes")
        count, face = shape[0], self.form["face_class"]
        priors = builder.tensor(self.form["priors"], (count, 4))
        if len(shape) != 2 or code_shape != (count, 4) or not 0 <= face < shape[1]:
            raise ConvertError(f"scores {list(shape)} and boxes {list(code_shape)} do not fit each other")
        if builder.options.raw:
            self.output("Identity", [codes], "codes", code_shape)
            self.output("Identity", [scores], "class_scores", shape)
            builder.node("Identity", [priors], "anchors")
            info = builder.onnx.helper.make_tensor_value_info
            builder.outputs.append(info("anchors", builder.onnx.TensorProto.FLOAT, [count, 4]))
            return
        self.decoded(codes, priors, count)
        self.output("Gather", [scores, builder.integers("face_class", face)], "scores", [count], axis=2)

    def decoded(self, codes, priors, count):
        builder, halves = self.builder, self.builder.integers("halves", [2, 2])
        for x, name, axis in ((codes, "codes", 2), (priors, "anchors", 1)):
            parts = [f"{name}.centre", f"{name}.size"]
            builder.nodes.append(builder.onnx.helper.make_node("Split", [x, halves], parts, name=name, axis=axis))
        variances = [builder.floats(f"variance{i}", v) for i, v in enumerate(self.form["variances"])]
        moved = builder.node("Mul", ["codes.centre", variances[0]], "boxes.shift")
        moved = builder.node("Mul", [moved, "anchors.size"], "boxes.moved")
        centre = builder.node("Add", [moved, "anchors.centre"], "boxes.centre")
        grown = builder.node("Exp", [builder.node("Mul", ["codes.size", variances[1]], "boxes.exponent")], "boxes.growth")
        size = builder.node("Mul", [grown, "anchors.size"], "boxes.size")
        reach = builder.node("Mul", [size, builder.floats("half", 0.5)], "boxes.reach")
        corners = [builder.node(op, [centre, reach], f"boxes.{name}") for op, name in (("Sub", "first"), ("Add", "last"))]
        shares = builder.node("Concat", corners, "boxes.shares", axis=2)
        self.output("Mul", [shares, builder.floats("input_sides", self.form["input_size"] * 2)], "boxes", [count, 4])


def scaling(form):
    """(scale, offset) of pixels, of each channel."""
    if form["order"] != "rgb":
        raise ConvertError(f"metadata detector: the order {form['order']} is not known")
    return form["scale"], [-m * s for m, s in zip(form["mean"], form["scale"])]


def build(builder):
    model = builder.model
    if builder.options.size:
        raise ConvertError(f"takes pictures of {model.text('input_size')} pixels, so --size does not apply")
    try:
        layers, form = json.loads(model.text("graph")), json.loads(model.text("detector"))
        width, height = (int(side) for side in form["input_size"])
        picture = builder.picture((height, width), scaling(form))
        outputs = Outputs(builder, form, Network(builder, layers, picture, width, height))
        {"boxes": outputs.boxes, "landmarks": outputs.landmarks}[form["kind"]]()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ConvertError(f"metadata graph or detector is malformed ({type(error).__name__}: {error})") from error
