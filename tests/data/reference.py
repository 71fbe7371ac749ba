"""The network of a converted safetensors file, run in plain numpy: the yardstick of the tests.

Nothing of the converter is used here beyond the file that it wrote. NHWC, float32.
"""

import json

import numpy
from safetensors import safe_open

STRIDES = [1] + [2, 1] + [2, 1, 1] + [2, 1, 1, 1] + [1, 1, 1] + [2, 1, 1] + [1]


def load(path):
    """(tensors, metadata) of a safetensors file."""
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def windows(x, size, stride, dilation, pad):
    """[size*size, N, H', W', C]: the input under each cell of the window; pad is (top, left, bottom, right)."""
    top, left, bottom, right = pad
    x = numpy.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    reach = dilation * (size - 1)
    rows = (x.shape[1] - reach - 1) // stride + 1
    columns = (x.shape[2] - reach - 1) // stride + 1
    for i in range(size):
        for j in range(size):
            y, z = i * dilation, j * dilation
            yield i, j, x[:, y : y + stride * rows : stride, z : z + stride * columns : stride][
                :, :rows, :columns
            ]


def conv2d(x, weight, stride=1, dilation=1, pad=(0, 0, 0, 0)):
    if weight.ndim == 2:
        weight = weight[None, None]
    return total(c @ weight[i, j] for i, j, c in windows(x, weight.shape[0], stride, dilation, pad))


def depthwise(x, weight, stride=1, dilation=1, pad=(0, 0, 0, 0)):
    return total(c * weight[i, j] for i, j, c in windows(x, weight.shape[0], stride, dilation, pad))


def total(terms):
    """Their sum, in place of the first."""
    terms = iter(terms)
    result = next(terms)
    for term in terms:
        result += term
    return result


def prepared(pixels, preprocessing):
    """Pixels 0..255 as the network takes them."""
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ways = {"tf": lambda x: x / 127.5 - 1, "unit": lambda x: x / 255, "imagenet": lambda x: (x / 255 - mean) / deviation}
    return ways[preprocessing](pixels).astype(numpy.float32)


def relu6(x):
    return numpy.clip(x, 0, 6)


