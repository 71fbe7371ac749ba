"""The head of a classifier: its steps as one dense layer, or as two with a ReLU between."""

from .classifier import elementwise, named
from .errors import ConvertError, need

KNOWN = (
    "the engine has an average over the map, one dense layer or two with a ReLU between, and softmax or one sigmoid "
    "unit at the end; --no-classifier leaves the head out"
)


def refused(step, why="is not known in a head"):
    return ConvertError(f"{named(step)} {why}; {KNOWN}")


def is_dense(step):
    """Whether it is a convolution of one value a channel, with a window of one."""
    return step.op == "conv" and {step.before.shape[:2], step["weight"].shape[:2], step.shape[:2]} == {(1, 1)}


class Head:
    """Linear maps are joined as they come: (weight [in, out], bias), or (scale, offset) of single values."""

    def __init__(self):
        self.maps, self.relus, self.end, self.averaged = [], 0, None, False

    def follow(self, step):
        if step.op in ("affine", "norm"):
            self.join(*elementwise(step))
        elif step.op == "mean":
            self.averaged = True
        elif step.op == "flatten":
            pass
        elif step.op == "dense" or is_dense(step):
            self.dense(step)
        elif step.op == "act":
            self.activation(step)
        else:
            raise refused(step)

    def dense(self, step):
        numpy = need("numpy")
        weight = numpy.asarray(step["weight"], numpy.float64)
        weight = weight.reshape(-1, weight.shape[-1])
        bias = step["bias"]
        if self.end is not None or not self.averaged:
            raise refused(step, "stands behind the last activation" if self.averaged else "takes a whole map")
        self.join(weight, numpy.zeros(weight.shape[1]) if bias is None else numpy.asarray(bias, numpy.float64))

    def join(self, weight, bias):
        """One more linear map: behind the one before, without anything between, they are one."""
        if self.end is not None:
            raise ConvertError(f"its head goes on behind the last activation; {KNOWN}")
        if len(self.maps) == self.relus:
            self.maps.append((weight, bias))
            return
        first, offset = self.maps[-1]
        if weight.ndim == 1:
            self.maps[-1] = (first * weight, offset * weight + bias)
        elif first.ndim == 1:
            self.maps[-1] = (first[:, None] * weight, offset @ weight + bias)
        else:
            self.maps[-1] = (first @ weight, offset @ weight + bias)

    def activation(self, step):
        kind = step["kind"]
        if self.end is not None:
            raise refused(step, "follows another last activation")
        if kind == "relu" and not self.maps:
            return  # features are not negative
        if kind == "relu" and len(self.maps) > self.relus:
            self.relus += 1
        elif kind in ("softmax", "sigmoid"):
            self.end = step
        elif kind != "relu":
            raise refused(step)

    def layers(self):
        """[(weight, bias)] in float32, one or two; [] where there are only features."""
        maps = self.maps
        if not maps and self.end is None:
            return []
        if not maps:
            raise refused(self.end, "stands behind no dense layer")
        if len(maps) > 2 or self.relus != len(maps) - 1 or any(weight.ndim == 1 for weight, _ in maps):
            raise ConvertError(f"its head has {len(maps)} dense layers and {self.relus} ReLUs; {KNOWN}")
        weight, bias = maps[-1]
        kind = None if self.end is None else self.end["kind"]
        if len(bias) == 1 and kind != "softmax":
            maps[-1] = two_classes(weight, bias)
        elif kind == "sigmoid":
            raise refused(self.end, f"of {len(bias)} units, each a probability of its own, is not one of classes")
        elif len(bias) == 1:
            raise refused(self.end, "of one unit is always 1")
        return [(w.astype("f4"), b.astype("f4")) for w, b in maps]


def two_classes(weight, bias):
    """sigmoid(z) is the second of softmax(0, z)."""
    numpy = need("numpy")
    return numpy.concatenate([0 * weight, weight], 1), numpy.concatenate([0 * bias, bias])


def without_activation(source, weight, bias, what):
    """The classifier of a Source whose file, which `what` names, holds weights and no activations."""
    source.classifier = two_classes(weight, bias) if len(bias) == 1 else (weight, bias)
    source.assumed.append(f"{what}, and no activations; its outputs are taken for logits")


def settle(source):
    """Reads the steps of a Source's head into its classifier or mask head."""
    head = Head()
    for step in source.head or []:
        head.follow(step)
    layers = head.layers()
    if len(layers) == 1:
        source.classifier = layers[0]
    elif layers:
        source.mask_head = tuple(layers)
    if layers and head.end is None:
        source.assumed.append("has no activation behind its last layer, whose outputs are taken for logits")
