#!/usr/bin/env python3
"""Turns published weights into the safetensors files that Maskwatch reads.

    convert_weights.py SRC DST [--labels FILE] [...]

SRC is a Keras .h5 or .keras, a TensorFlow SavedModel (its folder), a PyTorch .pth, an .onnx, a .tflite, a
face-api weights manifest (.json) or a folder of .npy files; DST the .safetensors file to write. See data/README.md for what is written.
Exit code 0, or with one line `error: ...` 2 for bad input and 1 where DST cannot be written. DST is written whole or
not at all.
"""

import argparse
import importlib
import os
import sys
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from maskwatch_convert import classifier, exported, head, mobilenet_v2, model_file  # noqa: E402
from maskwatch_convert.errors import CommandLine, ConvertError, printable  # noqa: E402
from maskwatch_convert.steps import USUAL_SIDE  # noqa: E402


OPTIONS = ("labels", "classes", "no_classifier", "input_size", "padding", "preprocessing")

# Which module reads which kind of file. A module imports the library of its format when it reads.
READERS = {
    "folder": "npy_folder",
    "SavedModel": "saved_model",
    ".keras": "keras_zip",
    ".h5": "keras_h5",
    ".hdf5": "keras_h5",
    ".model": "keras_h5",
    ".pth": "pytorch",
    ".pt": "pytorch",
    ".onnx": "onnx_file",
    ".tflite": "tflite_file",
    ".json": "face_api",
}


# (bytes, where they stand, kind): what a file is tells its beginning, where it has one of these.
MAGIC = [(b"\x89HDF\r\n\x1a\n", 0, ".h5"), (b"TFL3", 4, ".tflite")]


def kind_of(path):
    """Which reader takes the path: "folder", "SavedModel", or an ending, in lower case."""
    if os.path.isdir(path):
        return "SavedModel" if os.path.exists(os.path.join(path, "saved_model.pb")) else "folder"
    if not os.path.exists(path):
        raise ConvertError("no such file or folder")
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ConvertError(f"cannot be read: {error.strerror}") from error
    for magic, at, kind in MAGIC:
        if start[at : at + len(magic)] == magic:
            return kind
    if start.startswith(b"PK") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "model.weights.h5" in archive.namelist():
                return ".keras"
    if os.path.basename(path) == "saved_model.pb":
        raise ConvertError("is a part of a SavedModel; give the folder that it lies in")
    return os.path.splitext(path)[1].lower()


def convert(args):
    """Reads, checks and writes; returns the metadata written, and what was assumed."""
    kind = kind_of(args.source)
    if kind not in READERS:
        raise ConvertError(f"unknown kind of file '{kind}'; known are {', '.join(READERS)}")
    if os.path.exists(args.destination) and os.path.samefile(args.source, args.destination):
        raise ConvertError("SRC and DST are the same file; give another DST")
    try:
        reader = importlib.import_module(f"maskwatch_convert.{READERS[kind]}")
        source = reader.read(args.source)
        source = with_options(source, args)
        name = os.path.basename(os.path.normpath(args.source))
        tensors, metadata = source.tensors_and_metadata(name)
    except ConvertError:
        raise
    except Exception as error:  # the formats' libraries check little, and a damaged file fails anywhere
        if os.environ.get("MASKWATCH_TRACEBACK"):
            raise
        raise ConvertError(f"is damaged or of an unknown kind ({type(error).__name__}: {error}); "
                           "MASKWATCH_TRACEBACK=1 shows where") from error  # fmt: skip
    model_file.write(args.destination, tensors, metadata, half=getattr(source, "half", False))
    return metadata, getattr(source, "assumed", [])


