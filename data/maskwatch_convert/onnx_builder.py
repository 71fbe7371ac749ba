"""An ONNX graph in the making: layers of our networks as nodes, in NCHW, whose weights keep our tensors' names.

A value is known by its name. What is known of its size is kept: (height, width), or, where the picture decides, a
number of which both are multiples. Batch norms stay nodes of their own: runtimes fold them when they load a model,
and the tensors come back as they were.
"""

from dataclasses import dataclass

from .classifier import PREPROCESSING
from .errors import ConvertError, need
from .steps import sides_of_same

# The lowest that has all the operators used, so that old runtimes take it too.
OPSET, IR_VERSION = 13, 7
CONSTANT = "constant."  # begins the name of an initializer that is not one of our tensors
GREY = 127  # what pictures are padded with (vision/faces/trained_ssd.cc)
SIDES, MOST_BATCH = (32, 4096), 65536  # of pictures of one size


@dataclass(frozen=True)
class ExportOptions:
    """`pixels`: the graph takes uint8 NHWC RGB and prepares it itself. `raw`: it ends with the network's numbers,
    neither probabilities nor boxes. `size`: (width, height) of a detector's pictures, None: any. `batch`: how many
    pictures, None: any. `half`: weights are stored in half precision."""

    pixels: bool = False
    raw: bool = False
    size: tuple = None
    batch: int = None
    half: bool = False


