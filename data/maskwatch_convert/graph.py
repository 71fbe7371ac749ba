"""Networks that are no MobileNetV2: a list of layers that the engine runs as it stands.

data/README.md gives the form. Every batch norm is folded here; weights are HWIO, HWC or [in, out].
"""

import json
from dataclasses import dataclass, field

from .errors import ConvertError, need
from .layouts import check_variance


@dataclass
class Graph:
    """Layers in the order in which they can run, and their tensors. The input is called "input"."""

    architecture: str
    layers: list = field(default_factory=list)
    tensors: dict = field(default_factory=dict)
    detector: dict = field(default_factory=dict)

    def add(self, op, inputs, output, **rest):
        self.layers.append({"op": op, "inputs": inputs, "output": output, **rest})
        return output

    def convolution(self, source, name, weight, bias, stride=1, dilation=1, pad=(0, 0, 0, 0),
                    activation="none"):  # fmt: skip
        """A convolution named after its weight; which kind follows from the weight's axes."""
        op = {4: "conv2d", 3: "depthwise", 2: "pointwise"}[weight.ndim]
        window = {}
        if op == "pointwise":
            if stride != 1 or any(pad):
                raise ConvertError(f"'{name}': a 1x1 convolution with stride or padding is not known")
        else:
            window = {"stride": stride, "dilation": dilation, "pad": [int(p) for p in pad]}
        self.tensors[name + ".weight"], self.tensors[name + ".bias"] = weight, bias
        names = {"weight": name + ".weight", "bias": name + ".bias"}
        return self.add(op, [source], name, **names, **window, activation=activation)

    def tensors_and_metadata(self, source_name):
        width, height = self.detector["input_size"]
        return self.tensors, {
            "architecture": self.architecture,
            "input_size": f"{width}x{height}",
            "batch_norm": "folded",
            "source": source_name,
            "graph": json.dumps(self.layers, separators=(",", ":")),
            "detector": json.dumps(self.detector, separators=(",", ":")),
        }


def fold_norm(name, weight, norm, epsilon, bias=None):
    """(weight, bias) of a convolution with its batch norm (gamma, beta, mean, variance) folded in."""
    numpy = need("numpy")
    gamma, beta, mean, variance = (numpy.asarray(part, numpy.float64) for part in norm)
    check_variance(variance, f"'{name}'")
    scale = gamma / numpy.sqrt(variance + epsilon)
    start = 0 if bias is None else bias
    folded = (weight * scale).astype(numpy.float32)
    return folded, ((start - mean) * scale + beta).astype(numpy.float32)


def same_padding(height, width, window, stride):
    """(top, left, bottom, right) of TensorFlow's SAME: the odd pixel goes last."""
    def total(side):
        return max((-(-side // stride) - 1) * stride + window - side, 0)

    rows, columns = total(height), total(width)
    return rows // 2, columns // 2, rows - rows // 2, columns - columns // 2
