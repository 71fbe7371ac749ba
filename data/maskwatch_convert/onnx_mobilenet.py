"""Our classifiers (nn/classifier.h) and the backbone of our detectors (nn/mobilenet_v2.h) as ONNX nodes."""

from .classifier import STRIDES
from .errors import ConvertError
from .mobilenet_v2 import make_divisible, STAGES

ARCHITECTURE = "mobilenet_v2"


def blocks(width):
    """(input channels, expanded channels, output channels, stride) of each block."""
    channels, found = make_divisible(32 * width), []
    for expansion, outputs, repeats in STAGES:
        for _ in range(repeats):
            out = make_divisible(outputs * width)
            found.append((channels, channels * expansion, out, STRIDES[len(found)]))
            channels = out
    return found


def stem(builder, x, width, prefix=""):
    names = (f"{prefix}stem.conv", f"{prefix}stem.bn")
    return builder.layer(x, *names, "full", 3, make_divisible(32 * width), stride=2)


def block(builder, x, i, width, prefix=""):
    """(output, what its depthwise layer reads) of block i."""
    inputs, expanded, outputs, stride = blocks(width)[i]
    name, y = f"{prefix}blocks.{i}", x
    if expanded != inputs:
        y = builder.layer(y, f"{name}.expand", f"{name}.expand_bn", "pointwise", inputs, expanded)
    middle = y
    y = builder.layer(y, f"{name}.depthwise", f"{name}.depthwise_bn", "depthwise", expanded, expanded, stride)
    y = builder.layer(y, f"{name}.project", f"{name}.project_bn", "pointwise", expanded, outputs, active=False)
    if stride == 1 and inputs == outputs:
        y = builder.add(x, y, f"{name}.add")
    return y, middle


def width_of(model):
    return model.number("width", 0, 8)


def features(builder, width, side):
    """The network and the average behind it: (value [N, channels], channels)."""
    x = stem(builder, builder.picture((side, side)), width)
    for i in range(len(STRIDES)):
        x, _ = block(builder, x, i, width)
    inputs, channels = blocks(width)[-1][2], make_divisible(1280 * max(1.0, width))
    x = builder.layer(x, "last.conv", "last.bn", "pointwise", inputs, channels)
    x = builder.node("GlobalAveragePool", [x], "pool")
    return builder.node("Flatten", [x], "features", axis=1), channels


def classes_of(model, last):
    """How many classes the last layer tells apart, which must be as many as there are labels."""
    weight = model.tensors.get(f"{last}.weight")
    if weight is None or weight.ndim != 2:
        raise ConvertError(f"tensor '{last}.weight' is missing or not a matrix")
    classes = weight.shape[1]
    if "labels" in model.metadata and len(model.labels()) != classes:
        raise ConvertError(f"{len(model.labels())} labels for {classes} classes")
    return classes


def build(builder):
    """A classifier: probabilities [N, classes], or logits, or features where it has no head."""
    model = builder.model
    kind = model.choice("head", ("none", "classifier", "mask"))
    if builder.options.size:
        raise ConvertError(f"takes pictures of {model.text('input_size')} pixels a side, so --size does not apply")
    if builder.options.raw and kind == "none":
        raise ConvertError("has no head and gives features, so --raw does not apply")
    x, channels = features(builder, width_of(model), model.whole_number("input_size", 32, 1024))
    if kind == "none":
        builder.output(x, [channels])
        return
    last = "classifier" if kind == "classifier" else "head.output"
    classes = classes_of(model, last)
    if kind == "mask":
        hidden = model.tensors.get("head.hidden.bias")
        if hidden is None or hidden.ndim != 1:
            raise ConvertError("tensor 'head.hidden.bias' is missing or not a vector")
        x = builder.dense(x, "head.hidden", channels, len(hidden))
        x, channels = builder.node("Relu", [x], "head.hidden.relu"), len(hidden)
    x = builder.dense(x, last, channels, classes)
    if builder.options.raw:
        x = builder.node("Identity", [x], "logits")
    else:
        x = builder.node("Softmax", [x], "probabilities", axis=1)
    builder.output(x, [classes])