def with_options(source, args):
    """The source as the user states it, which wins over what the reader took to be so."""
    given = {name for name in OPTIONS if getattr(args, name)}
    if given and isinstance(source, exported.Exported):
        source = source.changed_by_options()
    if not isinstance(source, mobilenet_v2.Source):
        if given:
            option = min(given).replace("_", "-")
            raise ConvertError(f"is a {source.architecture}, to which --{option} does not apply")
        return source
    if not source.scales_itself and not args.preprocessing:
        source.assumed.append(f"does not say how pixels are prepared; {source.preprocessing} is assumed "
                              "(--preprocessing names another way)")  # fmt: skip
    if source.scales_itself and args.preprocessing:
        raise ConvertError("says itself how pixels are prepared, so --preprocessing does not apply")
    for name in given & {"padding", "preprocessing", "input_size"}:
        setattr(source, name, getattr(args, name))
    if source.input_size is None:
        source.input_size = USUAL_SIDE
        source.assumed.append(f"does not say how large its pictures are; {USUAL_SIDE} pixels a side are assumed "
                              "(--input-size names another size)")  # fmt: skip
    if not args.padding:
        classifier.settle_padding(source)
    if args.no_classifier:
        source.classifier = source.mask_head = None
    else:
        head.settle(source)
    if args.labels:
        if source.classes() is None:
            raise ConvertError("has no classifier, so --labels has nothing to name")
        name_classes(source, read_labels(args.labels, source.classes()))
    if args.classes:
        if source.classes() is None:
            raise ConvertError("has no classifier, so --classes has nothing to explain")
        source.meanings = {**(source.meanings or {}), **meanings_of_names(args.classes)}
    return source


def name_classes(source, labels):
    """New names drop what the file says that the old ones mean."""
    if source.meanings and labels != source.labels:
        source.assumed.append("says what its classes mean, which is dropped with their old names (--classes says it "
                              "of the new ones)")  # fmt: skip
        source.meanings = None
    twice = next((name for i, name in enumerate(labels) if name in labels[:i]), None)
    if twice is not None:
        source.assumed.append(f"has two classes '{twice}' by --labels, which answers by name do not tell apart")
    source.labels = labels


MEANINGS = ("mask", "no_mask", "worn_wrongly", "other", "background")


def meanings_of_names(rules):
    """From MEANING=NAME,NAME to the meaning of each name."""
    meanings = {}
    for rule in rules:
        word, equals, names = rule.partition("=")
        if not equals or not all(names.split(",")):
            raise ConvertError(f"{rule}: not of the form meaning=name,name", "--classes")
        if word not in MEANINGS:
            raise ConvertError(f"'{word}' is not a meaning; use {', '.join(MEANINGS)}", "--classes")
        for name in names.split(","):
            if meanings.setdefault(name, word) != word:
                raise ConvertError(f"'{name}' has two meanings", "--classes")
    return meanings


def read_labels(path, classes):
    """The names of so many classes, one a line."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = [line.strip() for line in file.read().rstrip().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise ConvertError(f"labels cannot be read: {error}", path) from error
    if names == [""]:
        raise ConvertError("names no class; give one name a line", path)
    if "" in names:
        raise ConvertError(f"line {names.index('') + 1} is blank where the name of a class is due", path)
    if len(names) != classes:
        raise ConvertError(f"{len(names)} labels for {classes} classes", path)
    return names


def name_of_file(text):
    if not text:
        raise argparse.ArgumentTypeError("names no file")
    return text


def side(text):
    if not text.isdigit() or not 32 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 32 to 1024")
    return int(text)


def arguments():
    parser = CommandLine(
        description="Turns published weights into Maskwatch's safetensors files."
    )
    parser.add_argument("source", metavar="SRC", help="weights file, manifest or folder of .npy")
    parser.add_argument("destination", metavar="DST", help="the .safetensors file to write")
    parser.add_argument("--labels", metavar="FILE", type=name_of_file, help="class names of the classifier, one a line")
    parser.add_argument("--classes", metavar="MEANING=NAME,NAME", nargs="+",
                        help=f"what class names mean that do not say it: {', '.join(MEANINGS)}")  # fmt: skip
    parser.add_argument("--no-classifier", action="store_true", help="leave the classifier out")
    parser.add_argument("--input-size", type=side, metavar="N", help="side of the input in pixels")
    parser.add_argument("--padding", choices=["tf", "symmetric"], help="padding at stride 2")
    parser.add_argument("--preprocessing", choices=["tf", "unit", "imagenet"], help="scaling of the input")
    return parser


def main(command_line=None):
    args = arguments().parse_args(command_line)
    try:
        metadata, assumed = convert(args)
    except ConvertError as error:
        print(printable(f"error: {error.path or args.source}: {error}"), file=sys.stderr)
        return error.exit_code
    for note in assumed:
        print(printable(f"note: {args.source}: {note}"), file=sys.stderr)
    facts = ", ".join(f"{k} {metadata[k]}" for k in ("width", "preprocessing", "batch_norm", "head") if k in metadata)
    print(printable(f"{args.destination}: {metadata['architecture']} ({facts})"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
