"""The models that int8.py compares: one network for each engine, quantised by the engine's own tool on the same pictures.

make(...) gives a list of Model; a tool that is not installed or fails is named on standard error and left out.
"""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@dataclasses.dataclass
class Model:
    name: str
    engine: str  # of int8_worker.py, or "ours"
    file: pathlib.Path
    bytes: int = 0


def metadata_of(path):
    with open(path, "rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]


def planes(pictures):
    """NHWC as batches of one picture, NCHW."""
    return [numpy.ascontiguousarray(x.transpose(2, 0, 1)[None]) for x in pictures]


def onnx_float(folder, model):
    """The network with batch norms folded, as ONNX Runtime's quantiser wants it. Any batch."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    exported, ready = folder / "exported.onnx", folder / "float.onnx"
    subprocess.run([sys.executable, ROOT / "data/export_onnx.py", model, exported], check=True, stdout=sys.stderr)
    quant_pre_process(str(exported), str(ready), skip_symbolic_shape=True)
    return ready


def onnx_int8(folder, ready, pictures):
    """As it does best on processors with VNNI: QDQ, weights int8 for each channel, activations uint8."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter([{"input": x} for x in planes(pictures)])

        def get_next(self):
            return next(self.left, None)

    path = folder / "qdq.onnx"
    quantize_static(str(ready), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)  # fmt: skip
    return path


def openvino_int8(folder, ready, pictures):
    import nncf
    import openvino

    model = openvino.Core().read_model(str(ready))
    made = nncf.quantize(model, nncf.Dataset(planes(pictures)), subset_size=len(pictures), target_device=nncf.TargetDevice.CPU)
    path = folder / "nncf.xml"
    openvino.save_model(made, path, compress_to_fp16=False)
    return path


def keras_model(ready, size):
    """The convolutions, additions and heads of an ONNX classifier in Keras' layers."""
    import keras
    import onnx

    graph = onnx.load(str(ready)).graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    source = keras.Input((size, size, 3))
    values, weights = {graph.input[0].name: source}, []
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        x = values[node.input[0]]
        if node.op_type == "Conv":
            x, layer, kernel = convolution(keras, x, constants[node.input[1]], attributes)
            weights.append((layer, [kernel, constants[node.input[2]]]))
            y = layer(x)
        elif node.op_type == "Gemm":
            kernel = constants[node.input[1]]
            layer = keras.layers.Dense(kernel.shape[0 if attributes.get("transB") else 1])
            weights.append((layer, [kernel.T if attributes.get("transB") else kernel, constants[node.input[2]]]))
            y = layer(x)
        elif node.op_type == "Add":
            y = keras.layers.Add()([x, values[node.input[1]]])
        elif node.op_type == "Flatten":
            y = x
        else:
            layers = {"Clip": lambda: keras.layers.ReLU(6.0), "Relu": keras.layers.ReLU, "Softmax": keras.layers.Softmax,
                      "Sigmoid": lambda: keras.layers.Activation("sigmoid"),
                      "GlobalAveragePool": keras.layers.GlobalAveragePooling2D}  # fmt: skip
            y = layers[node.op_type]()(x)
        values[node.output[0]] = y
    model = keras.Model(source, values[graph.output[0].name])
    for layer, numbers in weights:
        layer.set_weights(numbers)
    return model


def convolution(keras, x, kernel, attributes):
    """(input, layer, kernel in Keras' layout). TensorFlow's own padding where it is that: it costs nothing."""
    pads, stride, side = attributes["pads"], attributes["strides"][0], kernel.shape[2]
    total = max(side - (stride if x.shape[1] % stride == 0 else x.shape[1] % stride), 0)
    padding = "same"
    if list(pads) != [total // 2, total // 2, total - total // 2, total - total // 2]:
        padding, x = "valid", keras.layers.ZeroPadding2D(((pads[0], pads[2]), (pads[1], pads[3])))(x)
    if attributes["group"] > 1:
        return x, keras.layers.DepthwiseConv2D(side, stride, padding), kernel.transpose(2, 3, 0, 1)
    return x, keras.layers.Conv2D(kernel.shape[0], side, stride, padding), kernel.transpose(2, 3, 1, 0)


def litert_int8(folder, ready, pictures):
    import tensorflow

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(keras_model(ready, pictures.shape[1]))
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None]] for x in pictures)
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tensorflow.int8
    path = folder / "int8.tflite"
    path.write_bytes(converter.convert())
    return path


def torch_model(ready):
    """The same in PyTorch's modules, as a graph that its quantiser takes, and whether a ReLU is to end at 6: those are ReLUs here,
    which join the convolution before them."""
    import onnx
    import torch
    from torch import nn

    graph = onnx.load(str(ready)).graph
    constants = {c.name: torch.from_numpy(onnx.numpy_helper.to_array(c).copy()) for c in graph.initializer}
    root, traced = nn.Module(), torch.fx.Graph()
    values, ends_at_6 = {graph.input[0].name: traced.placeholder("x")}, False
    for i, node in enumerate(graph.node):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        x = values[node.input[0]]

        def call(module, x, name=f"layer{i}"):
            root.add_module(name, module)
            return traced.call_module(name, (x,))

        if node.op_type == "Conv":
            weight = constants[node.input[1]]
            top, left, bottom, right = attributes["pads"]
            even = (top, left) == (bottom, right)
            if not even:
                x = call(nn.ConstantPad2d((left, right, top, bottom), 0.0), x, f"pad{i}")
            layer = nn.Conv2d(weight.shape[1] * attributes["group"], weight.shape[0], tuple(weight.shape[2:]), attributes["strides"],
                              (top, left) if even else 0, groups=attributes["group"])  # fmt: skip
            layer.weight.data, layer.bias.data = weight, constants[node.input[2]]
            y = call(layer, x)
        elif node.op_type == "Gemm":
            weight = constants[node.input[1]]
            weight = weight if attributes.get("transB") else weight.T.contiguous()
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data, layer.bias.data = weight, constants[node.input[2]]
            y = call(layer, x)
        elif node.op_type == "Add":
            y = traced.call_function(torch.add, (x, values[node.input[1]]))
        elif node.op_type == "Flatten":
            y = traced.call_function(torch.flatten, (x, 1))
        else:
            ends_at_6 |= node.op_type == "Clip"
            y = call({"Clip": nn.ReLU, "Relu": nn.ReLU, "Softmax": lambda: nn.Softmax(1), "Sigmoid": nn.Sigmoid,
                      "GlobalAveragePool": lambda: nn.AdaptiveAvgPool2d(1)}[node.op_type](), x)  # fmt: skip
        values[node.output[0]] = y
    traced.output(values[graph.output[0].name])
    return torch.fx.GraphModule(root, traced).eval(), ends_at_6


