"""Weights from other layouts to ours: HWIO, depthwise HWC, pointwise [in, out]. And what any of them must be."""

from .errors import ConvertError


def squeezed(weight):
    """HWIO with a 1x1 window becomes [in, out]; anything else stays."""
    return weight[0, 0] if weight.shape[:2] == (1, 1) else weight


def check_variance(variance, norm):
    if (variance < 0).any():
        raise ConvertError(f"{norm}, a batch norm, has a negative variance")


def four_axes(weight, origin):
    if weight.ndim != 4:
        raise ConvertError(f"'{origin}' has {weight.ndim} axes where a convolution has 4")


def from_ohwi(weight, depthwise, origin):
    """TFLite: OHWI, depthwise 1HWC."""
    four_axes(weight, origin)
    if not depthwise:
        return squeezed(weight.transpose(1, 2, 3, 0))
    if weight.shape[0] != 1:
        raise ConvertError(f"'{origin}' has shape {list(weight.shape)}, expected [1, 3, 3, C]")
    return weight[0]


def from_oihw(weight, depthwise, origin):
    """PyTorch and ONNX: OIHW, depthwise C1HW."""
    four_axes(weight, origin)
    if not depthwise:
        return squeezed(weight.transpose(2, 3, 1, 0))
    if weight.shape[1] != 1:
        raise ConvertError(f"'{origin}' has shape {list(weight.shape)}, expected [C, 1, 3, 3]")
    return weight[:, 0].transpose(1, 2, 0)


def from_hwio(weight, depthwise, origin):
    """Keras: HWIO, depthwise HWC1."""
    four_axes(weight, origin)
    if not depthwise:
        return squeezed(weight)
    if weight.shape[3] != 1:
        raise ConvertError(f"'{origin}' has shape {list(weight.shape)}, expected [3, 3, C, 1]")
    return weight[..., 0]
