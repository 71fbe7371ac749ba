"""Each format's own runtime on a MobileNetV2 file: what the converted files are compared with.

run(path, x) -> (features [N, 1280], logits [N, classes] or None); x is NHWC float32, preprocessed.
"""

import os

import numpy


def run(path, x):
    kinds = {".h5": keras_h5, ".pth": torchvision_pth, ".onnx": onnx_file, ".tflite": tflite_file}
    return kinds[os.path.splitext(path)[1]](path, x)


def keras_h5(path, x):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import h5py
    import keras

    with h5py.File(path, "r") as file:
        if "sequential" in file.attrs["model_config"]:
            return teachable_machine(file, x)
    model = keras.models.load_model(path, compile=False)
    pool = next(n for n in model.layers if isinstance(n, keras.layers.GlobalAveragePooling2D))
    trunk = keras.Model(model.inputs, pool.output)
    return trunk.predict(x, verbose=0), model.predict(x, verbose=0)


def teachable_machine(file, x):
    """Keras 3 cannot load the nested Sequential models of Keras 2, so the parts are put together here:
    keras.applications' network, filled by the names of its layers, and the Dense layers as configured."""
    import json

    import keras

    found = {}
    file["model_weights"].visititems(
        lambda path, item: found.update({path.split(":")[0]: item[()]}) if hasattr(item, "shape") else None
    )
    values = {"/".join(p.split("/")[-2:]).replace("depthwise_kernel", "kernel"): v for p, v in found.items()}
    alpha = values["Conv_1/kernel"].shape[2] / 320
    trunk = keras.applications.MobileNetV2(
        input_shape=x.shape[1:], alpha=alpha, include_top=False, pooling="avg", weights=None
    )
    config = json.loads(file.attrs["model_config"])
    dense = [n["config"] for n in config["config"]["layers"][-1]["config"]["layers"][1:]]
    keys = ("name", "units", "activation", "use_bias")
    head = keras.Sequential([keras.layers.Dense(**{k: c[k] for k in keys}) for c in dense])
    head.build((None, trunk.output.shape[-1]))
    for layer in trunk.layers + head.layers:
        layer.set_weights([values[f"{layer.name}/{w.name}"] for w in layer.weights])
    features = trunk.predict(x, verbose=0)
    return features, head.predict(features, verbose=0)


def torchvision_module(width=1.0, classes=1000):
    """MobileNetV2 with torchvision's names and order of parameters."""
    from torch import nn

    def divisible(channels):
        rounded = max(8, int(channels + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels else rounded

    def conv_norm(inputs, outputs, window, stride=1, groups=1):
        conv = nn.Conv2d(inputs, outputs, window, stride, window // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride, expansion):
            super().__init__()
            hidden = inputs * expansion
            self.residual = stride == 1 and inputs == outputs
            parts = [conv_norm(inputs, hidden, 1)] if expansion != 1 else []
            parts += [conv_norm(hidden, hidden, 3, stride, hidden)]
            parts += [nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
            self.conv = nn.Sequential(*parts)

        def forward(self, x):
            return x + self.conv(x) if self.residual else self.conv(x)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            channels, last = divisible(32 * width), divisible(1280 * max(1.0, width))
            layers = [conv_norm(3, channels, 3, 2)]
            stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
            for t, c, n, s in stages + [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
                for i in range(n):
                    layers.append(Block(channels, divisible(c * width), s if i == 0 else 1, t))
                    channels = divisible(c * width)
            self.features = nn.Sequential(*layers, conv_norm(channels, last, 1))
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

        def forward(self, x):
            features = self.features(x).mean((2, 3))
            return features, self.classifier(features)

    return Network().eval()


def torchvision_pth(path, x):
    import torch

    state = torch.load(path, weights_only=True)
    channels, classes = state["features.0.0.weight"].shape[0], state["classifier.1.bias"].shape[0]
    model = torchvision_module(channels / 32, classes)
    model.load_state_dict(state)
    with torch.no_grad():
        features, logits = model(torch.from_numpy(x).permute(0, 3, 1, 2))
    return features.numpy(), logits.numpy()


def onnx_file(path, x):
    import onnx

    model = onnx.load(path)
    pool = next(n for n in model.graph.node if n.op_type in ("GlobalAveragePool", "ReduceMean"))
    model.graph.output.append(onnx.ValueInfoProto(name=pool.output[0]))
    session = onnx_session(model.SerializeToString())
    names = [o.name for o in session.get_outputs()]
    name = session.get_inputs()[0].name
    results = [session.run(names, {name: p[None].transpose(0, 3, 1, 2)}) for p in x]
    features = numpy.concatenate([r[-1].reshape(1, -1) for r in results])
    return features, numpy.concatenate([r[0].reshape(1, -1) for r in results])


def onnx_session(model):
    """An ONNX Runtime session of a path or of the file's bytes, without its warnings."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def tflite_file(path, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    kinds = ("AvgPool", "Mean")
    details = interpreter.get_tensor_details()
    pool = next(t for t in details if t["name"].split("/")[-1].split(":")[0] in kinds)
    features, logits = [], []
    for p in x:
        interpreter.set_tensor(source["index"], quantised(p[None], source))
        interpreter.invoke()
        features.append(dequantised(interpreter.get_tensor(pool["index"]), pool).reshape(-1))
        logits.append(dequantised(interpreter.get_tensor(result["index"]), result).reshape(-1))
    return numpy.stack(features), numpy.stack(logits)


def quantised(values, detail):
    scale, zero = detail["quantization"]
    if not scale:
        return values
    return numpy.clip(numpy.round(values / scale) + zero, 0, 255).astype(detail["dtype"])


def dequantised(values, detail):
    scale, zero = detail["quantization"]
    return (values.astype(numpy.float32) - zero) * scale if scale else values
