"""TensorFlow SavedModel, a folder: TensorFlow itself makes a float TFLite model of it, which is read on."""

import contextlib
import logging
import os

from . import tflite_file
from .errors import ConvertError, need


@contextlib.contextmanager
def silence():
    """For TensorFlow, whose C++ writes its log past Python, and partly before a level can be set."""
    log, kept = logging.getLogger("tensorflow"), os.dup(2)
    level = log.level
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        log.setLevel(logging.CRITICAL)
        yield
    finally:
        log.setLevel(level)
        os.dup2(kept, 2)
        os.close(kept)


def read(folder):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    need("tflite")
    with silence():
        tensorflow = need("tensorflow")
        try:
            content = tensorflow.lite.TFLiteConverter.from_saved_model(folder).convert()
        except Exception as error:  # whatever TensorFlow raises
            reason = str(error).strip().split("\n")[0]
            raise ConvertError(f"is not a SavedModel that TensorFlow makes a TFLite model of: {reason}") from error
    return tflite_file.source_of(tflite_file.Model(bytes(content)))
