"""What a file computes, step by step, in whatever format it came.

Readers build Steps with the functions of this module; classifier.py recognises MobileNetV2 in them.
Shapes are those of one picture: (height, width, channels), or (values,). Weights are ours: HWIO,
depthwise HWC, pointwise and dense [in, out].
"""

import math
from dataclasses import dataclass, field

from .errors import ConvertError, need
from .layouts import check_variance

USUAL_SIDE = 224  # of pictures whose size the file leaves open


@dataclass(eq=False)
class Step:
    """`op` is one of: input, conv, depthwise, norm, affine, act, add, pad, mean, flatten, dense, or unknown,
    whose shape is None. `name` is the file's own, for messages."""

    op: str
    inputs: list
    shape: tuple
    name: str = ""
    data: dict = field(default_factory=dict)

    @property
    def before(self):
        return self.inputs[0] if self.inputs else None

    def __getitem__(self, key):
        return self.data[key]


def pictures(height, width, name="input"):
    """The network's input; sizes of None or 0 are open."""
    sizes = [side or height or width or USUAL_SIDE for side in (height, width)]
    return Step("input", [], (*sizes, 3), name, {"open": not (height or width)})


def unknown(x, kind, name):
    """A step that cannot be computed here, of the kind that the file calls it."""
    return x if x.op == "unknown" else Step("unknown", [x], None, name, {"kind": kind})


def known(function):
    """Behind an unknown step nothing more is known."""

    def step(x, *arguments, **options):
        return x if x.op == "unknown" else function(x, *arguments, **options)

    return step


