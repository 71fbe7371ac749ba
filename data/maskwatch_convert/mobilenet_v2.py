"""MobileNetV2 (Sandler et al. 2018) as Maskwatch stores it, and the check of what a reader found.

A reader hands over a Source: one ConvNorm a convolution, in the order of the network (stem; expand,
depthwise and project of each block; last), weights already NHWC: stem HWIO, depthwise HWC,
pointwise [in, out]. `checked` checks every shape against the architecture, infers the
width and names the tensors.
"""

import json
from dataclasses import dataclass, field

from .errors import ConvertError, need
from .layouts import check_variance

# Expansion, output channels at width 1, repeats. Table 2 of the paper.
STAGES = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
PUBLISHED_WIDTHS = [1.0, 0.35, 0.5, 0.75, 1.3, 1.4]
BLOCKS = sum(repeats for _, _, repeats in STAGES)


@dataclass
class ConvNorm:
    """A convolution with either its batch norm (gamma, beta, mean, variance) or a folded bias."""

    weight: object
    norm: tuple = None
    bias: object = None
    origin: str = ""


@dataclass
class Source:
    """What a reader found in a file, before it is checked."""

    layers: list
    padding: str
    bn_epsilon: float
    preprocessing: str
    input_size: int = None  # None: the file does not say
    classifier: tuple = None  # (weight [features, classes], bias [classes])
    mask_head: tuple = None  # ((weight, bias) of the hidden layer, (weight, bias) of the output)
    labels: list = None
    meanings: dict = None  # of labels that do not say it: name -> "mask", "no_mask", ...
    strided: list = field(default_factory=list)  # (layer, padding) of each stride of 2, where the file has its own
    head: list = None  # steps behind the last ReLU6, which head.settle makes one of the two above
    scales_itself: bool = False  # the file says what is done to pixels
    assumed: list = field(default_factory=list)  # what the file does not say, for people
    notes: dict = field(default_factory=dict)
    half: bool = False  # the tensors were float16 and are written as such

    def classes(self):
        """How many; None without a classifier."""
        last = self.classifier or (self.mask_head and self.mask_head[-1])
        return len(last[1]) if last else None

    def tensors_and_metadata(self, source_name):
        return checked(self, source_name)


def make_divisible(channels, divisor=8):
    """Rounds to a multiple of the divisor, never more than a tenth below; as Keras and torchvision."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def layer_names():
    """(name of the convolution, name of its batch norm) for each layer, in the order of the network."""
    names = [("stem.conv", "stem.bn")]
    for i in range(BLOCKS):
        for part in ["expand", "depthwise", "project"][1 if i == 0 else 0 :]:
            names.append((f"blocks.{i}.{part}", f"blocks.{i}.{part}_bn"))
    return names + [("last.conv", "last.bn")]


def layer_shapes(width):
    """Shape of each convolution's weight at that width, in the order of layer_names()."""
    channels = make_divisible(32 * width)
    shapes = [(3, 3, 3, channels)]
    for expansion, outputs, repeats in STAGES:
        for _ in range(repeats):
            expanded = channels * expansion
            if expansion != 1:
                shapes.append((channels, expanded))
            shapes.append((3, 3, expanded))
            channels = make_divisible(outputs * width)
            shapes.append((expanded, channels))
    return shapes + [(channels, make_divisible(1280 * max(1.0, width)))]


def infer_width(layers):
    """The width multiplier whose channels are those of the layers; a ConvertError names the first misfit."""
    found = [tuple(layer.weight.shape) for layer in layers]
    rounder_first = [step / 20 for step in range(2, 61)] + [step / 100 for step in range(10, 301)]
    candidates = PUBLISHED_WIDTHS + rounder_first
    matches = {w: sum(a == b for a, b in zip(found, layer_shapes(w))) for w in candidates}
    width = max(candidates, key=lambda w: matches[w])
    for (name, _), layer, expected in zip(layer_names(), layers, layer_shapes(width)):
        if tuple(layer.weight.shape) != expected:
            raise ConvertError(
                f"{name}.weight (from '{layer.origin}') has shape {list(layer.weight.shape)} where "
                f"MobileNetV2 of width {width} has {list(expected)}"
            )
    return width


def checked(source, source_name):
    """Named float32 tensors and the metadata of a checked Source."""
    numpy = need("numpy")
    if len(source.layers) != len(layer_names()):
        raise ConvertError(
            f"holds {len(source.layers)} convolutions where MobileNetV2 has {len(layer_names())}"
        )
    width = infer_width(source.layers)
    folded = all(layer.norm is None for layer in source.layers)
    tensors = {}
    for (conv, bn), layer in zip(layer_names(), source.layers):
        channels = layer.weight.shape[-1]
        norm = layer.norm
        if norm is None:
            one = numpy.ones(channels, numpy.float32)
            bias = numpy.zeros(channels, numpy.float32) if layer.bias is None else layer.bias
            norm = (one, bias, 0 * one, (1 - source.bn_epsilon) * one)
        tensors[f"{conv}.weight"] = layer.weight
        for part, value in zip(["gamma", "beta", "mean", "variance"], norm):
            check_shape(value, (channels,), f"{bn}.{part}", layer.origin)
            tensors[f"{bn}.{part}"] = value
        check_variance(norm[3], f"{bn} (from '{layer.origin}')")
    metadata = {
        "architecture": "mobilenet_v2",
        "width": str(width),
        "input_size": str(source.input_size),
        "padding": source.padding,
        "bn_epsilon": str(source.bn_epsilon),
        "preprocessing": source.preprocessing,
        "batch_norm": "folded" if folded else "unfolded",
        "source": source_name,
        "head": "none",
        **source.notes,
    }
    add_head(source, tensors, metadata)
    return tensors, metadata


def add_head(source, tensors, metadata):
    """Adds the ImageNet classifier or the mask head, and the labels ("class 0", ... where unknown)."""
    if source.classifier is not None:
        head, parts = "classifier", {"classifier": source.classifier}
    elif source.mask_head is not None:
        hidden, output = source.mask_head
        head, parts = "mask", {"head.hidden": hidden, "head.output": output}
    else:
        return
    values = source.layers[-1].weight.shape[-1]
    for name, (weight, bias) in parts.items():
        check_shape(weight, (values, weight.shape[-1]), f"{name}.weight", name)
        values = weight.shape[-1]
        check_shape(bias, (values,), f"{name}.bias", name)
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = weight, bias
    labels = source.labels or [f"class {i}" for i in range(values)]
    if len(labels) != values:
        raise ConvertError(f"{len(labels)} labels for {values} classes")
    metadata.update(head=head, labels=json.dumps(labels))
    if source.meanings:
        unknown = sorted(set(source.meanings) - set(labels))
        if unknown:
            raise ConvertError(f"'{unknown[0]}' is not a class of the model: {', '.join(labels)}", "--classes")
        metadata["meanings"] = json.dumps([source.meanings.get(label, "") for label in labels])


def check_shape(tensor, expected, name, origin):
    if tuple(tensor.shape) != tuple(expected):
        raise ConvertError(
            f"{name} (from '{origin}') has shape {list(tensor.shape)}, expected {list(expected)}"
        )
