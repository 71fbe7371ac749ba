"""One MobileNetV2 with random, calibrated weights, written once for every engine of the suite.

write(folder, width, size, batches) fills the folder with
  model.safetensors   for Maskwatch and PyTorch: batch norm as it is trained
  model_bN.onnx       batch norm folded, batch N, NCHW: ONNX Runtime, OpenVINO, OpenCV, and ncnn through pnnx
  model.tflite        the same folded numbers, NHWC: LiteRT (XNNPACK)
  input_N.f32         N pictures, NHWC
Symmetric padding, as PyTorch has it. Running statistics are those of a random batch, so that numbers stay near 1 from
layer to layer, as in a trained network.
"""

import json
import pathlib

import numpy

CLASSES = 1000
EPSILON = 1e-5
# Expansion, channels, repeats, stride: table 2 of the paper.
GROUPS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def divisible(channels):
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def layers(width):
    """Convolutions in order: their name, their batch norm's, kind, channels, stride, activation; `residual`: the output
    of that many layers before is added."""
    channels = divisible(32 * width)
    yield {"name": "stem.conv", "norm": "stem.bn", "kind": "full", "in": 3, "out": channels, "stride": 2, "relu6": True}
    block = 0
    for expansion, wide, repeats, stride in GROUPS:
        for repeat in range(repeats):
            hidden, out, step = channels * expansion, divisible(wide * width), stride if repeat == 0 else 1
            parts = [("depthwise", "depthwise", hidden, hidden, step), ("project", "pointwise", hidden, out, 1)]
            if expansion > 1:
                parts.insert(0, ("expand", "pointwise", channels, hidden, 1))
            for part, kind, inputs, outputs, s in parts:
                name = f"blocks.{block}.{part}"
                yield {"name": name, "norm": name + "_bn", "kind": kind, "in": inputs, "out": outputs, "stride": s,
                       "relu6": part != "project",
                       "residual": len(parts) if part == "project" and step == 1 and channels == out else 0}  # fmt: skip
            channels, block = out, block + 1
    last = max(1280, divisible(1280 * width))
    yield {"name": "last.conv", "norm": "last.bn", "kind": "pointwise", "in": channels, "out": last, "stride": 1, "relu6": True}


def random_state(width):
    """Our names and layouts: HWIO, HWC, [in, out]."""
    random, state = numpy.random.default_rng(1), {}
    for layer in layers(width):
        shape = {"full": (3, 3, layer["in"], layer["out"]), "depthwise": (3, 3, layer["out"]),
                 "pointwise": (layer["in"], layer["out"])}[layer["kind"]]  # fmt: skip
        fan_in = numpy.prod(shape[:-1])
        state[layer["name"] + ".weight"] = random.normal(0, (2 / fan_in) ** 0.5, shape)
        norm = layer["norm"]
        state[norm + ".gamma"] = random.uniform(0.8, 1.2, layer["out"])
        state[norm + ".beta"] = random.normal(0.3 if layer["relu6"] else 0, 0.2, layer["out"])
        state[norm + ".mean"] = numpy.zeros(layer["out"])
        state[norm + ".variance"] = numpy.ones(layer["out"])
    state["classifier.weight"] = random.normal(0, 0.05, (layer["out"], CLASSES))
    state["classifier.bias"] = random.normal(0, 0.05, CLASSES)
    return {name: value.astype(numpy.float32) for name, value in state.items()}


def torch_kernel(weight):
    """OIHW of our layouts."""
    if weight.ndim == 2:
        return weight.T[:, :, None, None]
    return weight.transpose(2, 0, 1)[:, None] if weight.ndim == 3 else weight.transpose(3, 2, 0, 1)