def sides_of_same(side, window, stride):
    """(before, after) of TensorFlow's SAME: the odd pixel goes last."""
    total = max((-(-side // stride) - 1) * stride + window - side, 0)
    return total // 2, total - total // 2


def window_pads(x, window, strides, padding, name):
    """(top, left, bottom, right) for "same", "valid" or those four numbers."""
    if isinstance(padding, str):
        padding = padding.lower()
        if padding not in ("same", "valid"):
            raise ConvertError(f"'{name}': padding '{padding}' is not known")
        if padding == "valid":
            return 0, 0, 0, 0
        rows, columns = (sides_of_same(s, w, t) for s, w, t in zip(x.shape, window, strides))
        return rows[0], columns[0], rows[1], columns[1]
    return tuple(int(p) for p in padding)


def windowed(x, window, strides, pads):
    """(height, width) behind a sliding window."""
    height = (x.shape[0] + pads[0] + pads[2] - window[0]) // strides[0] + 1
    width = (x.shape[1] + pads[1] + pads[3] - window[1]) // strides[1] + 1
    return height, width


@known
def conv(x, weight, bias=None, strides=(1, 1), padding="valid", name="", dilations=(1, 1)):
    """weight HWIO, or HWC of a depthwise convolution."""
    depthwise = weight.ndim == 3
    outputs = weight.shape[-1]
    if len(x.shape) != 3 or x.shape[2] != weight.shape[-1 if depthwise else -2]:
        raise ConvertError(f"'{name}': its weight {list(weight.shape)} does not fit its input {list(x.shape)}")
    if tuple(dilations) != (1, 1) or strides[0] != strides[1]:
        return unknown(x, "a dilated or oblong convolution", name)
    pads = window_pads(x, weight.shape[:2], strides, padding, name)
    height, width = windowed(x, weight.shape[:2], strides, pads)
    if min(height, width) < 1:
        raise ConvertError(f"'{name}': its input of {x.shape[0]}x{x.shape[1]} is too small")
    same = isinstance(padding, str) and padding.lower() == "same"
    data = {"weight": weight, "bias": bias, "stride": int(strides[0]), "pads": pads, "same": same}
    return Step("depthwise" if depthwise else "conv", [x], (height, width, outputs), name, data)


@known
def norm(x, gamma, beta, mean, variance, epsilon, name=""):
    """Batch norm with the statistics of training; gamma or beta may be None."""
    numpy = need("numpy")
    channels = x.shape[-1]
    gamma = numpy.ones(channels, numpy.float32) if gamma is None else gamma
    beta = numpy.zeros(channels, numpy.float32) if beta is None else beta
    parts = (gamma, beta, mean, variance)
    if any(numpy.shape(part) != (channels,) for part in parts):
        raise ConvertError(f"'{name}': its parts do not fit its {channels} channels")
    check_variance(variance, f"'{name}'")
    return Step("norm", [x], x.shape, name, {"parts": parts, "epsilon": float(epsilon)})


@known
def affine(x, scale, offset, name=""):
    """x * scale + offset, each a number or one number a channel, or None where the file holds something else."""
    numpy = need("numpy")
    if scale is None or offset is None:
        return unknown(x, "arithmetic with something else than numbers", name)
    try:
        values = [numpy.asarray(v, numpy.float64).reshape(-1) for v in (scale, offset)]
        scale, offset = (numpy.broadcast_to(v, x.shape[-1:]) for v in values)
    except ValueError:
        return unknown(x, "arithmetic on single values", name)
    return Step("affine", [x], x.shape, name, {"scale": scale, "offset": offset})


@known
def act(x, kind, name=""):
    if x.op == "act" and {x["kind"], kind} <= {"relu", "relu6"}:  # of two, the narrower one
        if kind == "relu" or x["kind"] == kind:
            return x
        x = x.before
    return x if kind in ("linear", "none") else Step("act", [x], x.shape, name, {"kind": kind})


def add(x, y, name=""):
    for one in (x, y):
        if one.op == "unknown":
            return one
    if x.shape != y.shape:
        return unknown(x, "a sum of different shapes", name)
    return Step("add", [x, y], x.shape, name)


@known
def pad(x, pads, name=""):
    pads = tuple(int(p) for p in pads)
    height, width = x.shape[0] + pads[0] + pads[2], x.shape[1] + pads[1] + pads[3]
    return Step("pad", [x], (height, width, x.shape[2]), name, {"pads": pads})


@known
def average(x, window=None, strides=None, padding="valid", name=""):
    """The mean over the map; by windows, where these cover it at once."""
    if len(x.shape) != 3:
        return unknown(x, "a pool of no map", name)
    if window is not None:
        strides = strides or window
        pads = window_pads(x, window, strides, padding, name)
        if any(pads) or windowed(x, window, strides, pads) != (1, 1) or tuple(window) != x.shape[:2]:
            kind = f"an average over {window[0]}x{window[1]} of a map of {x.shape[0]}x{x.shape[1]}"
            return unknown(x, kind, name)
    return Step("mean", [x], (1, 1, x.shape[2]), name)


@known
def flatten(x, name=""):
    if len(x.shape) == 1:
        return x
    if x.shape[:2] != (1, 1):
        return unknown(x, f"Flatten of a map of {x.shape[0]}x{x.shape[1]}, where an average is expected", name)
    return Step("flatten", [x], x.shape[2:], name)


@known
def reshape(x, shape, name=""):
    """To (values,) or (1, 1, values), where no value moves; one side of the shape may be -1."""
    shape, values = [int(n) for n in shape], x.shape[-1]
    if shape.count(-1) == 1:
        shape[shape.index(-1)] = math.prod(x.shape) // max(1, -math.prod(shape))
    if x.shape[:-1] not in ((), (1, 1)) or shape not in ([values], [1, 1, values]):
        kind = f"a reshape of {' x '.join(map(str, x.shape))} values to {' x '.join(map(str, shape))}"
        return unknown(x, kind, name)
    return x if len(shape) == len(x.shape) else Step("flatten", [x], tuple(shape), name)


@known
def dense(x, weight, bias=None, name=""):
    numpy = need("numpy")
    if x.shape[:-1] not in ((), (1, 1)):
        return flatten(x, name)
    if weight.ndim != 2 or weight.shape[0] != x.shape[-1]:
        raise ConvertError(f"'{name}': its weight {list(weight.shape)} does not fit its {x.shape[-1]} inputs")
    bias = numpy.zeros(weight.shape[1], numpy.float32) if bias is None else bias
    if numpy.shape(bias) != (weight.shape[1],):
        raise ConvertError(f"'{name}': its bias {list(numpy.shape(bias))} does not fit {weight.shape[1]} outputs")
    return Step("dense", [x], (*x.shape[:-1], weight.shape[1]), name, {"weight": weight, "bias": bias})


def clipped(x, low, high, name=""):
    """An activation from its limits: None is no limit."""
    kinds = {(None, None): "linear", (0, None): "relu", (0, 6): "relu6"}
    limits = tuple(None if v is None or abs(v) > 1e30 else float(v) for v in (low, high))
    return act(x, kinds.get(limits, f"clip to {low}..{high}"), name)
