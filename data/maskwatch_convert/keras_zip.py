""".keras: a zip of the model's description (config.json) and its weights (model.weights.h5), by Keras 2.12 and
later or Keras 3. The weights lie by the class of their layer, counted: layers/dense_1/vars/0."""

import io
import json
import re
import zipfile

from . import keras_config
from .classifier import recognise
from .errors import ConvertError, need
from .keras_h5 import values_of

MOST_BYTES = 1 << 30  # of a member: a zip can declare more than it holds
VARIABLES = {
    "Conv2D": ("kernel", "bias"),
    "DepthwiseConv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "Normalization": ("mean", "variance", "count"),
}
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


def snake_case(name):
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def variables_of(layer):
    """Names of the layer's variables, in the order in which Keras keeps them."""
    config = layer["config"]
    if layer["class_name"] == "Normalization" and config.get("mean") is not None:
        return ()
    if layer["class_name"] != "BatchNormalization":
        return VARIABLES.get(layer["class_name"], ())
    learned = [k for k, w in (("gamma", "scale"), ("beta", "center")) if config.get(w, True)]
    return (*learned, "moving_mean", "moving_variance")


def groups(node, group, found, path=()):
    """Fills found, {(path, layer): its HDF5 group}, with the layers of a model and of those in it."""
    config = node["config"]
    layers = config if isinstance(config, list) else config.get("layers") or []
    container = next((group[name] for name in CONTAINERS if name in group), {})
    counts = {}
    for layer in layers:
        kind = snake_case(layer["class_name"])
        number = counts[kind] = counts.get(kind, -1) + 1
        own = container.get(f"{kind}_{number}" if number else kind)
        if own is None:
            continue
        name = keras_config.layer_name(layer)
        found[path, name] = own
        if layer["class_name"] in keras_config.MODELS:
            groups(layer, own, found, (*path, name))


def member(archive, name):
    info = archive.getinfo(name)
    if info.file_size > MOST_BYTES:
        raise ConvertError(f"'{name}' in it declares {info.file_size} bytes; the file is damaged")
    return archive.read(info)


def read(path):
    h5py = need("h5py")
    try:
        with zipfile.ZipFile(path) as archive:
            text, weights = member(archive, "config.json"), member(archive, "model.weights.h5")
        node = json.loads(text)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ConvertError(f"is not a readable .keras file: {error}") from error
    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            found = {}
            groups(node, file, found)

            def variables(at, layer):
                group = found.get((at, keras_config.layer_name(layer)), {}).get("vars", {})
                names = variables_of(layer)
                if len(group) != len(names) and not (len(group) == 1 and names[1:] == ("bias",)):
                    raise ConvertError(f"layer '{keras_config.layer_name(layer)}' ({layer['class_name']}) has "
                                       f"{len(group)} tensors where {len(names)} are due")  # fmt: skip
                return {n: values_of(group[str(i)], n) for i, n in enumerate(names) if str(i) in group}

            return recognise(*keras_config.trace(node, variables))
    except (OSError, RuntimeError) as error:
        raise ConvertError(f"the weights in it are not readable: {error}") from error
