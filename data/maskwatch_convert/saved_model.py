"""TensorFlow SavedModel, a folder: TensorFlow itself makes a float TFLite model of it, which is read on."""

import os

from . import tflite_file
from .errors import ConvertError, need


def read(folder):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    need("tflite")
    tensorflow = need("tensorflow")
    try:
        content = tensorflow.lite.TFLiteConverter.from_saved_model(folder).convert()
    except Exception as error:  # whatever TensorFlow raises
        reason = str(error).strip().split("\n")[0]
        raise ConvertError(f"is not a SavedModel that TensorFlow makes a TFLite model of: {reason}") from error
    return tflite_file.source_of(tflite_file.Model(bytes(content)))
