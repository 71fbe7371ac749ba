"""Keras HDF5: whole models and weights (`no_top` or not) of keras.applications.MobileNetV2.

A dataset is found by the name of its layer, wherever the file nests it. One Dense layer on the
features becomes the classifier; two in a row (the mask detector's head) become the mask head.
"""

import json
import os
import re

from .errors import ConvertError, need
from .layouts import from_hwio
from .mobilenet_v2 import BLOCKS, ConvNorm, Source


LARGEST = 1 << 26  # values in a tensor; an HDF5 file can declare more than it stores


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


def datasets(file, h5py):
    """{layer name: {variable: array}} of every dataset in the file."""
    layers = {}

    def visit(path, item):
        if not isinstance(item, h5py.Dataset) or path.startswith("optimizer_weights/"):
            return
        if item.size is None or item.size > LARGEST:
            raise ConvertError(f"tensor '{path}' declares {item.size} values; the file is damaged")
        parts = path.split("/")
        if len(parts) >= 2:
            layers.setdefault(parts[-2], {})[parts[-1].split(":")[0]] = item[()]

    file.visititems(visit)
    if "vars" in layers and "Conv1" not in layers:
        raise ConvertError(
            "is a Keras 3 '.weights.h5', which keeps no layer names; save it with model.save('x.h5')"
        )
    return layers


def variable(layers, layer, *names):
    """The first variable of the layer that goes by one of the names."""
    for name in names:
        if name in layers.get(layer, {}):
            return layers[layer][name]
    raise ConvertError(
        f"tensor '{layer}/{names[0]}' is missing; the file must hold keras.applications.MobileNetV2"
    )


def read_layers(layers):
    result = []
    for conv, norm, depthwise in conv_layers():
        kernel = variable(layers, conv, *(["depthwise_kernel"] if depthwise else []), "kernel")
        parts = [variable(layers, norm, n) for n in ("gamma", "beta", "moving_mean", "moving_variance")]
        result.append(ConvNorm(from_hwio(kernel, depthwise, conv), norm=tuple(parts), origin=conv))
    return result


def dense_chain(layers, features):
    """[(weight, bias)] of the Dense layers that follow the features, first to last."""
    numpy = need("numpy")
    dense = {n: v for n, v in layers.items() if "kernel" in v and v["kernel"].ndim == 2}
    all_names, chain, width = list(dense), [], features
    while True:
        fitting = [n for n, v in dense.items() if v["kernel"].shape[0] == width]
        if len(fitting) > 1:
            raise ConvertError(f"Dense layers {', '.join(fitting)} all take {width} values: which is first?")
        if not fitting:
            break
        variables = dense.pop(fitting[0])
        weight = variables["kernel"]
        width = weight.shape[1]
        chain.append((weight, variables.get("bias", numpy.zeros(width, numpy.float32))))
    if dense or len(chain) > 2:
        raise ConvertError(
            f"Dense layers {', '.join(sorted(all_names))}: known are none, one, or two in a row"
        )
    return chain


def configuration(file):
    """Every layer's configuration by name, where the file holds the model and not just weights."""
    text = file.attrs.get("model_config")
    found = {}

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("config"), dict) and "class_name" in node:
                found[node["config"].get("name")] = node["config"]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    if text is not None:
        try:
            walk(json.loads(text))
        except ValueError as error:
            raise ConvertError(f"model_config is not JSON: {error}") from error
    return found


def input_size(path, config):
    """Side of the square input: from the model, else from the official file name, else 224."""
    for layer in config.values():
        shape = layer.get("batch_input_shape") or layer.get("batch_shape")
        if shape and len(shape) == 4 and shape[1] and shape[1] == shape[2]:
            return int(shape[1])
    named = re.search(r"_\d\.\d+_(\d{2,3})(_no_top)?\.h5$", os.path.basename(path))
    return int(named[1]) if named else 224


def read(path):
    h5py = need("h5py")
    try:
        with h5py.File(path, "r") as file:
            layers, config = datasets(file, h5py), configuration(file)
    except (OSError, RuntimeError, KeyError) as error:
        raise ConvertError(f"is not a readable HDF5 file: {error}") from error
    epsilon = float(config.get("bn_Conv1", {}).get("epsilon", 1e-3))
    source = Source(read_layers(layers), "tf", epsilon, "tf", input_size(path, config))
    chain = dense_chain(layers, source.layers[-1].weight.shape[-1])
    if len(chain) == 1:
        source.classifier = chain[0]
    elif chain:
        source.mask_head = tuple(chain)
    return source
