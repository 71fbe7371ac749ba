"""Writing a Maskwatch safetensors file: checked, atomic, metadata as strings."""

import json
import os
import struct
import tempfile

from .errors import ConvertError, need, WriteError


def reproducible(content):
    """The same file with its metadata in sorted order: the library's order changes from run to run."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def fits_half(values):
    """Whether every value is one that float16 has."""
    numpy = need("numpy")
    with numpy.errstate(over="ignore"):
        return numpy.array_equal(numpy.asarray(values, "f2").astype("f4"), values)


def write(path, tensors, metadata, half=False):
    """Writes tensors and string metadata to path: the old file or the whole new one. Tensors are float32, or float16
    where `half` is asked for and loses nothing."""
    numpy = need("numpy")
    safetensors = need("safetensors.numpy", "safetensors")
    for name, tensor in tensors.items():
        if numpy.asarray(tensor).dtype.kind not in "fiu":
            raise ConvertError(f"tensor '{name}' holds values of the type {tensor.dtype}, which are not real numbers")
        if not numpy.isfinite(tensor).all():
            raise ConvertError(f"tensor '{name}' holds NaN or infinity; the source file is damaged")
        if name.endswith("variance") and numpy.less(tensor, 0).any():
            raise ConvertError(f"tensor '{name}' holds a negative variance; the source file is damaged")
    kind = numpy.float16 if half and all(map(fits_half, tensors.values())) else numpy.float32
    ready = {k: numpy.ascontiguousarray(v, dtype=kind) for k, v in tensors.items()}
    write_atomically(path, reproducible(safetensors.save(ready, metadata={"format": "maskwatch", **metadata})))


def write_atomically(path, content):
    """The bytes to path: the old file or the whole new one. A ConvertError names the path and why it cannot be."""
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "not a file"
        raise ConvertError(f"is {kind}; give the name of the file to write", path)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ConvertError("cannot be written: there is no such folder", path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".maskwatch-", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise WriteError(f"cannot be written: {error.strerror}", path) from error
    finally:
        if temporary is not None:
            os.unlink(temporary)
