"""Files of our own networks with drawn weights, such as the training programs write: what export_test.py exports."""

import json

import numpy
from safetensors.numpy import save_file

import samples  # noqa: F401  (finds data/)
from maskwatch_convert import mobilenet_v2

EPSILON = {"tf": 1e-3, "symmetric": 1e-5}
LEVELS = [(8, [12, 19]), (16, [30, 48]), (32, [76, 120]), (64, [190, 300])]


def random_layers(random, layers):
    """{name: float32} of (convolution, batch norm, weight's shape, whether ReLU6 follows)."""
    state = {}
    for name, norm, shape, active in layers:
        fan_in = {4: 27, 3: 9}.get(len(shape), shape[0])
        state[f"{name}.weight"] = random.normal(0, (2 / fan_in) ** 0.5, shape)
        state[f"{norm}.gamma"] = random.uniform(0.5, 1.25, shape[-1])
        state[f"{norm}.beta"] = random.normal(1 if active else 0, 0.3, shape[-1])
        state[f"{norm}.mean"] = random.normal(0, 0.5, shape[-1])
        state[f"{norm}.variance"] = random.uniform(0.5, 1.5, shape[-1])
    return state


def backbone_layers(width, prefix="", last=True):
    names, shapes = mobilenet_v2.layer_names(), mobilenet_v2.layer_shapes(width)
    for (name, norm), shape in list(zip(names, shapes))[: None if last else -1]:
        yield prefix + name, prefix + norm, shape, not name.endswith("project")


def folded(state, epsilon):
    """As convert_weights.py writes a source whose batch norm is folded."""
    values = {"gamma": 1, "mean": 0, "variance": 1 - epsilon}
    fixed = {name: numpy.full_like(v, values[part]) for name, v in state.items() if (part := name.split(".")[-1]) in values}
    return {**state, **fixed}


def write(path, state, metadata, half):
    save_file({k: numpy.ascontiguousarray(v, "f2" if half else "f4") for k, v in state.items()}, path,
              {"format": "maskwatch", "seed": "1", "recipe": "drawn \u00e9", **metadata})  # fmt: skip
    return path


def classifier(path, width=0.35, size=64, padding="tf", preprocessing="tf", head="mask", classes=3, half=False, fold=False):
    random = numpy.random.default_rng(5)
    state = random_layers(random, backbone_layers(width))
    channels = state["last.conv.weight"].shape[1]
    if fold:
        state = folded(state, EPSILON[padding])
    parts = {"mask": [("head.hidden", channels, 24), ("head.output", 24, classes)], "classifier": [("classifier", channels, classes)]}
    for name, inputs, outputs in parts.get(head, []):
        state[f"{name}.weight"] = random.normal(0, inputs**-0.5, (inputs, outputs))
        state[f"{name}.bias"] = random.normal(0, 0.5, outputs)
    metadata = {
        "architecture": "mobilenet_v2", "width": str(width), "input_size": str(size), "padding": padding,
        "bn_epsilon": str(EPSILON[padding]), "bn_momentum": "0.99", "preprocessing": preprocessing, "head": head,
        **({"batch_norm": "folded"} if fold else {}),
        **({"labels": json.dumps(["with_mask", "without_mask", "background", "\u53e3\u7f69", "e"][:classes])} if head != "none" else {}),
    }  # fmt: skip
    return write(path, state, metadata, half)


def detector(path, width=0.35, channels=24, padding="tf", preprocessing="tf", labels=("with_mask", "without_mask"),
             levels=LEVELS, half=False):  # fmt: skip
    random = numpy.random.default_rng(6)
    layers = list(backbone_layers(width, "backbone.", last=False))
    shapes = {name: shape for name, _, shape, _ in layers}
    for level, of in (3, "blocks.6.expand"), (4, "blocks.13.expand"), (5, "blocks.16.project"):
        layers.append((f"lateral{level}.conv", f"lateral{level}.bn", (shapes[f"backbone.{of}"][1], channels), False))
    for name in ["smooth3", "smooth4", "smooth5", "down6", *(f"head{i}.features" for i in (3, 4, 5, 6))]:
        layers.append((f"{name}.depthwise", f"{name}.depthwise_bn", (3, 3, channels), True))
        layers.append((f"{name}.pointwise", f"{name}.pointwise_bn", (channels, channels), True))
    state = random_layers(random, layers)
    for i, (_, sizes) in zip((3, 4, 5, 6), levels):
        numbers = len(sizes) * (5 + len(labels))
        state[f"head{i}.output.weight"] = random.normal(0, 0.05, (channels, numbers))
        state[f"head{i}.output.bias"] = random.normal(0, 0.5, numbers)
    metadata = {
        "architecture": "ssd_mobilenet_v2", "width": str(width), "input_size": "256", "padding": padding,
        "bn_epsilon": str(EPSILON[padding]), "bn_momentum": "0.99", "preprocessing": preprocessing,
        "labels": json.dumps(labels), "channels": str(channels),
        "anchors": json.dumps({"aspect": 1.2, "levels": [{"stride": s, "sizes": z} for s, z in levels]}),
    }  # fmt: skip
    return write(path, state, metadata, half)
