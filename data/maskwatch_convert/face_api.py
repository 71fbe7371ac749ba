"""face-api.js: a JSON manifest and the .bin files that it names, weights quantised to a byte.

A quantised value q stands for scale * q + min. Known are the SSD MobileNetV1 face detector and the
68-landmark network; their structure is not in the files and stands here.
"""

import json
import math
import os

from .errors import ConvertError, need
from .graph import Graph, fold_norm, same_padding

NUMBER_TYPES = {"float32": "<f4", "int32": "<i4", "uint8": "u1", "uint16": "<u2"}


def load(path):
    """{name: array} of the weights that the manifest names."""
    try:
        with open(path, encoding="utf-8") as file:
            groups = json.load(file)
        tensors = {}
        for group in groups:
            content = b"".join(read_part(path, part) for part in group["paths"])
            tensors.update(cut(content, group["weights"]))
        return tensors
    except (ValueError, TypeError, KeyError) as error:
        raise ConvertError(f"is not a face-api weights manifest: {error!r}") from error


def read_part(manifest, name):
    if os.path.basename(name) != name:
        raise ConvertError(f"names the file '{name}', which is not beside it")
    path = os.path.join(os.path.dirname(manifest), name)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConvertError(f"weights of {manifest} cannot be read: {error.strerror}", path) from error


def cut(content, weights):
    """The arrays that lie one after the other in the bytes."""
    numpy = need("numpy")
    tensors, offset = {}, 0
    for weight in weights:
        quantisation = weight.get("quantization")
        number_type = numpy.dtype(NUMBER_TYPES[(quantisation or weight)["dtype"]])
        shape = tuple(int(n) for n in weight["shape"])
        count = math.prod(shape)
        size = count * number_type.itemsize
        if min(shape, default=1) < 0 or offset + size > len(content):
            raise ConvertError(f"tensor '{weight['name']}' reaches beyond the {len(content)} bytes of "
                               "the .bin file, which is truncated or not its own")  # fmt: skip
        values = numpy.frombuffer(content, number_type, count, offset).reshape(shape)
        offset += size
        if quantisation:
            values = quantisation["scale"] * values.astype(numpy.float64) + quantisation["min"]
        tensors[weight["name"]] = values.astype(numpy.float32)
    if offset != len(content):
        raise ConvertError(f"the .bin file has {len(content) - offset} bytes more than its tensors")
    return tensors


