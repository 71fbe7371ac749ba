"""Recognises MobileNetV2 with its head in the steps of a file: every step between the picture and the
answer must be one that the engine computes, or the file is refused and the step named."""

from .errors import ConvertError, need
from .layouts import check_variance, squeezed
from .mobilenet_v2 import BLOCKS, ConvNorm, Source, STAGES
from .steps import sides_of_same

STRIDES = [
    1 if repeat else {24: 2, 32: 2, 64: 2, 160: 2}.get(channels, 1)
    for _, channels, repeats in STAGES
    for repeat in range(repeats)
]

MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# x * scale + offset of pixels 0..255, for each way in which the engine prepares them.
PREPROCESSING = {
    "tf": ([1 / 127.5] * 3, [-1.0] * 3),
    "unit": ([1 / 255] * 3, [0.0] * 3),
    "imagenet": ([1 / (255 * d) for d in DEVIATIONS], [-m / d for m, d in zip(MEANS, DEVIATIONS)]),
}
EXACT = 0.01  # pixel values by which the zero of an input may be off

WHOLE = "the engine knows MobileNetV2 as published, with a head of its own"


def named(step):
    """'fc1' (Dense), for people."""
    kinds = {"act": lambda: step["kind"], "unknown": lambda: step["kind"]}
    kind = kinds.get(step.op, lambda: step.op)()
    return f"'{step.name}' ({kind})" if step.name and step.name != kind else f"'{kind}'"


def misfit(step, due):
    if step.op == "unknown":
        return ConvertError(f"{named(step)} is not known; {WHOLE}")
    return ConvertError(f"{named(step)} stands where MobileNetV2 has {due}; {WHOLE}")


def paddings(sides, stride):
    """What each of the engine's ways to pad comes to for a window of 3x3: {name: (top, left, bottom, right)}."""
    rows, columns = (sides_of_same(side, 3, stride) for side in sides)
    return {"tf": (rows[0], columns[0], rows[1], columns[1]), "symmetric": (1, 1, 1, 1)}


def comes_from(step, source):
    """Whether the step follows from the source without another sum between."""
    while step is not None and step.op != "add":
        step = step.before
        if step is source:
            return True
    return False


