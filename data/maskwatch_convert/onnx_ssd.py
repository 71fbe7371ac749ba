"""Our face detector (nn/ssd.h) as ONNX nodes: backbone, pyramid, heads, and the way from their numbers to boxes
(nn/anchors.h). Of pictures of any size, anchors are computed in the graph; of one size, they are constants."""

import json

from .classifier import STRIDES as BLOCK_STRIDES
from .errors import ConvertError, need
from .onnx_mobilenet import block, blocks, stem, width_of

ARCHITECTURE = "ssd_mobilenet_v2"
STRIDES = [8, 16, 32, 64]
C3_BLOCK, C4_BLOCK = 6, 13  # whose expansions the pyramid stands on
# Sides are padded to multiples of this, as vision/faces/trained_ssd.cc does it: at an odd side of a level TensorFlow's
# padding begins one pixel earlier, which moves all boxes.
GRAIN = 32
MOST_SIZES = 32  # of anchors in a cell
BOX = 5  # numbers of an anchor before those of its classes: four of the box, the logit of a face
CENTRE_VARIANCE, SIZE_VARIANCE, MOST_GROWTH = 0.1, 0.2, 4


def positive(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e6


def anchors_of(model):
    """(aspect, [sizes of each level])."""
    try:
        read = json.loads(model.text("anchors"))
        aspect, levels = read["aspect"], read["levels"]
        strides, sizes = [level["stride"] for level in levels], [list(level["sizes"]) for level in levels]
    except (ValueError, KeyError, TypeError) as error:
        raise ConvertError("metadata anchors is not an object with aspect and levels") from error
    if strides != STRIDES:
        raise ConvertError(f"metadata anchors: the strides are not {STRIDES}")
    fits = all(0 < len(level) <= MOST_SIZES and all(map(positive, level)) for level in sizes)
    if not fits or not positive(aspect):
        raise ConvertError("metadata anchors: sizes or aspect are out of range")
    return aspect, sizes


class Detector:
    def __init__(self, builder):
        self.builder, model = builder, builder.model
        self.width, self.channels = width_of(model), model.whole_number("channels", 1, 1024)
        self.classes = len(model.labels())
        aspect, self.sizes = anchors_of(model)
        numpy = need("numpy")
        stretch = numpy.float32(numpy.sqrt(aspect))
        # Of each level [sizes, 2]: width and height of its anchors.
        sides = [numpy.asarray(sizes, "f4") for sizes in self.sizes]
        self.shapes = [numpy.stack([side / stretch, side * stretch], 1) for side in sides]

    # The network

    def separable(self, x, name, stride=1):
        layer, channels = self.builder.layer, self.channels
        x = layer(x, f"{name}.depthwise", f"{name}.depthwise_bn", "depthwise", channels, channels, stride)
        return layer(x, f"{name}.pointwise", f"{name}.pointwise_bn", "pointwise", channels, channels)

    def lateral(self, x, level, inputs, above=None):
        names = (f"lateral{level}.conv", f"lateral{level}.bn")
        x = self.builder.layer(x, *names, "pointwise", inputs, self.channels, active=False)
        return x if above is None else self.builder.add(x, self.upsampled(above, level), f"lateral{level}.add")

    def upsampled(self, x, level):
        """Each value twice a side: sides of the finer level are multiples of 2."""
        builder = self.builder
        way = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return builder.node("Resize", [x, "", builder.floats("twice", [1, 1, 2, 2])], f"lateral{level}.above", **way)

    def pyramid(self):
        """The four levels, finest first."""
        builder, prefix = self.builder, "backbone."
        size = builder.options.size
        x = stem(builder, builder.picture(size and (size[1], size[0]), grain=GRAIN), self.width, prefix)
        middles = []
        for i in range(len(BLOCK_STRIDES)):
            x, middle = block(builder, x, i, self.width, prefix)
            middles.append(middle)
        of_block = blocks(self.width)
        p5 = self.separable(self.lateral(x, 5, of_block[-1][2]), "smooth5")
        p4 = self.separable(self.lateral(middles[C4_BLOCK], 4, of_block[C4_BLOCK][1], p5), "smooth4")
        p3 = self.separable(self.lateral(middles[C3_BLOCK], 3, of_block[C3_BLOCK][1], p4), "smooth3")
        return [p3, p4, p5, self.separable(p5, "down6", 2)]

    def head(self, x, i):
        """[N, anchors of the level, 5 + classes]."""
        builder, name, row = self.builder, f"head{i + 3}", BOX + self.classes
        x = self.separable(x, f"{name}.features")
        x = builder.convolution(x, f"{name}.output", "pointwise", self.channels, len(self.sizes[i]) * row, bias=True)
        x = builder.node("Transpose", [x], f"{name}.nhwc", perm=[0, 2, 3, 1])
        return builder.node("Reshape", [x, builder.integers("rows", [0, -1, row])], f"{name}.rows")

    def predictions(self):
        levels = self.pyramid()
        rows = [self.head(level, i) for i, level in enumerate(levels)]
        return self.builder.node("Concat", rows, "predictions", axis=1), levels

    # Boxes

    def grid(self, rows, columns, i):
        """(centres, sizes) of a level's anchors, each [rows * columns * sizes, 2], x before y."""
        numpy = need("numpy")
        stride, shape = STRIDES[i], (rows, columns, len(self.sizes[i]), 2)
        x, y = (((numpy.arange(n) + 0.5) * stride).astype("f4") for n in (columns, rows))
        centres = numpy.stack(numpy.meshgrid(x, y), -1)[:, :, None]
        return [numpy.broadcast_to(v, shape).reshape(-1, 2) for v in (centres, self.shapes[i])]

    def computed_grid(self, level, i):
        """The same where the picture decides how many there are."""
        builder, name = self.builder, f"anchors{i + 3}"
        sides = builder.sides(level)
        cell = builder.integers(f"{name}.sizes", [len(self.sizes[i]), 1])
        whole = builder.node("Concat", [sides, cell], f"{name}.grid", axis=0)
        spread = []
        for axis, at, shape in (("x", 1, [1, -1, 1, 1]), ("y", 0, [-1, 1, 1, 1])):
            cells = builder.node("Gather", [sides, builder.integers(f"side{at}", at)], f"{name}.{axis}.cells")
            count = [builder.integers("none", 0), cells, builder.integers("one", 1)]
            v = builder.node("Range", count, f"{name}.{axis}.range")
            v = builder.node("Cast", [v], f"{name}.{axis}.float", to=builder.onnx.TensorProto.FLOAT)
            v = builder.node("Add", [v, builder.floats("half", 0.5)], f"{name}.{axis}.middle")
            v = builder.node("Mul", [v, builder.floats(f"stride{i + 3}", STRIDES[i])], f"{name}.{axis}")
            v = builder.node("Reshape", [v, builder.integers(f"along_{axis}", shape)], f"{name}.{axis}.line")
            spread.append(builder.node("Expand", [v, whole], f"{name}.{axis}.spread"))
        centres = builder.node("Concat", spread, f"{name}.cells", axis=3)
        sizes = builder.node("Expand", [builder.floats(f"{name}.shapes", self.shapes[i]), whole], f"{name}.shapes")
        pairs = builder.integers("pairs", [-1, 2])
        return [builder.node("Reshape", [v, pairs], f"{name}.{what}") for v, what in ((centres, "centre"), (sizes, "size"))]

    def anchors(self, levels):
        """(centres, sizes) of all anchors: names of values [P, 2]."""
        builder, numpy, names = self.builder, need("numpy"), ("anchors.centre", "anchors.size")
        if builder.options.size is None:
            grids = [self.computed_grid(level, i) for i, level in enumerate(levels)]
            return [builder.node("Concat", list(parts), name, axis=0) for parts, name in zip(zip(*grids), names)]
        grids = [self.grid(*builder.sizes[level], i) for i, level in enumerate(levels)]
        return [builder.floats(name, numpy.concatenate(parts)) for parts, name in zip(zip(*grids), names)]

    def boxes(self, centre_codes, size_codes, levels):
        """[N, P, 4]: left, top, right, bottom in pixels of the input."""
        builder = self.builder
        centres, sizes = self.anchors(levels)

        def of_number(op, x, name, value):
            return builder.node(op, [x, builder.floats(name, value)], f"boxes.{name}")

        moved = of_number("Mul", centre_codes, "centre_variance", CENTRE_VARIANCE)
        moved = builder.node("Mul", [moved, sizes], "boxes.moved")
        centre = builder.node("Add", [moved, centres], "boxes.centre")
        grown = of_number("Min", of_number("Mul", size_codes, "size_variance", SIZE_VARIANCE), "most_growth", MOST_GROWTH)
        size = builder.node("Mul", [builder.node("Exp", [grown], "boxes.growth"), sizes], "boxes.size")
        reach = of_number("Mul", size, "reach", 0.5)
        corners = [builder.node(op, [centre, reach], f"boxes.{name}") for op, name in (("Sub", "first"), ("Add", "last"))]
        return builder.node("Concat", corners, "boxes", axis=2)

    def build(self):
        builder, count = self.builder, "anchors"
        predictions, levels = self.predictions()
        if builder.options.size:
            sides = zip((builder.sizes[level] for level in levels), self.sizes)
            count = sum(rows * columns * len(sizes) for (rows, columns), sizes in sides)
        if builder.options.raw:
            builder.output(predictions, [count, BOX + self.classes])
            return
        parts = ["codes.centre", "codes.size", "face_logit", "class_logits"]
        split = [predictions, builder.integers("split", [2, 2, 1, self.classes])]
        builder.nodes.append(builder.onnx.helper.make_node("Split", split, parts, name="codes", axis=2))
        builder.output(self.boxes(*parts[:2], levels), [count, 4])
        score = builder.node("Sigmoid", [parts[2]], "face")
        builder.output(builder.node("Squeeze", [score, builder.integers("last", [2])], "scores"), [count])
        builder.output(builder.node("Softmax", [parts[3]], "probabilities", axis=2), [count, self.classes])


def build(builder):
    Detector(builder).build()