def window_padding(side, stride, style):
    """(before, after) of a 3x3 window: TensorFlow's SAME puts the odd pixel last, PyTorch pads 1 and 1."""
    if style == "symmetric" or stride == 1:
        return 1, 1
    total = max((-(-side // stride) - 1) * stride + 3 - side, 0)
    return total // 2, total - total // 2


class MobileNetV2:
    """features(x): [N, 1280] pooled; logits(x): [N, classes] where the file has a classifier."""

    def __init__(self, path):
        self.tensors, self.metadata = load(path)
        assert self.metadata["architecture"] == "mobilenet_v2"

    def padding(self, x, stride):
        style = self.metadata["padding"]
        top, bottom = window_padding(x.shape[1], stride, style)
        left, right = window_padding(x.shape[2], stride, style)
        return top, left, bottom, right

    def norm(self, x, name):
        gamma, beta, mean, variance = (
            self.tensors[f"{name}.{part}"] for part in ("gamma", "beta", "mean", "variance")
        )
        scale = gamma / numpy.sqrt(variance + numpy.float32(self.metadata["bn_epsilon"]))
        return (x - mean) * scale + beta

    def block(self, x, i):
        stride, y = STRIDES[i], x
        name = f"blocks.{i}"
        if i > 0:
            y = relu6(self.norm(y @ self.tensors[f"{name}.expand.weight"], f"{name}.expand_bn"))
        y = depthwise(
            y, self.tensors[f"{name}.depthwise.weight"], stride, pad=self.padding(y, stride)
        )
        y = relu6(self.norm(y, f"{name}.depthwise_bn"))
        y = self.norm(y @ self.tensors[f"{name}.project.weight"], f"{name}.project_bn")
        return x + y if stride == 1 and x.shape == y.shape else y

    def feature_map(self, x):
        x = conv2d(x, self.tensors["stem.conv.weight"], 2, pad=self.padding(x, 2))
        x = relu6(self.norm(x, "stem.bn"))
        for i in range(len(STRIDES)):
            x = self.block(x, i)
        return relu6(self.norm(x @ self.tensors["last.conv.weight"], "last.bn"))

    def features(self, x):
        return numpy.concatenate([self.feature_map(p[None]).mean((1, 2)) for p in x])

    def logits(self, x):
        weight, bias = self.tensors["classifier.weight"], self.tensors["classifier.bias"]
        return self.features(x) @ weight + bias

    def probabilities(self, pixels):
        """[N, classes] of pictures 0..255, by the whole of what the file says."""
        x = prepared(pixels, self.metadata["preprocessing"])
        if self.metadata["head"] == "classifier":
            logits = self.logits(x)
        else:
            hidden = self.features(x) @ self.tensors["head.hidden.weight"] + self.tensors["head.hidden.bias"]
            logits = numpy.maximum(hidden, 0) @ self.tensors["head.output.weight"] + self.tensors["head.output.bias"]
        exponents = numpy.exp(logits - logits.max(1, keepdims=True))
        return exponents / exponents.sum(1, keepdims=True)

    def labels(self):
        return json.loads(self.metadata["labels"])


class Graph:
    """A detector's list of layers (the form that data/README.md describes), run layer by layer."""

    def __init__(self, path):
        self.tensors, self.metadata = load(path)
        self.layers = json.loads(self.metadata["graph"])
        self.detector = json.loads(self.metadata["detector"])

    def __call__(self, x):
        """{name of output: array} of the outputs that the detector names."""
        results = [self.run(p[None]) for p in x]
        return {key: numpy.concatenate([r[key] for r in results]) for key in results[0]}

    def run(self, x):
        values = {"input": x}
        for layer in self.layers:
            y = getattr(self, layer["op"])(layer, *(values[name] for name in layer["inputs"]))
            values[layer["output"]] = ACTIVATIONS[layer.get("activation", "none")](y)
        return {key: values[name] for key, name in self.detector["outputs"].items()}

    def weight(self, layer):
        return self.tensors[layer["weight"]], self.tensors[layer["bias"]]

    def conv2d(self, layer, x):
        weight, bias = self.weight(layer)
        return conv2d(x, weight, layer["stride"], layer["dilation"], layer["pad"]) + bias

    def depthwise(self, layer, x):
        weight, bias = self.weight(layer)
        return depthwise(x, weight, layer["stride"], layer["dilation"], layer["pad"]) + bias

    def pointwise(self, layer, x):
        weight, bias = self.weight(layer)
        return x @ weight + bias

    dense = pointwise

    def add(self, layer, *inputs):
        return sum(inputs)

    def concat(self, layer, *inputs):
        return numpy.concatenate(inputs, layer["axis"])

    def reshape(self, layer, x):
        return x.reshape(len(x), *layer["shape"])

    def average_pool(self, layer, x):
        return x.mean((1, 2))

    def softmax(self, layer, x):
        x = numpy.exp(x - x.max(-1, keepdims=True))
        return x / x.sum(-1, keepdims=True)

    def sigmoid(self, layer, x):
        return 1 / (1 + numpy.exp(-x))

    def decode(self, boxes):
        """[N, P, 4] left, top, right, bottom as shares of the input, from the encoded boxes."""
        priors = self.tensors[self.detector["priors"]]
        centre_variance, size_variance = self.detector["variances"]
        centre = boxes[..., :2] * centre_variance * priors[:, 2:] + priors[:, :2]
        size = numpy.exp(boxes[..., 2:] * size_variance) * priors[:, 2:]
        return numpy.concatenate([centre - size / 2, centre + size / 2], -1)


ACTIVATIONS = {"none": lambda x: x, "relu": lambda x: numpy.maximum(x, 0), "relu6": relu6}
