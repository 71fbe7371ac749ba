"""Files that the tests need and that are not published here: torchvision's .pth, ONNX classifiers and
a float TFLite, built with each format's own library."""

import os

import numpy

STRIDES = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]


def torchvision_pth(path, width=1.0, classes=1000, seed=1):
    """Random weights, with the batch statistics of noise so that activations keep their scale."""
    import torch
    from runtimes import torchvision_module

    torch.manual_seed(seed)
    model = torchvision_module(width, classes)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
    with torch.no_grad():
        model.train()(torch.randn(8, 3, 64, 64))
    torch.save(model.state_dict(), path)


class OnnxClassifier:
    """Writes MobileNetV2 node by node: layers are (weight OIHW, bias) or (weight, norm parts)."""

    def __init__(self, padding, size):
        self.padding, self.size, self.nodes, self.constants = padding, size, [], []

    def node(self, kind, inputs, **attributes):
        import onnx

        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name, value):
        import onnx

        value = numpy.asarray(value, order="C")
        self.constants.append(onnx.numpy_helper.from_array(value, name))
        return name

    def layer(self, x, weight, rest, stride=1, active=True):
        name, window = f"w{len(self.nodes)}", weight.shape[2]
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        pads = [window // 2] * 4
        if stride == 2 and self.padding == "tf":
            pads = [0, 0, 1, 1]
        inputs = [x, self.constant(name, weight)]
        if not isinstance(rest, tuple):
            inputs.append(self.constant(name + ".bias", rest))
        x = self.node("Conv", inputs, group=groups, strides=[stride] * 2, pads=pads, kernel_shape=[window] * 2)
        if isinstance(rest, tuple):
            parts = [self.constant(f"{name}.norm{i}", part) for i, part in enumerate(rest)]
            x = self.node("BatchNormalization", [x, *parts], epsilon=1e-5)
        return self.node("Clip", [x, "zero", "six"]) if active else x

    def gemm(self, x, weight, bias):
        return self.node("Gemm", [x, self.constant(f"fc{len(self.nodes)}", weight), self.constant(f"fc.bias{len(self.nodes)}", bias)], transB=1)

    def write(self, path, layers, classes, head, before=lambda builder, x: x):
        """`head` and `before` take this builder and a value, and add nodes behind the pool and before the stem."""
        import onnx

        self.constant("zero", numpy.float32(0)), self.constant("six", numpy.float32(6))
        layers = iter(layers)
        weight, rest = next(layers)
        channels = weight.shape[0]
        x = self.layer(before(self, "input"), weight, rest, stride=2)
        for i, stride in enumerate(STRIDES):
            y = self.layer(x, *next(layers)) if i else x
            y = self.layer(y, *next(layers), stride=stride)
            (weight, rest) = next(layers)
            same = stride == 1 and weight.shape[0] == channels
            channels = weight.shape[0]
            y = self.layer(y, weight, rest, active=False)
            x = self.node("Add", [x, y]) if same else y
        x = self.node("GlobalAveragePool", [self.layer(x, *next(layers))])
        head(self, self.node("Flatten", [x]))
        self.nodes[-1].output[0] = "output"
        info = onnx.helper.make_tensor_value_info
        image = info("input", onnx.TensorProto.FLOAT, [1, 3, self.size, self.size])
        output = info("output", onnx.TensorProto.FLOAT, [1, classes])
        graph = onnx.helper.make_graph(self.nodes, "g", [image], [output], self.constants)
        opset = [onnx.helper.make_opsetid("", 13)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def onnx_from_pth(path, state, size=224, classes=None, head=None, before=lambda builder, x: x):
    """The network of a torchvision state dict, batch norm unfolded; `head` in place of its classifier."""
    names = [k.removesuffix(".weight") for k, v in state.items() if v.ndim == 4]
    order = list(state)
    layers = []
    for name in names:
        norm = order[order.index(name + ".weight") + 1].rsplit(".", 1)[0]
        parts = ("weight", "bias", "running_mean", "running_var")
        layers.append((state[name + ".weight"].numpy(), tuple(state[f"{norm}.{p}"].numpy() for p in parts)))
    weight, bias = state["classifier.1.weight"].numpy(), state["classifier.1.bias"].numpy()
    head = head or (lambda builder, x: builder.gemm(x, weight, bias))
    OnnxClassifier("symmetric", size).write(path, layers, classes or len(bias), head, before)


def onnx_from_folder(path, folder):
    """The network of one of the two published .npy folders, with a small random classifier."""
    def load(name):
        return numpy.load(os.path.join(folder, name + ".npy"))

    if os.path.exists(os.path.join(folder, "conv_0_weight.npy")):
        numbers = sorted(int(n.split("_")[1]) for n in os.listdir(folder) if n.endswith("_weight.npy"))
        layers = [(load(f"conv_{n}_weight"), load(f"conv_{n}_bias")) for n in numbers]
        padding = "symmetric"
    else:
        layers, padding = [tflite_constant(load, *names) for names in tflite_names()], "tf"
    random = numpy.random.default_rng(1)
    weight, bias = random.normal(size=(5, 1280)).astype("f4"), random.normal(size=5).astype("f4")
    OnnxClassifier(padding, 224).write(path, layers, 5, lambda builder, x: builder.gemm(x, weight, bias))


def tflite_constant(load, constant, bias):
    weight = load(constant)
    depthwise = weight.shape[0] == 1
    return weight.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)), load(bias)


def tflite_names():
    """(constant, bias) of each layer as the table of ../shared/README.md names them."""
    import re

    from samples import SHARED

    with open(os.path.join(SHARED, "README.md"), encoding="utf-8") as file:
        text = file.read()
    rows = re.findall(r"(\d+): (–|\d+), (\d+), (\d+)", text)
    names = [("Const_90", "MobilenetV2_Conv_Conv2D_bias")]
    parts = ("expand_Conv2D", "depthwise_depthwise", "project_Conv2D")
    for block, *constants in rows:
        prefix = "MobilenetV2_expanded_conv" + (f"_{block}" if block != "0" else "")
        names += [
            (f"Const_{c}", f"{prefix}_{part}_bias") for c, part in zip(constants, parts) if c != "–"
        ]
    return names + [("Const_71", "MobilenetV2_Conv_1_Conv2D_bias")]


def float_tflite(path, quantised):
    """The quantised TFLite file with every tensor made float32."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    with open(quantised, "rb") as file:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.read(), 0))
    kinds = {schema.TensorType.UINT8: "u1", schema.TensorType.INT32: "<i4"}
    for tensor in model.subgraphs[0].tensors:
        q, buffer = tensor.quantization, model.buffers[tensor.buffer]
        if q is None or q.scale is None:
            continue
        if buffer.data is not None and len(buffer.data):
            values = numpy.frombuffer(bytes(buffer.data), kinds[tensor.type]).astype("f8")
            values = (values - q.zeroPoint[0]) * q.scale[0]
            buffer.data = numpy.frombuffer(values.astype("<f4").tobytes(), "u1")
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    # The quantised softmax has its own type of output; the float one takes the same options.
    builder = flatbuffers.Builder(1 << 24)
    builder.Finish(model.Pack(builder), b"TFL3")
    with open(path, "wb") as file:
        file.write(builder.Output())
