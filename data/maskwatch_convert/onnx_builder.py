"""An ONNX graph in the making: layers of our networks as nodes, in NCHW, whose weights keep our tensors' names.

A value is known by its name, and its size in pixels is kept where it does not depend on the picture. Batch
norms stay nodes of their own: runtimes fold them when they load a model, and the tensors come back as they were.
"""

from dataclasses import dataclass

from .classifier import PREPROCESSING
from .errors import ConvertError, need
from .steps import sides_of_same

# The lowest that has all the operators used, so that old runtimes take it too.
OPSET, IR_VERSION = 13, 7
CONSTANT = "constant."  # begins the name of an initializer that is not one of our tensors
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


class OnnxBuilder:
    def __init__(self, model, options):
        self.onnx = need("onnx")
        self.model, self.options = model, options
        self.nodes, self.initializers, self.inputs, self.outputs = [], {}, [], []
        self.sizes = {}  # name of a value -> (height, width), or None where the picture decides
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
        self.initializers[name] = self.onnx.numpy_helper.from_array(values.astype("f2"), name)
        return self.node("Cast", [name], name + ".float", to=self.onnx.TensorProto.FLOAT)

    # Layers

    def window_pads(self, x, stride):
        """Attributes of a 3x3 window, which keep the size at stride 1."""
        if stride == 1 or self.padding == "symmetric":
            return {"pads": [1, 1, 1, 1]}
        if self.sizes[x] is None:
            return {"auto_pad": "SAME_UPPER"}
        rows, columns = (sides_of_same(side, 3, stride) for side in self.sizes[x])
        return {"pads": [rows[0], columns[0], rows[1], columns[1]]}

    def convolution(self, x, name, kind, inputs, outputs, stride=1, bias=False):
        """`kind`: full (3x3), depthwise (3x3) or pointwise."""
        shapes = {
            "full": ((3, 3, inputs, outputs), lambda w: w.transpose(3, 2, 0, 1)),
            "depthwise": ((3, 3, outputs), lambda w: w.transpose(2, 0, 1)[:, None]),
            "pointwise": ((inputs, outputs), lambda w: w.T[:, :, None, None]),
        }
        taken = [x, self.tensor(name + ".weight", *shapes[kind])]
        if bias:
            taken.append(self.tensor(name + ".bias", (outputs,)))
        window = 1 if kind == "pointwise" else 3
        attributes = {"kernel_shape": [window] * 2, "strides": [stride] * 2, "group": 1}
        if kind == "depthwise":
            attributes["group"] = outputs
        if window == 3:
            attributes.update(self.window_pads(x, stride))
        size = self.sizes[x]
        self.node("Conv", taken, name, **attributes)
        self.sizes[name] = size and tuple(-(-side // stride) for side in size)
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

    def picture(self, size, scaling=None):
        """The network's input, float NCHW and prepared; `size` (height, width) or None. `scaling`: (scale, offset) of
        pixels 0..255, of one channel or of three, which the metadata `preprocessing` names where it is not given."""
        batch = self.options.batch or "batch"
        height, width = size or ("height", "width")
        info, kinds = self.onnx.helper.make_tensor_value_info, self.onnx.TensorProto
        if self.options.pixels:
            self.inputs.append(info("pixels", kinds.UINT8, [batch, height, width, 3]))
            self.prepare("pixels", *(scaling or PREPROCESSING[self.model.choice("preprocessing", list(PREPROCESSING))]))
        else:
            self.inputs.append(info("input", kinds.FLOAT, [batch, 3, height, width]))
        self.sizes["input"] = size
        return "input"

    def prepare(self, pixels, scale, offset):
        """From uint8 [N, H, W, 3], RGB, to "input", as vision/image/network_input.cc does it."""
        x = self.node("Cast", [pixels], "pixels.float", to=self.onnx.TensorProto.FLOAT)
        x = self.node("Mul", [x, self.floats("pixel_scale", scale)], "pixels.scaled")
        if any(offset):
            x = self.node("Add", [x, self.floats("pixel_offset", offset)], "pixels.prepared")
        self.node("Transpose", [x], "input", perm=[0, 3, 1, 2])

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
