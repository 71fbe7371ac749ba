"""The way back from what export_onnx.py wrote: the same tensors and metadata."""

import json

from . import onnx_quantised
from .errors import ConvertError
from .to_onnx import EXPORT, model_of, NETWORKS, way_of

CLASSIFIER = "mobilenet_v2"
# What mobilenet_v2.checked() writes itself, of what it finds in the file.
FOUND = {"format", "architecture", "width", "input_size", "padding", "bn_epsilon", "preprocessing", "batch_norm", "source",
         "head", "labels", "meanings", EXPORT}  # fmt: skip


class Exported:
    """An ONNX model just as export_onnx.py wrote it."""

    def __init__(self, model, walked):
        """`walked()`: the mobilenet_v2.Source of the same file, for options that change it."""
        self.model, self.walked, self.assumed = model, walked, []
        self.architecture, self.half = model.metadata["architecture"], model.half

    def tensors_and_metadata(self, source_name):
        return self.model.tensors, self.model.metadata

    def changed_by_options(self):
        return self.walked() if self.architecture == CLASSIFIER else self


def read(content, metadata, walked):
    """Exported, or what walked() reads where a classifier was made elsewhere or changed since, which is noted.
    None: a network of another kind."""
    if way_of(metadata) is None or metadata.get("architecture") not in NETWORKS:
        return None
    try:
        return Exported(model_of(content, metadata), walked)
    except ConvertError as fault:
        if metadata["architecture"] != CLASSIFIER:
            raise ConvertError(f"is not as export_onnx.py writes it: {fault}; only classifiers come back changed") from fault
        source = walked()
        if onnx_quantised.first(content.graph.node) is None:  # which is noted already
            source.assumed.append(f"is not as export_onnx.py writes it ({fault}); what it computes is converted")
        return source


def preparation(metadata):
    """How the pixels are prepared that come into an exported file, or None where it does not say."""
    way = way_of(metadata)
    return None if way is None or way[0].pixels else metadata.get("preprocessing")


def remember(source, metadata):
    """What an exported file says of its classes and its training, into the Source of what it computes."""
    way = way_of(metadata)
    if way is None or metadata.get("architecture") != CLASSIFIER:
        return
    source.half = way[0].half or way[1]
    if metadata.get("padding") == source.padding:
        source.strided = []  # a rule, which the numbers in the file follow at its size
    source.notes.update({key: value for key, value in metadata.items() if key not in FOUND})
    try:
        labels, meanings = (json.loads(metadata.get(key, "null")) for key in ("labels", "meanings"))
    except ValueError as error:
        raise ConvertError("metadata labels or meanings is not JSON") from error
    if isinstance(labels, list):
        source.labels = labels
        if isinstance(meanings, list):
            source.meanings = {label: meaning for label, meaning in zip(labels, meanings) if meaning}
