"""A folder of .npy files: MobileNetV2 1.0/224 with batch norm folded, as taken from the published
float TFLite file (OHWI, names of the graph) or from the ONNX zoo (OIHW, numbered nodes)."""

import os
import re

from .errors import ConvertError, need
from .layouts import from_oihw, from_ohwi
from .mobilenet_v2 import ConvNorm, Source

SIDE = 224
# The TFLite graph numbers its constants without order, so each must be named:
# (expand, depthwise, project) of each block.
TFLITE_CONSTANTS = [
    (None, 238, 167), (165, 99, 73), (3, 119, 115), (255, 216, 157), (227, 221, 193),
    (243, 102, 215), (226, 163, 229), (104, 254, 143), (25, 142, 202), (225, 129, 98),
    (169, 2, 246), (162, 87, 106), (52, 22, 40), (114, 65, 242), (203, 250, 92),
    (133, 130, 258), (60, 248, 100),
]  # fmt: skip


def load(folder, name):
    numpy = need("numpy")
    path = os.path.join(folder, name + ".npy")
    try:
        # Mapped, so that a header that asks for more than the file holds is refused.
        return numpy.array(numpy.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError as error:
        raise ConvertError(f"tensor '{name}.npy' is missing") from error
    except Exception as error:  # numpy's parser raises what its parts raise
        raise ConvertError(f"'{name}.npy' is not a readable .npy file: {error}") from error


def tflite_layers(folder):
    def layer(constant, bias, depthwise=False):
        weight = from_ohwi(load(folder, f"Const_{constant}"), depthwise, f"Const_{constant}.npy")
        return ConvNorm(weight, bias=load(folder, bias), origin=f"Const_{constant}.npy")

    layers = [layer(90, "MobilenetV2_Conv_Conv2D_bias")]
    for i, (expand, depthwise, project) in enumerate(TFLITE_CONSTANTS):
        prefix = "MobilenetV2_expanded_conv" + (f"_{i}" if i else "")
        if expand is not None:
            layers.append(layer(expand, prefix + "_expand_Conv2D_bias"))
        layers.append(layer(depthwise, prefix + "_depthwise_depthwise_bias", True))
        layers.append(layer(project, prefix + "_project_Conv2D_bias"))
    return layers + [layer(71, "MobilenetV2_Conv_1_Conv2D_bias")]


def onnx_layers(folder, names):
    numbers = sorted(int(m[1]) for m in map(re.compile(r"conv_(\d+)_weight\.npy$").match, names) if m)
    layers = []
    for position, number in enumerate(numbers):
        name = f"conv_{number}_weight"
        # Stem, depthwise and project of block 0, then triples: every third is depthwise.
        weight = from_oihw(load(folder, name), position % 3 == 1, name + ".npy")
        bias = load(folder, f"conv_{number}_bias")
        layers.append(ConvNorm(weight, bias=bias, origin=name + ".npy"))
    return layers


def read(folder):
    """The Source in the folder; which of the two layouts it is follows from the file names."""
    names = os.listdir(folder)
    if "Const_90.npy" in names:
        return Source(tflite_layers(folder), "tf", 1e-3, "tf", SIDE)
    if "conv_0_weight.npy" in names:
        return Source(onnx_layers(folder, names), "symmetric", 1e-5, "imagenet", SIDE)
    raise ConvertError(
        "holds neither 'Const_90.npy' (float TFLite layout) nor 'conv_0_weight.npy' (ONNX layout); "
        "give one of the two folders of MobileNetV2 weights"
    )