class Backward:
    """Walks from the end of the network to its beginning."""

    def __init__(self, end):
        self.at, self.layers, self.epsilon = end, [], None
        self.styles = {"tf", "symmetric"}  # paddings that every stride of 2 agrees with
        self.strided = []  # (name, padding, or None where TensorFlow's rule gives it) of each stride of 2, last to first

    def take(self, op, due):
        step = self.at
        if step.op != op:
            raise misfit(step, due)
        self.at = step.before
        return step

    def layer(self, op, due, stride, active):
        """One convolution with what follows it; collected last to first."""
        if active and self.take("act", "ReLU6")["kind"] != "relu6":
            raise ConvertError(f"the activation behind {due} is not the ReLU6 of MobileNetV2; {WHOLE}")
        norms = []
        while self.at.op in ("norm", "affine"):
            norms.insert(0, self.take(self.at.op, due))
        step = self.take(op, due)
        pads, by_rule = step["pads"], step["same"]
        if self.at.op == "pad":
            pads, by_rule = tuple(a + b for a, b in zip(pads, self.take("pad", due)["pads"])), False
        self.check_window(step, pads, stride)
        if stride == 2:
            self.strided.append((step.name, None if by_rule else pads))
        self.layers.append(self.with_norms(step, norms))

    def check_window(self, step, pads, stride):
        window = step["weight"].shape[:2]
        if step["stride"] != stride or tuple(window) not in ((1, 1), (3, 3)):
            raise ConvertError(f"{named(step)} has a window of {window[0]}x{window[1]} and stride {step['stride']} "
                               f"where MobileNetV2 has stride {stride}; {WHOLE}")  # fmt: skip
        if window[0] == 1:
            fits = pads == (0, 0, 0, 0)
        else:
            self.styles &= {style for style, due in paddings(self.at.shape[:2], stride).items() if pads == due}
            fits = bool(self.styles)
        if not fits:
            raise ConvertError(f"{named(step)} pads {list(pads)}, which is neither TensorFlow's nor PyTorch's way; "
                               f"{WHOLE}")  # fmt: skip

    def with_norms(self, step, norms):
        layer = ConvNorm(squeezed(step["weight"]) if step.op == "conv" else step["weight"], origin=step.name)
        if step["bias"] is not None:
            layer.bias = step["bias"]
        if not norms:
            return layer
        if norms[0].op == "norm":
            gamma, beta, mean, variance = norms[0]["parts"]
            epsilon, norms = norms[0]["epsilon"], norms[1:]
            if self.epsilon is None:
                self.epsilon = epsilon
            variance = variance if epsilon == self.epsilon else variance + (epsilon - self.epsilon)
            check_variance(variance, named(step))
            mean, layer.bias = (mean if layer.bias is None else mean - layer.bias), None
            layer.norm = (gamma, beta, mean, variance)
        for one in norms:
            scale, offset = elementwise(one)
            if layer.norm is not None:
                gamma, beta, mean, variance = layer.norm
                layer.norm = (gamma * scale, beta * scale + offset, mean, variance)
            else:
                layer.weight = layer.weight * scale
                layer.bias = (0 if layer.bias is None else layer.bias) * scale + offset
        return layer

    def path(self, i):
        self.layer("conv", f"the last convolution of block {i}", 1, False)
        self.layer("depthwise", f"the depthwise convolution of block {i}", STRIDES[i], True)
        if i > 0:
            self.layer("conv", f"the first convolution of block {i}", 1, True)

    def block(self, i):
        begin = self.at
        if begin.op == "add":
            self.with_shortcut(i)
        else:
            self.path(i)
        adds = STRIDES[i] == 1 and self.at.shape == begin.shape
        if adds != (begin.op == "add"):
            raise ConvertError(f"block {i}, which ends with {named(begin)}, {'lacks' if adds else 'has'} "
                               f"a shortcut that MobileNetV2 {'has' if adds else 'lacks'}")  # fmt: skip

    def with_shortcut(self, i):
        """One of the two that are added comes through the block, the other is the block's input."""
        total = self.at
        for main, shortcut in (total.inputs, total.inputs[::-1]):
            if comes_from(main, shortcut):
                self.at = main
                self.path(i)
                if self.at is shortcut:
                    return
        raise ConvertError(f"{named(total)} adds something else than the input of its block; {WHOLE}")

    def network(self):
        """[ConvNorm] in the order of the network; self.at is then what the stem takes."""
        self.layer("conv", "the last convolution", 1, True)
        for i in reversed(range(BLOCKS)):
            self.block(i)
        self.layer("conv", "the first convolution", 2, True)
        return self.layers[::-1]


def elementwise(step):
    """(scale, offset) of an affine step or a batch norm, in float64."""
    numpy = need("numpy")
    if step.op == "affine":
        return step["scale"], step["offset"]
    gamma, beta, mean, variance = (numpy.asarray(part, numpy.float64) for part in step["parts"])
    scale = gamma / numpy.sqrt(variance + step["epsilon"])
    return scale, beta - mean * scale


def split(end):
    """(last step of the network proper, [steps of the head, first to last])."""
    head, step = [], end
    while step is not None and not (step.op == "act" and step["kind"] == "relu6" and len(step.shape) == 3):
        head.insert(0, step)
        step = step.before
    if step is None:
        unknowns = [s for s in head if s.op == "unknown"]
        raise misfit(unknowns[0] if unknowns else end, "the last ReLU6")
    return step, head


def input_scaling(step):
    """(scale [3], offset [3]) of what the file itself does to pixels first, or None where it does nothing."""
    numpy = need("numpy")
    chain = []
    while step.op in ("affine", "norm"):
        chain.insert(0, step)
        step = step.before
    if step.op != "input":
        raise misfit(step, "the picture")
    if not chain:
        return None
    scale, offset = numpy.ones(3), numpy.zeros(3)
    for one in chain:
        s, o = elementwise(one)
        scale, offset = scale * s, offset * s + o
    return scale, offset


