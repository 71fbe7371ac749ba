"""RFB-320 (Linzaer, Ultra-Light-Fast-Generic-Face-Detector-1MB): the SSD of version-RFB-320.

The .pth holds tensors without structure, so the structure stands here; the .onnx brings its own
(onnx_file.py). Both give the same graph, tensor for tensor.
"""

from .errors import ConvertError, need
from .graph import Graph, fold_norm
from .layouts import from_oihw

ARCHITECTURE = "rfb_320"
EPSILON = 1e-5
STRIDES = [8, 16, 32, 64]
MIN_BOXES = [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]]
# Depthwise-separable layers of the trunk with their strides; 7 is the RFB module.
BEFORE_RFB = {1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: 1}
AFTER_RFB = {8: 2, 9: 1, 10: 1, 11: 2, 12: 1}
# (part, dilation, activation) of the 3 branches of the RFB module; part 0 is the 1x1 convolution.
BRANCHES = [
    [(0, 1, "none"), (1, 1, "relu"), (2, 2, "none")],
    [(0, 1, "none"), (1, 1, "relu"), (2, 3, "none")],
    [(0, 1, "none"), (1, 1, "relu"), (2, 1, "relu"), (3, 5, "none")],
]


def recognised(tensors):
    return "base_net.7.branch0.0.conv.weight" in tensors


def detector():
    """The form of the detector that no file of it tells: input, priors and coding of the boxes."""
    return {
        "kind": "boxes",
        "input_size": [320, 240],
        "order": "rgb",
        "mean": [127.0, 127.0, 127.0],
        "scale": [1 / 128, 1 / 128, 1 / 128],
        "resize": "stretch",
        "outputs": {"scores": "scores", "boxes": "boxes"},
        "face_class": 1,
        "priors": "priors",
        "coding": "center_size",
        "variances": [0.1, 0.2],
        "strides": STRIDES,
        "min_boxes": MIN_BOXES,
    }


def make_priors(width=320, height=240):
    """[P, 4] centre x, y, width and height as shares of the picture, clipped to it. Level by level,
    row by row, column by column, size by size; a level has ceil(side / stride) cells a side."""
    numpy = need("numpy")
    priors = []
    for stride, sizes in zip(STRIDES, MIN_BOXES):
        rows, columns = -(-height // stride), -(-width // stride)
        for row in range(rows):
            for column in range(columns):
                x, y = (column + 0.5) / columns, (row + 0.5) / rows
                priors += [(x, y, size / width, size / height) for size in sizes]
    return numpy.clip(numpy.array(priors), 0, 1).astype(numpy.float32)


class Builder:
    """Adds the layers of the state dict to a graph by name."""

    def __init__(self, tensors):
        self.tensors, self.graph = tensors, Graph(ARCHITECTURE, detector=detector())

    def tensor(self, name):
        if name not in self.tensors:
            raise ConvertError(f"tensor '{name}' is missing; the file is not a complete RFB-320")
        return self.tensors[name]

    def convolution(self, source, name, norm=None, stride=1, dilation=1, activation="none"):
        """A convolution with its batch norm, or with its own bias; padded to keep the size at stride 1."""
        weight = self.tensor(name + ".weight")
        depthwise = weight.ndim == 4 and weight.shape[1] == 1
        ready = from_oihw(weight, depthwise, name + ".weight")
        if norm is None:
            bias = self.tensor(name + ".bias")
        else:
            parts = ("weight", "bias", "running_mean", "running_var")
            norms = [self.tensor(f"{norm}.{part}") for part in parts]
            ready, bias = fold_norm(norm, ready, norms, EPSILON)
        reach = dilation * (weight.shape[2] // 2)
        return self.graph.convolution(
            source, name, ready, bias, stride, dilation, [reach] * 4, activation
        )

    def separable(self, x, i, stride):
        prefix = f"base_net.{i}"
        x = self.convolution(x, f"{prefix}.0", f"{prefix}.1", stride, activation="relu")
        return self.convolution(x, f"{prefix}.3", f"{prefix}.4", activation="relu")

    def rfb_module(self, x):
        def norm_convolution(x, name, dilation=1, activation="none"):
            return self.convolution(x, name + ".conv", name + ".bn", 1, dilation, activation)

        branches = []
        for b, parts in enumerate(BRANCHES):
            y = x
            for part, dilation, activation in parts:
                y = norm_convolution(y, f"base_net.7.branch{b}.{part}", dilation, activation)
            branches.append(y)
        joined = self.graph.add("concat", branches, "base_net.7.concat", axis=3)
        linear = norm_convolution(joined, "base_net.7.ConvLinear")
        shortcut = norm_convolution(x, "base_net.7.shortcut")
        return self.graph.add("add", [linear, shortcut], "base_net.7.add", activation="relu")

    def heads(self, x, level):
        """(scores, boxes) of one level, as [N, P, 2] and [N, P, 4]."""
        outputs = []
        for kind, values in (("classification_headers", 2), ("regression_headers", 4)):
            name, y = f"{kind}.{level}", x
            if level < 3:
                y = self.convolution(y, f"{name}.0", activation="relu")
                name += ".2"
            y = self.convolution(y, name)
            outputs.append(self.graph.add("reshape", [y], f"{y}.rows", shape=[-1, values]))
        return outputs

    def build(self):
        x = self.convolution("input", "base_net.0.0", "base_net.0.1", 2, activation="relu")
        for i, stride in BEFORE_RFB.items():
            x = self.separable(x, i, stride)
        x = self.rfb_module(x)
        levels = [self.heads(x, 0)]
        for i, stride in AFTER_RFB.items():
            x = self.separable(x, i, stride)
            if i in (10, 12):
                levels.append(self.heads(x, len(levels)))
        x = self.convolution(x, "extras.0.0", activation="relu")
        x = self.convolution(x, "extras.0.2.0", stride=2, activation="relu")
        x = self.convolution(x, "extras.0.2.2", activation="relu")
        levels.append(self.heads(x, 3))
        rows = self.graph.add("concat", [scores for scores, _ in levels], "scores.rows", axis=1)
        self.graph.add("concat", [boxes for _, boxes in levels], "boxes", axis=1)
        self.graph.add("softmax", [rows], "scores")
        self.graph.tensors["priors"] = make_priors()
        return self.graph


def from_state_dict(tensors):
    return Builder(tensors).build()
