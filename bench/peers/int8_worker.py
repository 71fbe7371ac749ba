"""One engine with one model file in a process of its own, for int8.py: the same questions and answers as
bench/nn/serve.cc.

    int8_worker.py ENGINE FILE --size S --batch N --threads T

Each engine is set up for the least time of a call: as many threads as asked, on cores of their own where it can be told so, and
nothing in a call that can be done before it.
"""

import argparse
import pathlib

import numpy

import worker


class OpenVino(worker.OpenVino):
    """An .onnx file, or the .xml of NNCF's model."""

    def __init__(self, a):
        import openvino

        core, self.openvino = openvino.Core(), openvino
        model = core.read_model(a.onnx)
        model.reshape([a.batch, 3, a.size, a.size])
        self.request = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": a.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": True,
            "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()  # fmt: skip


class LiteRt(worker.LiteRt):
    """With XNNPACK, which the interpreter takes by itself. A model that takes integers gets them ready made."""

    def __init__(self, a):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(a.onnx, num_threads=a.threads)

    def give(self, pictures):
        source = self.interpreter.get_input_details()[0]
        scale, zero = source["quantization"]
        if source["dtype"] != numpy.float32:
            limits = numpy.iinfo(source["dtype"])
            pictures = numpy.clip(numpy.rint(pictures / scale) + zero, limits.min, limits.max).astype(source["dtype"])
        super().give(pictures)

    def logits(self):
        scale, zero = self.interpreter.get_output_details()[0]["quantization"]
        values = super().logits()
        return values if values.dtype == numpy.float32 else (values.astype(numpy.float32) - zero) * scale


class Ncnn(worker.Ncnn):
    """FILE: the .bin, beside its .param."""

    def __init__(self, a):
        import ncnn

        self.ncnn, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = a.threads
        self.net.load_param(str(pathlib.Path(a.onnx).with_suffix(".param")))
        self.net.load_model(a.onnx)


class Torch(worker.Torch):
    def network(self, a):
        self.torch.backends.quantized.engine = "onednn"
        return self.torch.jit.load(a.onnx)


ENGINES = {"torch": Torch, "onnxruntime": worker.OnnxRuntime, "openvino": OpenVino, "litert": LiteRt, "ncnn": Ncnn}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("onnx", metavar="FILE")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    worker.serve(lambda: ENGINES[args.engine](args), (args.batch, args.size, args.size, 3))


if __name__ == "__main__":
    main()