class Builder:
    """Layers with TensorFlow's SAME padding; keeps the side of each (square) map to compute it."""

    def __init__(self, architecture, tensors, side):
        self.tensors, self.graph, self.sides = tensors, Graph(architecture), {"input": side}

    def tensor(self, name):
        if name not in self.tensors:
            raise ConvertError(f"tensor '{name}' is missing in the manifest")
        return self.tensors[name]

    def convolution(self, source, name, weight, bias, stride=1, activation="none"):
        """weight is HWIO, or HWC for a depthwise one."""
        side, window = self.sides[source], weight.shape[0]
        pad = same_padding(side, side, window, stride)
        if weight.ndim == 4 and window == 1:
            weight = weight[0, 0]
        output = self.graph.convolution(
            source, name, weight, bias, stride, pad=pad, activation=activation
        )
        self.sides[output] = -(-side // stride)
        return output

    def add(self, inputs, name):
        self.graph.add("add", inputs, name, activation="relu")
        self.sides[name] = self.sides[inputs[0]]
        return name


# SSD MobileNetV1

EPSILON = 0.001
STRIDE_TWO = {2, 4, 6, 12}


def depthwise_norm(b, x, name, stride):
    norm = [b.tensor(f"{name}/BatchNorm/{n}") for n in ("gamma", "beta", "moving_mean", "moving_variance")]
    weight, bias = fold_norm(name, b.tensor(f"{name}/depthwise_weights")[..., 0], norm, EPSILON)
    return b.convolution(x, name, weight, bias, stride, "relu6")


def offset_convolution(b, x, name, stride):
    weight, bias = b.tensor(f"{name}/weights"), b.tensor(f"{name}/convolution_bn_offset")
    return b.convolution(x, name, weight, bias, stride, "relu6")


def box_predictor(b, x, level):
    """(face score logits [N, P, 1], encoded boxes [N, P, 4]) of one level.

    Of the 3 classes only the middle one is the face, so the others are left out. The published
    order y, x, height, width becomes x, y, width, height."""
    prefix, outputs = f"Prediction/BoxPredictor_{level}", []
    for kind, values, keep in (("ClassPredictor", 3, [1]), ("BoxEncodingPredictor", 4, [1, 0, 3, 2])):
        name = f"{prefix}/{kind}"
        weight, bias = b.tensor(f"{name}/weights"), b.tensor(f"{name}/biases")
        if weight.shape[-1] % values:
            raise ConvertError(f"'{name}/weights' has {weight.shape[-1]} outputs, not a multiple of {values}")
        weight = weight.reshape(*weight.shape[:3], -1, values)[..., keep].reshape(*weight.shape[:3], -1)
        y = b.convolution(x, name, weight, bias.reshape(-1, values)[:, keep].reshape(-1))
        outputs.append(b.graph.add("reshape", [y], f"{y}.rows", shape=[-1, len(keep)]))
    return outputs


def ssd_mobilenet_v1(tensors):
    b = Builder("ssd_mobilenet_v1", tensors, 512)
    x = offset_convolution(b, "input", "MobilenetV1/Conv2d_0_pointwise", 2)
    levels = []
    for i in range(1, 14):
        x = depthwise_norm(b, x, f"MobilenetV1/Conv2d_{i}_depthwise", 2 if i in STRIDE_TWO else 1)
        x = offset_convolution(b, x, f"MobilenetV1/Conv2d_{i}_pointwise", 1)
        if i in (11, 13):
            levels.append(x)
    for i in range(8):
        x = offset_convolution(b, x, f"Prediction/Conv2d_{i}_pointwise", 1 + i % 2)
        if i % 2:
            levels.append(x)
    pairs = [box_predictor(b, level, i) for i, level in enumerate(levels)]
    rows = b.graph.add("concat", [scores for scores, _ in pairs], "scores.rows", axis=1)
    b.graph.add("concat", [boxes for _, boxes in pairs], "boxes", axis=1)
    b.graph.add("sigmoid", [rows], "scores")
    b.graph.tensors["priors"] = centred(b.tensor("Output/extra_dim"))
    b.graph.detector = {
        "kind": "boxes",
        "input_size": [512, 512],
        "order": "rgb",
        "mean": [127.5] * 3,
        "scale": [1 / 127.5] * 3,
        "resize": "letterbox_top_left",
        "outputs": {"scores": "scores", "boxes": "boxes"},
        "face_class": 0,
        "priors": "priors",
        "coding": "center_size",
        "variances": [0.1, 0.2],
        "strides": [512 // b.sides[level] for level in levels],
    }
    return b.graph


def centred(corners):
    """[P, 4] centre x, y, width, height from [1, P, 4] top, left, bottom, right."""
    numpy = need("numpy")
    top, left, bottom, right = numpy.moveaxis(corners.reshape(-1, 4).astype(numpy.float64), 1, 0)
    parts = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    return numpy.stack(parts, 1).astype(numpy.float32)


# The 68 landmarks


def separable(b, x, name, stride=1):
    """Depthwise, then pointwise with a bias; nothing between them."""
    numpy = need("numpy")
    depthwise = b.tensor(f"{name}/depthwise_filter")[..., 0]
    zero = numpy.zeros(depthwise.shape[-1], numpy.float32)
    x = b.convolution(x, f"{name}/depthwise", depthwise, zero, stride)
    return b.convolution(x, name, b.tensor(f"{name}/pointwise_filter"), b.tensor(f"{name}/bias"))


def dense_block(b, x, name, first):
    """Four convolutions; each takes the ReLU of the sum of all before it."""
    if first:
        weight, bias = b.tensor(f"{name}/conv0/filters"), b.tensor(f"{name}/conv0/bias")
        x = b.convolution(x, f"{name}/conv0", weight, bias, 2, "relu")
    else:
        x = separable(b, x, f"{name}/conv0", 2)
        b.graph.layers[-1]["activation"] = "relu"
    terms = [x]
    for i in range(1, 4):
        terms.append(separable(b, x, f"{name}/conv{i}"))
        x = b.add(list(terms), f"{name}/sum{i}")
    return x


def face_landmark_68(tensors):
    b, x = Builder("face_landmark_68", tensors, 112), "input"
    for i in range(4):
        x = dense_block(b, x, f"dense{i}", i == 0)
    x = b.graph.add("average_pool", [x], "features")
    weight, bias = b.tensor("fc/weights"), b.tensor("fc/bias")
    b.graph.tensors.update({"fc.weight": weight, "fc.bias": bias})
    names = {"weight": "fc.weight", "bias": "fc.bias"}
    b.graph.add("dense", [x], "points", **names, activation="none")
    b.graph.detector = {
        "kind": "landmarks",
        "input_size": [112, 112],
        "order": "rgb",
        "mean": [122.782, 117.001, 104.298],
        "scale": [1 / 255] * 3,
        "resize": "letterbox_center",
        "outputs": {"points": "points"},
        "coding": "xy_share",
        "points": 68,
    }
    return b.graph


def read(path):
    tensors = load(path)
    if "Output/extra_dim" in tensors:
        return ssd_mobilenet_v1(tensors)
    if "dense0/conv0/filters" in tensors:
        return face_landmark_68(tensors)
    raise ConvertError("is not a supported network (supported: SSD MobileNetV1 and the 68 landmarks)")
