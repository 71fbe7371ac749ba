"""Quantised ONNX in the QDQ form: QuantizeLinear and DequantizeLinear around float operators. Constants are
dequantised; of values between layers only the range counts, since quantisers drop activations that it stands for."""

from . import steps
from .errors import ConvertError, need

# Operators that compute in whole numbers, of the other forms.
WHOLE_NUMBERS = {"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulNBits",
                 "QGemm", "QAttention"}  # fmt: skip
FORM = "give the float32 file, or one quantised in the QDQ form (QuantizeLinear and DequantizeLinear)"
FLOAT_FORM = ("QuantizeLinear", "DequantizeLinear")
SIX = 6.05  # as far as a range may reach that stands for ReLU6; its steps are 6/255


def named(node):
    return f"node '{node.name or node.output[0]}' ({node.op_type})"


def is_whole_number(node):
    return node.op_type in WHOLE_NUMBERS or node.op_type.startswith("QLinear")


def is_known(node):
    """Whether it is one of ONNX Runtime's own domain, which is ONNX's with more types."""
    return node.domain == "com.microsoft" and node.op_type in FLOAT_FORM


def check(nodes):
    """A ConvertError that names a node which computes in whole numbers."""
    for node in nodes:
        if is_whole_number(node):
            raise ConvertError(f"{named(node)} computes in whole numbers; {FORM}")


def first(nodes):
    """The first quantising node, or None."""
    return next((n for n in nodes if n.op_type in FLOAT_FORM), None)


def whole_range(zero):
    """(lowest, highest) whole number of a zero point's type."""
    numpy = need("numpy")
    kind = numpy.dtype("u1") if zero is None else zero.dtype
    if kind.kind not in "ui" or kind.itemsize > 2:
        raise ConvertError(f"is quantised to {kind}, which is not known; 8 and 16 bits are")
    limits = numpy.iinfo(kind)
    return int(limits.min), int(limits.max)


def scale_and_zero(node, inputs, attributes, dims):
    """Of a node's constants in float64, shaped to multiply a value of `dims` axes."""
    numpy = need("numpy")
    scale = numpy.asarray(inputs[1], numpy.float64)
    zero = numpy.zeros(scale.shape) if len(inputs) < 3 else numpy.asarray(inputs[2], numpy.float64)
    if attributes.get("block_size", 0) or scale.ndim > 1 or zero.size != scale.size:
        raise ConvertError(f"{named(node)} is quantised in blocks, which is not known; one scale a channel or a tensor is")
    if scale.size == 1:
        return scale.reshape(()), zero.reshape(())
    shape = [1] * dims
    shape[attributes.get("axis", 1)] = scale.size
    return scale.reshape(shape), zero.reshape(shape)


def constant_of(node, inputs, attributes):
    """What a QuantizeLinear or DequantizeLinear makes of a constant; `inputs` are its arrays."""
    numpy = need("numpy")
    scale, zero = scale_and_zero(node, inputs, attributes, inputs[0].ndim)
    if node.op_type == "DequantizeLinear":
        return ((inputs[0].astype(numpy.float64) - zero) * scale).astype(numpy.float32)
    kind = inputs[2].dtype if len(inputs) > 2 else numpy.uint8
    limits = whole_range(inputs[2] if len(inputs) > 2 else None)
    return numpy.clip(numpy.rint(inputs[0] / scale) + zero, *limits).astype(kind)


def is_layer(x):
    """Whether a map comes from a convolution, with or without its batch norm; pixels that are scaled do not."""
    while x.op in ("norm", "affine"):
        x = x.before
    return x.op in ("conv", "depthwise")


def quantised(x, node, inputs, attributes, name, is_last):
    """A value between layers: the activation that its range amounts to, if nothing else holds it within. `inputs`
    are None, scale, zero point; `is_last`: of logits, whose range says nothing."""
    if inputs[1].size != 1:
        return steps.unknown(x, "QuantizeLinear of each channel", name)
    scale, zero = scale_and_zero(node, inputs, attributes, 1)
    low, high = ((limit - zero) * scale for limit in whole_range(inputs[2] if len(inputs) > 2 else None))
    if low != 0:
        return x
    if x.op == "dense" and not is_last:
        return steps.act(x, "relu", name)
    if is_layer(x):
        return steps.act(x, "relu6" if high < SIX else "relu", name)
    return x
