"""PyTorch state dicts (.pth, loaded with weights_only): torchvision's mobilenet_v2, and RFB-320."""

import re

from . import rfb
from .errors import ConvertError, need
from .head import without_activation
from .layouts import from_oihw
from .mobilenet_v2 import BLOCKS, ConvNorm, Source

STATE_DICT = "save it with torch.save(model.state_dict(), ...)"


def state_dict(path):
    """{name: numpy array} of the tensors in the file, without wrappers and `module.` prefixes."""
    torch = need("torch")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler's many ways to refuse
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it holds {found[1]}; {STATE_DICT}" if found else str(error).strip().split("\n")[0]
        raise ConvertError(f"is not a PyTorch file of plain tensors: {reason}") from error
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise ConvertError(f"holds no state dict; {STATE_DICT}")
    tensors = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)}
    for name, tensor in tensors.items():
        if tensor.is_complex():
            raise ConvertError(f"tensor '{name}' holds complex numbers")
    return {str(k).removeprefix("module."): v.float().numpy() for k, v in tensors.items()}


def conv_layers():
    """(convolution, batch norm, is depthwise) by torchvision's name, in the order of the network."""
    yield "features.0.0", "features.0.1", False
    for i in range(BLOCKS):
        prefix, step = f"features.{i + 1}.conv", 0
        if i:
            yield f"{prefix}.0.0", f"{prefix}.0.1", False
            step = 1
        yield f"{prefix}.{step}.0", f"{prefix}.{step}.1", True
        yield f"{prefix}.{step + 1}", f"{prefix}.{step + 2}", False
    yield f"features.{BLOCKS + 1}.0", f"features.{BLOCKS + 1}.1", False


def read_mobilenet(tensors):
    left = {name for name in tensors if not name.endswith(".num_batches_tracked")}

    def tensor(name):
        left.discard(name)
        if name not in tensors:
            raise ConvertError(
                f"tensor '{name}' is missing; known are state dicts of torchvision's mobilenet_v2 "
                "and of RFB-320"
            )
        return tensors[name]

    layers = []
    for conv, norm, depthwise in conv_layers():
        weight = from_oihw(tensor(conv + ".weight"), depthwise, conv + ".weight")
        names = ("weight", "bias", "running_mean", "running_var")
        layers.append(ConvNorm(weight, tuple(tensor(f"{norm}.{n}") for n in names), origin=conv))
    source = Source(layers, "symmetric", 1e-5, "imagenet")
    if "classifier.1.weight" in tensors:
        weight, bias = tensor("classifier.1.weight").T, tensor("classifier.1.bias")
        without_activation(source, weight, bias, "is a state dict, which holds weights")
    if left:
        raise ConvertError(f"holds '{min(left)}', which torchvision's mobilenet_v2 does not have, and a state dict does "
                           "not say what is done with it; export the model with torch.onnx.export")  # fmt: skip
    return source


def read(path):
    tensors = state_dict(path)
    return rfb.from_state_dict(tensors) if rfb.recognised(tensors) else read_mobilenet(tensors)
