"""Reading a Maskwatch safetensors file: tensors in float32, metadata by name, every fault named."""

import json
import os
import struct
from dataclasses import dataclass

from .errors import ConvertError, need

WHAT = "such as Maskwatch's programs and convert_weights.py write"


@dataclass
class OurModel:
    """`tensors` in float32, in the layouts of data/README.md; `half`: the file holds them as float16; `rounded`: some of
    them were integers of 8 bits."""

    tensors: dict
    metadata: dict
    half: bool = False
    rounded: bool = False

    def text(self, key):
        if key not in self.metadata:
            raise ConvertError(f"is not a Maskwatch model: metadata {key} is missing")
        return self.metadata[key]

    def number(self, key, least, most):
        """A number above `least`, at most `most`."""
        try:
            value = float(self.text(key))
        except ValueError as error:
            raise ConvertError(f"metadata {key} is '{self.text(key)}', not a number") from error
        if not least < value <= most:
            raise ConvertError(f"metadata {key} is out of range: {self.text(key)}")
        return value

    def whole_number(self, key, least, most):
        value = self.number(key, least - 1, most)
        if value != int(value):
            raise ConvertError(f"metadata {key} is {self.text(key)}, not a whole number")
        return int(value)

    def choice(self, key, known):
        if self.text(key) not in known:
            raise ConvertError(f"metadata {key} is '{self.text(key)}'; known are {', '.join(known)}")
        return self.text(key)

    def labels(self):
        """The names of two classes or more."""
        try:
            names = json.loads(self.text("labels"))
        except ValueError:
            names = None
        if not isinstance(names, list) or len(names) < 2 or not all(isinstance(n, str) for n in names):
            raise ConvertError("metadata labels is not a list of two names or more")
        return names


def values_of(kind, data, name):
    """Flat float32 values of a tensor's bytes."""
    numpy = need("numpy")
    if kind == "I8":
        return numpy.frombuffer(data, "i1").astype(numpy.float32)
    if kind in ("F32", "F16"):
        return numpy.frombuffer(data, {"F32": "<f4", "F16": "<f2"}[kind]).astype(numpy.float32)
    if kind == "BF16":
        return (numpy.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    raise ConvertError(f"tensor '{name}' has the type {kind}; F32, F16, BF16 and I8 are known")


def metadata_of(content):
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]).get("__metadata__", {})


def read(path):
    """The OurModel of a file; a ConvertError says what is wrong with it."""
    safetensors = need("safetensors")
    if not os.path.exists(path):
        raise ConvertError("no such file")
    if not os.path.isfile(path):
        raise ConvertError(f"is not a file; give a .safetensors, {WHAT}")
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ConvertError(f"cannot be read: {error.strerror}") from error
    try:
        entries = safetensors.deserialize(content)
    except Exception as error:  # the library has several
        raise ConvertError(f"is not a safetensors file, {WHAT} ({error})") from error
    metadata = metadata_of(content)
    if "architecture" not in metadata:
        raise ConvertError(f"is a safetensors file of another program, not one {WHAT}: metadata architecture is missing")
    tensors, kinds = {}, set()
    for name, entry in entries:
        values = values_of(entry["dtype"], entry["data"], name).reshape(entry["shape"])
        check_values(name, values)
        tensors[name] = values
        kinds.add(entry["dtype"])
    scale([name for name, entry in entries if entry["dtype"] == "I8"], tensors)
    return OurModel(tensors, metadata, kinds == {"F16"}, "I8" in kinds)


def scale(names, tensors):
    """Integers become the numbers that they stand for."""
    for name in names:
        scales = tensors.pop(name + "_scale", None)
        if scales is None or tensors[name].shape[-1:] != scales.shape:
            raise ConvertError(f"tensor '{name}' is of integers, without a scale for each index of its last axis")
        tensors[name] = tensors[name] * scales


def check_values(name, values):
    """As the programs check them, so that no damaged model is exported."""
    numpy = need("numpy")
    if not numpy.isfinite(values).all():
        raise ConvertError(f"tensor '{name}' holds a number that is not finite")
    if name.endswith("variance") and (values < 0).any():
        raise ConvertError(f"tensor '{name}' holds a negative variance")