def behind(outside, scaling):
    """(scale [3], offset [3]) of pixels that are prepared outside, and then scaled by the file, if it does that."""
    numpy = need("numpy")
    scale, offset = (numpy.asarray(v) for v in {"pixels": ([1.0] * 3, [0.0] * 3), **PREPROCESSING}[outside])
    return (scale, offset) if scaling is None else (scale * scaling[0], offset * scaling[0] + scaling[1])


def settle_padding(source):
    """Chooses the padding which the file's own comes to at the size that is finally used."""
    side, styles = source.input_size, {"tf", "symmetric"}
    for name, pads in source.strided:
        due = paddings((side, side), 2)
        styles &= {style for style in due if due[style] == (due["tf"] if pads is None else pads)}
        if not styles:
            raise ConvertError(f"'{name}' pads {list(pads)} whatever the size, which on pictures of {source.input_size} "
                               "pixels a side is neither TensorFlow's nor PyTorch's way; --padding overrules it")  # fmt: skip
        side = -(-side // 2)
    if source.padding not in styles:
        (source.padding,) = styles


def known_preprocessing(scaling, outside):
    """(name, factor [3]): the engine's input times the factor is the file's."""
    numpy = need("numpy")
    scale, offset = scaling
    if (scale == 0).any():
        raise ConvertError("multiplies its input by 0")
    for name, (s, o) in PREPROCESSING.items():
        zero, due = -offset / scale, -numpy.asarray(o) / s
        if (abs(zero - due) <= EXACT).all():
            factor = scale / s
            return name, numpy.ones(3) if (abs(factor - 1) < 1e-6).all() else factor
    before = "" if outside == "pixels" else f", which come prepared as {outside},"
    raise ConvertError(f"scales pixels{before} to x * {numbers(scale)} + {numbers(offset)}; the engine has x/127.5 - 1, "
                       "x/255 and ImageNet's mean and deviation")  # fmt: skip


def takes_pixels(stem):
    """Whether the first convolution expects pixels of 0..255: exporters fold a scaling into its weights, and of
    values from -1 to 1 such weights would make nothing. What it can make of the largest of these tells."""
    numpy = need("numpy")
    reach = abs(numpy.asarray(stem.weight)).sum((0, 1, 2))
    if stem.norm is not None:
        reach = reach * abs(stem.norm[0]) / numpy.sqrt(stem.norm[3] + 1e-3)
    return float(reach.max()) < 0.25


def numbers(values):
    different = sorted({f"{v:.6g}" for v in values})
    return different[0] if len(different) == 1 else "[" + ", ".join(f"{v:.6g}" for v in values) + "]"


def recognise(end, picture, outside=None):
    """The Source of the network that ends with the step `end`. `picture` is its input; `outside`, a name of
    PREPROCESSING or "pixels", what comes in there, where the file tells. Where nothing tells, it is what networks of
    such a padding are used to."""
    last, head = split(end)
    walk = Backward(last)
    try:
        layers = walk.network()
    except ConvertError as fault:
        lost = [step for step in head if step.op == "unknown"]  # within the network, nothing is known behind it
        raise misfit(lost[0], "") if lost else fault
    padding = "tf" if "tf" in walk.styles else "symmetric"
    epsilon = walk.epsilon or (1e-3 if padding == "tf" else 1e-5)
    source = Source(layers, padding, epsilon, "tf" if padding == "tf" else "imagenet")
    source.input_size = None if picture["open"] else picture.shape[0]
    source.strided = walk.strided[::-1]
    if picture.shape[0] != picture.shape[1]:
        raise ConvertError(f"takes pictures of {picture.shape[1]}x{picture.shape[0]}, the engine only square ones")
    source.head = head
    scaling = input_scaling(walk.at)
    if outside is None and (scaling is not None or takes_pixels(layers[0])):
        outside = "pixels"
    if outside is not None:
        source.scales_itself = True
        source.preprocessing, factor = known_preprocessing(behind(outside, scaling), outside)
        layers[0].weight = (layers[0].weight * factor[:, None]).astype("f4")
    return source