def strided(size, stride):
    """What is known of a size behind a convolution with that stride, which pads."""
    if isinstance(size, int):
        return size // stride if size % stride == 0 else 1
    return tuple(-(-side // stride) for side in size)


class OnnxBuilder:
    def __init__(self, model, options):
        self.onnx = need("onnx")
        self.model, self.options = model, options
        self.nodes, self.initializers, self.inputs, self.outputs = [], {}, [], []
        self.sizes = {}  # name of a value -> what is known of its size
        self.computed_sides = {}  # name of a value -> name of what sides() gives
        self.unused = set(model.tensors)

    @property
    def padding(self):
        return self.model.choice("padding", ("tf", "symmetric"))

    @property
    def epsilon(self):
        return self.model.number("bn_epsilon", 0, 1)

    # Nodes and constants

    def node(self, op, inputs, name, **attributes):
        """The name of the node, which is that of its output."""
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name, values):
        name = CONSTANT + name
        if name not in self.initializers:
            self.initializers[name] = self.onnx.numpy_helper.from_array(values, name)
        return name

    def floats(self, name, values):
        return self.constant(name, need("numpy").asarray(values, "f4"))

    def integers(self, name, values):
        return self.constant(name, need("numpy").asarray(values, "i8"))

    def tensor(self, name, shape, layout=lambda values: values):
        """One of our tensors, checked, in the layout of ONNX."""
        numpy = need("numpy")
        if name not in self.model.tensors:
            raise ConvertError(f"tensor '{name}' is missing")
        values = self.model.tensors[name]
        if values.shape != tuple(shape):
            raise ConvertError(f"tensor '{name}' has shape {list(values.shape)}, expected {list(shape)}")
        self.unused.discard(name)
        values = numpy.ascontiguousarray(layout(values))
        if not self.options.half:
            self.initializers[name] = self.onnx.numpy_helper.from_array(values, name)
            return name
        if (abs(values) >= 65520).any():
            raise ConvertError(f"tensor '{name}' does not fit in half precision")
        if name not in self.initializers:
            self.initializers[name] = self.onnx.numpy_helper.from_array(values.astype("f2"), name)
            self.node("Cast", [name], name + ".float", to=self.onnx.TensorProto.FLOAT)
        return name + ".float"

    # Layers

    def window_pads(self, x, stride):
        """(value that a 3x3 window slides over, pads of the window), which keep the size at stride 1."""
        size = self.sizes[x]
        if stride == 1 or self.padding == "symmetric":
            return x, [1, 1, 1, 1]
        if isinstance(size, int):
            return (x, [0, 0, 1, 1]) if size % stride == 0 else (self.padded_as_sides_are(x), [0, 0, 0, 0])
        rows, columns = (sides_of_same(side, 3, stride) for side in size)
        return x, [rows[0], columns[0], rows[1], columns[1]]

    def padded_as_sides_are(self, x):
        """TensorFlow's padding at stride 2: one pixel behind, and one before where a side is odd. (Runtimes do not agree
        on what `auto_pad` does there.)"""
        odd = self.node("Mod", [self.sides(x), self.integers("two", 2)], f"{x}.odd")
        parts = [self.integers("outer", [0, 0]), odd, self.integers("behind", [0, 0, 1, 1])]
        pads = self.node("Concat", parts, f"{x}.pads", axis=0)
        return self.node("Pad", [x, pads, self.floats("zero", 0)], f"{x}.padded", mode="constant")

    def sides(self, x):
        """[height, width] of a value, as the graph computes it."""
        if x not in self.computed_sides:
            shape = self.node("Shape", [x], f"{x}.shape")
            sides = [shape, self.integers("sides", [2, 3])]
            self.computed_sides[x] = self.node("Gather", sides, f"{x}.sides")
        return self.computed_sides[x]

    def convolution(self, x, name, kind, inputs, outputs, stride=1, bias=False):
        """`kind`: full (3x3), depthwise (3x3) or pointwise."""
        shapes = {
            "full": ((3, 3, inputs, outputs), lambda w: w.transpose(3, 2, 0, 1)),
            "depthwise": ((3, 3, outputs), lambda w: w.transpose(2, 0, 1)[:, None]),
            "pointwise": ((inputs, outputs), lambda w: w.T[:, :, None, None]),
        }
        taken = [self.tensor(name + ".weight", *shapes[kind])]
        if bias:
            taken.append(self.tensor(name + ".bias", (outputs,)))
        window, source, pads = 1, x, [0] * 4
        if kind != "pointwise":
            window, (source, pads) = 3, self.window_pads(x, stride)
        group = outputs if kind == "depthwise" else 1
        self.node("Conv", [source, *taken], name, kernel_shape=[window] * 2, strides=[stride] * 2, pads=pads, group=group)
        self.sizes[name] = strided(self.sizes[x], stride)
        return name

    def layer(self, x, conv, norm, kind, inputs, outputs, stride=1, active=True):
        """A convolution, its batch norm, and ReLU6 where it is `active`."""
        size_of = self.convolution(x, conv, kind, inputs, outputs, stride)
        parts = [self.tensor(f"{norm}.{part}", (outputs,)) for part in ("gamma", "beta", "mean", "variance")]
        y = self.node("BatchNormalization", [conv, *parts], norm, epsilon=self.epsilon)
        if active:
            limits = [self.floats("zero", 0), self.floats("six", 6)]
            y = self.node("Clip", [y, *limits], norm.removesuffix(".bn").removesuffix("_bn") + ".relu6")
        self.sizes[y] = self.sizes[size_of]
        return y

    def add(self, x, y, name):
        self.sizes[name] = self.sizes[x]
        return self.node("Add", [x, y], name)

    def dense(self, x, name, inputs, outputs):
        weight = self.tensor(name + ".weight", (inputs, outputs))
        return self.node("Gemm", [x, weight, self.tensor(name + ".bias", (outputs,))], name)

    # Ends

    def picture(self, size, scaling=None, grain=1):
        """The network's input, float NCHW and prepared; `size` (height, width) or None. `scaling`: (scale, offset) of
        pixels 0..255, of one channel or of three, which the metadata `preprocessing` names where it is not given.
        Pictures are padded with grey, at the right and below, to multiples of `grain`."""
        batch = self.options.batch or "batch"
        height, width = size or ("height", "width")
        info, kinds = self.onnx.helper.make_tensor_value_info, self.onnx.TensorProto
        scaling = scaling or PREPROCESSING[self.model.choice("preprocessing", list(PREPROCESSING))]
        if self.options.pixels:
            self.inputs.append(info("pixels", kinds.UINT8, [batch, height, width, 3]))
            x = self.node("Cast", ["pixels"], "pixels.float", to=kinds.FLOAT)
            x = self.node("Transpose", [x], "pixels.nchw", perm=[0, 3, 1, 2])
            x = self.scaled(self.padded(x, size, grain, [GREY]), *scaling)
        else:
            self.inputs.append(info("input", kinds.FLOAT, [batch, 3, height, width]))
            grey = [GREY * scale + offset for scale, offset in zip(*scaling)]
            x = self.padded("input", size, grain, grey)
        self.sizes[x] = tuple(-(-side // grain) * grain for side in size) if size else grain
        return x

    def scaled(self, x, scale, offset):
        """Pixels as vision/image/network_input.cc prepares them."""
        numpy = need("numpy")
        column = lambda values: numpy.asarray(values, "f4").reshape(-1, 1, 1)  # noqa: E731
        x = self.node("Mul", [x, self.floats("pixel_scale", column(scale))], "pixels.scaled")
        return self.node("Add", [x, self.floats("pixel_offset", column(offset))], "pixels.prepared") if any(offset) else x

    def padded(self, x, size, grain, grey):
        """`grey`: what it is padded with, of all channels or of each."""
        if grain == 1 or (size and not any(side % grain for side in size)):
            return x
        if len(set(grey)) > 1:  # Pad knows one number only
            level = self.floats("grey", need("numpy").asarray(grey, "f4").reshape(-1, 1, 1))
            x = self.padded(self.node("Sub", [x, level], "input.centred"), size, grain, [0])
            return self.node("Add", [x, level], "input.padded")
        if size:
            missing = self.integers("missing", [-side % grain for side in size])
        else:
            negative = self.node("Sub", [self.integers("none", 0), self.sides(x)], "picture.negative")
            missing = self.node("Mod", [negative, self.integers("grain", grain)], "picture.missing")
        pads = self.node("Concat", [self.integers("before", [0] * 6), missing], "picture.pads", axis=0)
        return self.node("Pad", [x, pads, self.floats("padding", grey[0])], "picture.padded", mode="constant")

    def output(self, name, shape):
        info = self.onnx.helper.make_tensor_value_info
        self.outputs.append(info(name, self.onnx.TensorProto.FLOAT, [self.options.batch or "batch", *shape]))

    def graph(self, name):
        """The GraphProto; a ConvertError if a tensor of the file has no place in it."""
        if self.unused:
            raise ConvertError(f"tensor '{min(self.unused)}' is not one of the network's")
        return self.onnx.helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, list(self.initializers.values())
        )