def torch_module(state, width, folded):
    """In PyTorch's modules; with batch norm in them, or folded into convolutions with a bias."""
    import torch
    from torch import nn

    def convolution(layer):
        kernel = 1 if layer["kind"] == "pointwise" else 3
        groups = layer["in"] if layer["kind"] == "depthwise" else 1
        conv = nn.Conv2d(layer["in"], layer["out"], kernel, layer["stride"], kernel // 2, groups=groups, bias=folded)
        parts = [conv]
        if not folded:
            parts.append(nn.BatchNorm2d(layer["out"], eps=EPSILON))
            for mine, ours in (("weight", "gamma"), ("bias", "beta"), ("running_mean", "mean"), ("running_var", "variance")):
                getattr(parts[1], mine).data.copy_(torch.from_numpy(state[f"{layer['norm']}.{ours}"]))
        weight, bias = fold(state, layer) if folded else (state[layer["name"] + ".weight"], None)
        conv.weight.data.copy_(torch.from_numpy(torch_kernel(weight).copy()))
        if folded:
            conv.bias.data.copy_(torch.from_numpy(bias))
        return nn.Sequential(*parts, nn.ReLU6(inplace=True)) if layer["relu6"] else nn.Sequential(*parts)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.residuals = [layer.get("residual", 0) for layer in layers(width)]
            self.features = nn.ModuleList(convolution(layer) for layer in layers(width))
            self.classifier = nn.Linear(*state["classifier.weight"].shape)
            self.classifier.weight.data.copy_(torch.from_numpy(state["classifier.weight"].T.copy()))
            self.classifier.bias.data.copy_(torch.from_numpy(state["classifier.bias"]))

        def forward(self, x):
            kept = [x]
            for layer, residual in zip(self.features, self.residuals):
                y = layer(kept[-1])
                kept = kept[-3:] + [y + kept[-residual] if residual else y]
            return self.classifier(kept[-1].mean((2, 3)))

    return Network()


def calibrate(state, width, size):
    """Running statistics of a random batch of four pictures."""
    import torch

    module = torch_module(state, width, False).train()
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    pixels = numpy.random.default_rng(2).uniform(-1, 1, (4, 3, size, size)).astype(numpy.float32)
    with torch.no_grad():
        module(torch.from_numpy(pixels))
    for layer, norm in zip(layers(width), norms):
        state[layer["norm"] + ".mean"] = norm.running_mean.numpy().copy()
        state[layer["norm"] + ".variance"] = norm.running_var.numpy().copy()


def fold(state, layer):
    """(weight, bias) with the batch norm in them."""
    norm = {k: state[f"{layer['norm']}.{k}"].astype(numpy.float64) for k in ("gamma", "beta", "mean", "variance")}
    factor = norm["gamma"] / numpy.sqrt(norm["variance"] + EPSILON)
    weight = state[layer["name"] + ".weight"].astype(numpy.float64) * factor
    return weight.astype(numpy.float32), (norm["beta"] - norm["mean"] * factor).astype(numpy.float32)


def write_onnx(path, state, width, size, batch):
    from onnx import TensorProto, helper, numpy_helper, save

    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(numpy.ascontiguousarray(value, numpy.float32), name))
        return name

    low, high = constant("zero", numpy.float32(0)), constant("six", numpy.float32(6))
    kept = ["input"]
    for layer in layers(width):
        name, (weight, bias) = layer["name"], fold(state, layer)
        side = 1 if layer["kind"] == "pointwise" else 3
        y = name + ".conv"
        nodes.append(helper.make_node(
            "Conv", [kept[-1], constant(name + ".w", torch_kernel(weight)), constant(name + ".b", bias)], [y], name=y,
            kernel_shape=[side, side], strides=[layer["stride"]] * 2, pads=[side // 2] * 4,
            group=layer["in"] if layer["kind"] == "depthwise" else 1))  # fmt: skip
        if layer["relu6"]:
            nodes.append(helper.make_node("Clip", [y, low, high], [name + ".relu6"], name=name + ".relu6"))
            y = name + ".relu6"
        if layer.get("residual"):
            nodes.append(helper.make_node("Add", [y, kept[-layer["residual"]]], [name + ".add"], name=name + ".add"))
            y = name + ".add"
        kept.append(y)
    nodes += [
        helper.make_node("GlobalAveragePool", [kept[-1]], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["features"], name="flatten"),
        helper.make_node("Gemm", ["features", constant("cw", state["classifier.weight"].T), constant("cb", state["classifier.bias"])],
                         ["logits"], name="classifier", transB=1),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "mobilenet_v2",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])], constants)  # fmt: skip
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def keras_model(state, width, size):
    import keras

    source = kept = keras.Input((size, size, 3))
    kept, values = [source], {}
    for layer in layers(width):
        name, (weight, bias) = layer["name"].replace(".", "_"), fold(state, layer)
        x, padding = kept[-1], "same"
        if layer["stride"] == 2:
            x, padding = keras.layers.ZeroPadding2D(1)(x), "valid"
        if layer["kind"] == "depthwise":
            y = keras.layers.DepthwiseConv2D(3, layer["stride"], padding, name=name)(x)
            weight = weight[..., None]
        else:
            y = keras.layers.Conv2D(layer["out"], 1 if weight.ndim == 2 else 3, layer["stride"], padding, name=name)(x)
            weight = weight[None, None] if weight.ndim == 2 else weight
        values[name] = [weight, bias]
        if layer["relu6"]:
            y = keras.layers.ReLU(6.0)(y)
        if layer.get("residual"):
            y = keras.layers.Add()([y, kept[-layer["residual"]]])
        kept.append(y)
    y = keras.layers.Dense(CLASSES, name="classifier")(keras.layers.GlobalAveragePooling2D()(kept[-1]))
    values["classifier"] = [state["classifier.weight"], state["classifier.bias"]]
    model = keras.Model(source, y)
    for name, weights in values.items():
        model.get_layer(name).set_weights(weights)
    return model


def write_tflite(path, state, width, size):
    import tensorflow

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(keras_model(state, width, size))
    path.write_bytes(converter.convert())


def load_state(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def write(folder, width, size, batches):
    from safetensors.numpy import save_file

    folder = pathlib.Path(folder)
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    state = random_state(width)
    calibrate(state, width, size)
    save_file(state, folder / "model.safetensors", {
        "architecture": "mobilenet_v2", "width": str(width), "input_size": str(size), "padding": "symmetric",
        "bn_epsilon": str(EPSILON), "preprocessing": "tf", "head": "classifier",
        "labels": json.dumps([str(i) for i in range(CLASSES)])})  # fmt: skip
    random = numpy.random.default_rng(3)
    for batch in batches:
        write_onnx(folder / f"model_b{batch}.onnx", state, width, size, batch)
        random.uniform(-1, 1, (batch, size, size, 3)).astype(numpy.float32).tofile(folder / f"input_{batch}.f32")
    try:
        write_tflite(folder / "model.tflite", state, width, size)
    except ImportError as missing:  # LiteRT's row will say that its file is missing
        print(f"no TFLite file: {missing}")
    (folder / "complete").touch()


if __name__ == "__main__":
    import sys

    write(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), [int(b) for b in sys.argv[4:]])
