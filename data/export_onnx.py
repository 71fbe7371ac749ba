#!/usr/bin/env python3
"""Turns a model of Maskwatch into ONNX, for other runtimes.

    export_onnx.py MODEL.safetensors OUT.onnx [--with-preprocessing] [...]

MODEL is a classifier, a face detector or a landmark network, such as those in data/models and those that the training
programs and convert_weights.py write. data/README.md says what OUT takes and gives. convert_weights.py makes MODEL of
OUT again.
Exit code 0, or with one line `error: ...` 2 for bad input and 1 where OUT cannot be written. OUT is written whole or
not at all.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from maskwatch_convert import model_file, our_file, to_onnx  # noqa: E402
from maskwatch_convert.errors import CommandLine, ConvertError, printable  # noqa: E402
from maskwatch_convert.onnx_builder import ExportOptions, MOST_BATCH, OPSET, SIDES  # noqa: E402


def size(text):
    """(width, height) of SIDE or WxH."""
    sides = text.split("x") if "x" in text else [text, text]
    if len(sides) != 2 or not all(s.isdecimal() and SIDES[0] <= int(s) <= SIDES[1] for s in sides):
        raise argparse.ArgumentTypeError(
            f"{text} is neither SIDE nor WIDTHxHEIGHT, in whole pixels from {SIDES[0]} to {SIDES[1]}"
        )
    return tuple(int(s) for s in sides)


def batch(text):
    if not text.isdecimal() or not 1 <= int(text) <= MOST_BATCH:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to {MOST_BATCH}")
    return int(text)


def arguments():
    parser = CommandLine(
        description="Turns a model of Maskwatch (classifier, face detector, landmarks) into an ONNX file.",
        epilog=f"Opset {OPSET}. convert_weights.py OUT.onnx MODEL.safetensors goes back, to the same tensors.",
    )
    parser.add_argument("model", metavar="MODEL", help="the .safetensors file of a classifier, a face detector or a landmark network")
    parser.add_argument("output", metavar="OUT", help="the .onnx file to write")
    parser.add_argument("--with-preprocessing", action="store_true",
                        help="takes uint8 pictures [batch, height, width, 3], RGB, and prepares them in the graph "
                        "(else float32 [batch, 3, height, width], prepared as the metadata 'preprocessing' says)")  # fmt: skip
    parser.add_argument("--size", type=size, metavar="SIDE|WxH",
                        help="of our detector: pictures have this size, and anchors are constants (else any size)")  # fmt: skip
    parser.add_argument("--batch", type=batch, metavar="N", help="takes N pictures at a time (else any number)")
    parser.add_argument("--raw", action="store_true",
                        help="ends with logits; a detector, with the numbers of each anchor instead of boxes; landmarks, "
                        "with shares instead of pixels")  # fmt: skip
    parser.add_argument("--precision", choices=["f32", "f16"], default="f32",
                        help="of stored weights; f16 halves the file, and what is computed stays in float32 "
                        "(default: f32)")  # fmt: skip
    return parser


def shape_text(info):
    dims = [d.dim_param or str(d.dim_value) for d in info.type.tensor_type.shape.dim]
    return f"{info.name} [{', '.join(dims)}]"


def export(args):
    """Reads, builds, checks and writes; returns the ONNX model, and what else there is to say of it."""
    if os.path.exists(args.output) and os.path.exists(args.model) and os.path.samefile(args.model, args.output):
        raise ConvertError("MODEL and OUT are the same file; give another OUT")
    options = ExportOptions(args.with_preprocessing, args.raw, args.size, args.batch, args.precision == "f16")
    model = our_file.read(args.model)
    try:
        made = to_onnx.exported(model, options)
    except ConvertError:
        raise
    except Exception as error:  # metadata that are damaged fail anywhere
        if os.environ.get("MASKWATCH_TRACEBACK"):
            raise
        raise ConvertError(f"is damaged ({type(error).__name__}: {error}); MASKWATCH_TRACEBACK=1 shows where") from error
    model_file.write_atomically(args.output, made.SerializeToString(deterministic=True))
    said = ""
    if "quantization" in model.metadata:
        weights = "; its weights were rounded to integers of 8 bits" if model.rounded else ""
        said = f"{args.model} runs in int8, the graph in float32{weights}"
    return made, said


def main(command_line=None):
    args = arguments().parse_args(command_line)
    try:
        made, said = export(args)
    except ConvertError as error:
        print(printable(f"error: {error.path or args.model}: {error}"), file=sys.stderr)
        return error.exit_code
    inputs, outputs = (", ".join(map(shape_text, part)) for part in (made.graph.input, made.graph.output))
    print(printable(f"{args.output}: {made.graph.name}, {inputs} -> {outputs}"))
    if said:
        print(printable(f"note: {said}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
