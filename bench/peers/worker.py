"""One engine in a process of its own, for run.py: the same questions and answers as bench/nn/serve.cc.

    worker.py ENGINE MODEL_FOLDER --width W --size S --batch N --threads T

Each engine is set up as its users would for a CPU: float32, as many threads as asked, its own choice of layout, weights
constant. What it prints goes to standard error; answers alone go to standard output.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy

import networks

HERE = pathlib.Path(__file__).parent


def version(package):
    return importlib.metadata.version(package)


class OnnxRuntime:
    def __init__(self, a):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = a.threads, 1, 3
        self.session = onnxruntime.InferenceSession(a.onnx, options, providers=["CPUExecutionProvider"])
        self.version, self.numpy_to_value = version("onnxruntime"), onnxruntime.OrtValue.ortvalue_from_numpy

    def give(self, pictures):
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input("input", self.numpy_to_value(pictures.transpose(0, 3, 1, 2).copy()))
        self.binding.bind_output(self.session.get_outputs()[0].name, "cpu")

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def logits(self):
        self.run()
        return self.binding.copy_outputs_to_cpu()[0]


class OpenVino:
    def __init__(self, a):
        import openvino

        core = openvino.Core()
        self.compiled = core.compile_model(core.read_model(a.onnx), "CPU", {
            "INFERENCE_NUM_THREADS": a.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})  # fmt: skip
        self.request, self.openvino = self.compiled.create_infer_request(), openvino
        self.version = version("openvino")

    def give(self, pictures):
        self.request.set_input_tensor(self.openvino.Tensor(pictures.transpose(0, 3, 1, 2).copy()))

    def run(self):
        self.request.infer()

    def logits(self):
        self.run()
        return self.request.get_output_tensor(0).data.copy()


class LiteRt:
    def __init__(self, a):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(a.folder / "model.tflite"), num_threads=a.threads)
        self.version = version("ai-edge-litert")

    def give(self, pictures):
        source = self.interpreter.get_input_details()[0]["index"]
        self.interpreter.resize_tensor_input(source, pictures.shape)
        self.interpreter.allocate_tensors()
        self.interpreter.set_tensor(source, pictures)

    def run(self):
        self.interpreter.invoke()

    def logits(self):
        self.run()
        return self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])


class Ncnn:
    """A picture after the other: ncnn knows no batch."""

    def __init__(self, a):
        import ncnn

        self.convert(a.folder)
        self.ncnn, self.net = ncnn, ncnn.Net()
        options = self.net.opt
        options.num_threads = a.threads
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(options, name, False)
        self.net.load_param(str(a.folder / "model.ncnn.param"))
        self.net.load_model(str(a.folder / "model.ncnn.bin"))
        self.version = version("ncnn")

    def convert(self, folder):
        if (folder / "model.ncnn.bin").exists():
            return
        names = {"pnnxparam": "model.pnnx.param", "pnnxbin": "model.pnnx.bin", "pnnxpy": "model_pnnx.py",
                 "pnnxonnx": "model.pnnx.onnx", "ncnnparam": "model.ncnn.param", "ncnnbin": "model.ncnn.part",
                 "ncnnpy": "model_ncnn.py"}  # fmt: skip
        subprocess.run([pathlib.Path(sys.executable).parent / "pnnx", "model_b1.onnx", "fp16=0"] + [f"{k}={v}" for k, v in names.items()],
                       cwd=folder, check=True, stdout=sys.stderr)
        (folder / "model.ncnn.part").rename(folder / "model.ncnn.bin")

    def give(self, pictures):
        # A Mat does not keep the array alive whose memory it uses.
        self.planes = [p.transpose(2, 0, 1).copy() for p in pictures]
        self.inputs = [self.ncnn.Mat(planes) for planes in self.planes]

    def run(self):
        self.results = []
        for picture in self.inputs:
            extractor = self.net.create_extractor()
            extractor.input("in0", picture)
            self.results.append(extractor.extract("out0")[1])

    def logits(self):
        self.run()
        return numpy.stack([numpy.array(r).reshape(-1) for r in self.results])


class OpenCv:
    def __init__(self, a):
        import cv2

        cv2.setNumThreads(a.threads)
        self.net = cv2.dnn.readNetFromONNX(a.onnx)
        self.version = cv2.__version__

    def give(self, pictures):
        self.pictures = pictures.transpose(0, 3, 1, 2).copy()

    def run(self):
        self.net.setInput(self.pictures)
        self.result = self.net.forward()

    def logits(self):
        self.run()
        return self.result


class TensorFlow:
    def __init__(self, a):
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(a.threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        model = networks.keras_model(networks.load_state(a.folder), a.width, a.size)
        self.function = tensorflow.function(lambda x: model(x, training=False), jit_compile=False)
        self.tensorflow, self.version = tensorflow, tensorflow.__version__

    def give(self, pictures):
        self.pictures = self.tensorflow.constant(pictures)

    def run(self):
        self.result = self.function(self.pictures).numpy()

    def logits(self):
        self.run()
        return self.result


class Torch:
    compiled = False

    def __init__(self, a):
        import torch

        torch.set_num_threads(a.threads)
        self.torch, self.version = torch, torch.__version__
        self.module = self.network(a).to(memory_format=torch.channels_last)
        self.step = self.module
        if self.compiled:
            import torch._inductor.config

            torch._inductor.config.freezing = not a.train
            self.step = torch.compile(self.module)

    def network(self, a):
        return networks.torch_module(networks.load_state(a.folder), a.width, True).eval()

    def give(self, pictures):
        pictures = self.torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2)
        self.pictures = pictures.contiguous(memory_format=self.torch.channels_last)

    def run(self):
        with self.torch.inference_mode():
            self.result = self.step(self.pictures)

    def logits(self):
        with self.torch.no_grad():
            return self.step(self.pictures).numpy()


class TorchCompiled(Torch):
    compiled = True

    def run(self):
        with self.torch.no_grad():
            self.result = self.step(self.pictures)


class TorchTraining(Torch):
    """A whole step: forward with batch statistics, backward, Adam."""

    def __init__(self, a):
        super().__init__(a)
        self.optimiser = self.torch.optim.Adam(self.module.parameters(), lr=1e-4, eps=1e-7, fused=True)

    def network(self, a):
        return networks.torch_module(networks.load_state(a.folder), a.width, False).train()

    def run(self):
        targets = self.torch.arange(len(self.pictures)) % networks.CLASSES
        loss = self.torch.nn.functional.cross_entropy(self.step(self.pictures), targets)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class TorchTrainingCompiled(TorchTraining):
    compiled = True


ENGINES = {
    "onnxruntime": OnnxRuntime, "openvino": OpenVino, "litert": LiteRt, "ncnn": Ncnn, "opencv": OpenCv,
    "tensorflow": TensorFlow, "torch": Torch, "torch compiled": TorchCompiled,
}  # fmt: skip
TRAINERS = {"torch": TorchTraining, "torch compiled": TorchTrainingCompiled}


def milliseconds(run):
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def answer(engine, line, shape):
    verb, _, argument = line.partition(" ")
    if verb == "run":
        return [milliseconds(engine.run) for _ in range(int(argument))]
    if verb == "input":
        engine.give(numpy.fromfile(argument, numpy.float32).reshape(shape))
    elif verb == "output":
        numpy.ascontiguousarray(engine.logits(), numpy.float32).tofile(argument)
    elif verb == "version":
        return engine.version
    return True


def serve(make_engine, shape):
    """Answers what standard input asks of make_engine(), whose pictures have this shape."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        engine = make_engine()
    except Exception as failure:  # any engine may fail in its own way: its row says how
        print(json.dumps({"failed": f"{type(failure).__name__}: {failure}"}), file=answers)
        return
    print(json.dumps("ready"), file=answers)
    for line in sys.stdin:
        try:
            result = answer(engine, line.strip(), shape)
        except Exception as failure:
            result = {"failed": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(result), file=answers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--train", action="store_true")
    args = parser.parse_args()
    args.onnx = str(args.folder / f"model_b{args.batch}.onnx")
    engines = TRAINERS if args.train else ENGINES
    serve(lambda: engines[args.engine](args), (args.batch, args.size, args.size, 3))


if __name__ == "__main__":
    main()