def torch_int8(folder, ready, pictures):
    """By the quantiser of graphs, for oneDNN, which takes codes of 8 bits (that for x86 takes 7). Ranges are found with ReLUs that end at 6, as codes then do."""
    import torch
    from torch.ao.nn.intrinsic import ConvReLU2d
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    torch.backends.quantized.engine = "onednn"
    model, ends_at_6 = torch_model(ready)
    batches = [torch.from_numpy(x) for x in planes(pictures)]
    prepared = prepare_fx(model, get_default_qconfig_mapping("onednn"), (batches[0],))
    hooks = [m.register_forward_hook(lambda _, __, y: y.clamp(max=6)) for m in prepared.modules() if ends_at_6 and isinstance(m, ConvReLU2d)]
    with torch.inference_mode():
        for batch in batches:
            prepared(batch)
    for hook in hooks:
        hook.remove()
    path = folder / "torch.pt"
    torch.jit.save(torch.jit.freeze(torch.jit.trace(convert_fx(prepared), batches[0])), str(path))
    return path


def ncnn_int8(folder, ready, pictures):
    """With ncnn2table and ncnn2int8, which lie in PATH where somebody built ncnn's tools: its Python package comes without them."""
    tools = [shutil.which(name) for name in ("ncnn2table", "ncnn2int8")]
    if not all(tools):
        raise FileNotFoundError("ncnn2table and ncnn2int8 are not in PATH")
    size = pictures.shape[1]
    plain, table, made = folder / "ncnn_float", folder / "ncnn.table", folder / "ncnn_int8.bin"
    names = {"pnnxparam": "pnnx.param", "pnnxbin": "pnnx.bin", "pnnxpy": "pnnx.py", "pnnxonnx": "pnnx.onnx",
             "ncnnparam": f"{plain.name}.param", "ncnnbin": f"{plain.name}.bin", "ncnnpy": "pnnx_ncnn.py"}  # fmt: skip
    files = [folder / f"ncnn_{i}.npy" for i in range(len(pictures))]
    for file, picture in zip(files, planes(pictures)):
        numpy.save(file, picture[0])
    (folder / "ncnn_list").write_text("".join(f"{file}\n" for file in files))
    plain_files = [plain.with_suffix(".param"), plain.with_suffix(".bin")]
    for command in (
        [pathlib.Path(sys.executable).parent / "pnnx", ready, f"inputshape=[1,3,{size},{size}]", "fp16=0", *(f"{k}={v}" for k, v in names.items())],
        [tools[0], *plain_files, folder / "ncnn_list", table, f"shape=[{size},{size},3]", "method=kl", "type=1"],
        [tools[1], *plain_files, made.with_suffix(".param"), made, table],
    ):  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    return made


def make(folder, build, model, paths, pictures):
    """Files in `folder` of the network in the file `model`. `pictures` [n,size,size,3] are prepared; `paths` the same ones' files."""
    linked = folder / "pictures"
    linked.mkdir()
    for i, path in enumerate(paths):
        (linked / f"{i:05}{path.suffix}").symlink_to(path.resolve())
    ours = folder / "int8.safetensors"
    subprocess.run([build / "apps/quantize_model", model, "-d", linked, "-o", ours], check=True, stdout=sys.stderr)
    ready = onnx_float(folder, model)
    models = [Model("Maskwatch float32", "ours", model), Model("Maskwatch int8", "ours", ours),
              Model("ONNX Runtime float32", "onnxruntime", ready), Model("OpenVINO float32", "openvino", ready)]  # fmt: skip

    def add(name, engine, quantise):
        try:
            models.append(Model(name, engine, quantise(folder, ready, pictures)))
        except Exception as failure:  # each tool fails in its own ways
            reason = str(failure).strip().splitlines()
            print(f"{name} is left out: {type(failure).__name__}: {reason[0] if reason else ''}", file=sys.stderr)

    add("ONNX Runtime int8 (QDQ)", "onnxruntime", onnx_int8)
    add("OpenVINO int8 (NNCF)", "openvino", openvino_int8)
    if (folder / "qdq.onnx").exists():
        models.append(Model("OpenVINO int8 (QDQ)", "openvino", folder / "qdq.onnx"))
    add("LiteRT int8", "litert", litert_int8)
    add("PyTorch int8", "torch", torch_int8)
    add("ncnn int8", "ncnn", ncnn_int8)
    for made in models:
        weights = made.file.with_suffix(".bin") if made.file.suffix == ".xml" else made.file
        made.bytes = weights.stat().st_size
    return models
