"""Keras HDF5: whole models, and weights alone (`no_top` or not) of keras.applications.MobileNetV2.

A whole model tells what it computes (keras_config.py). Weights alone do not: they are read where they are
those of the published network, by the names of its layers, and nothing else.
"""

import json
import os
import re

from . import keras_config
from .classifier import recognise
from .errors import ConvertError, need
from .head import without_activation
from .layouts import from_hwio
from .mobilenet_v2 import BLOCKS, ConvNorm, Source

LARGEST = 1 << 26  # values in a tensor; an HDF5 file can declare more than it stores
PUBLISHED_TOPS = {"Logits", "predictions"}


def conv_layers():
    """(convolution, batch norm, is depthwise) by Keras name, in the order of the network."""
    yield "Conv1", "bn_Conv1", False
    for i in range(BLOCKS):
        prefix = f"block_{i}" if i else "expanded_conv"
        if i:
            yield f"{prefix}_expand", f"{prefix}_expand_BN", False
        yield f"{prefix}_depthwise", f"{prefix}_depthwise_BN", True
        yield f"{prefix}_project", f"{prefix}_project_BN", False
    yield "Conv_1", "Conv_1_bn", False


def values_of(dataset, path):
    """The tensor; Keras writes bfloat16 as two bytes without a type."""
    numpy = need("numpy")
    if dataset.size is None or dataset.size > LARGEST:
        raise ConvertError(f"tensor '{path}' declares {dataset.size} values; the file is damaged")
    if dataset.dtype == numpy.dtype("V2"):
        return (numpy.asarray(dataset[()]).view("<u2").astype("<u4") << 16).view("<f4")
    return dataset[()]


def datasets(file, h5py):
    """{(layer of the outermost model, layer): {variable: array}} of every dataset in the file."""
    layers = {}

    def visit(path, item):
        if not isinstance(item, h5py.Dataset) or path.startswith("optimizer_weights/"):
            return
        parts = path.removeprefix("model_weights/").split("/")
        if parts[-2:-1] == ["vars"] and parts[-1].isdigit():
            raise ConvertError("is a Keras 3 '.weights.h5', which keeps no layer names; save it with model.save('x.h5')")
        if len(parts) >= 2:
            variables, name = layers.setdefault((parts[0], parts[-2]), {}), parts[-1].split(":")[0]
            if name in variables:
                raise ConvertError(f"holds two tensors '{parts[-2]}/{name}', of layers of one name")
            variables[name] = values_of(item, path)

    file.visititems(visit)
    return layers


# A whole model


def read_model(text, layers):
    try:
        node = json.loads(text)
    except ValueError as error:
        raise ConvertError(f"model_config is not JSON: {error}") from error

    def weights(path, layer):
        name = keras_config.layer_name(layer)
        return layers.get((path[0] if path else name, name), {})

    return recognise(*keras_config.trace(node, weights))


# Weights alone


def variable(layers, layer, *names):
    """The first variable of the layer that goes by one of the names."""
    for name in names:
        if name in layers.get(layer, {}):
            return layers[layer].pop(name)
    raise ConvertError(
        f"tensor '{layer}/{names[0]}' is missing; the file must hold keras.applications.MobileNetV2"
    )


def read_weights(path, layers):
    layers = {name: variables for (_, name), variables in layers.items()}
    convolutions = []
    for conv, norm, depthwise in conv_layers():
        kernel = variable(layers, conv, *(["depthwise_kernel"] if depthwise else []), "kernel")
        parts = [variable(layers, norm, n) for n in ("gamma", "beta", "moving_mean", "moving_variance")]
        convolutions.append(ConvNorm(from_hwio(kernel, depthwise, conv), norm=tuple(parts), origin=conv))
    source = Source(convolutions, "tf", 1e-3, "tf", input_size(path))
    top = [name for name in layers if name in PUBLISHED_TOPS and "kernel" in layers[name]]
    if top:
        weight, bias = (variable(layers, top[0], name) for name in ("kernel", "bias"))
        without_activation(source, weight, bias, "holds weights alone")
    left = sorted(f"{layer}/{name}" for layer, variables in layers.items() for name in variables)
    if left:
        raise ConvertError(f"holds weights alone, which do not say what is done with '{left[0]}'; save the whole "
                           "model, with model.save('x.h5')")  # fmt: skip
    return source


def input_size(path):
    """Side of the square input, from the official file name, or None."""
    named = re.search(r"_\d\.\d+_(\d{2,3})(_no_top)?\.h5$", os.path.basename(path))
    return int(named[1]) if named else None


def read(path):
    h5py = need("h5py")
    try:
        with h5py.File(path, "r") as file:
            layers, text = datasets(file, h5py), file.attrs.get("model_config")
    except (OSError, RuntimeError, KeyError) as error:
        raise ConvertError(f"is not a readable HDF5 file: {error}") from error
    return read_weights(path, layers) if text is None else read_model(text, layers)
