#!/usr/bin/env python3
"""One training step of MobileNetV2 0.35 at 96x96 here and in PyTorch, from the same weights and batch.

    tests/data/run.sh ../nn/torch_parity_test.py TRAINING_STEP

PyTorch computes in double. Compared are the loss, the running statistics, and for every parameter the
distance of the two gradients, ||ours - torch's|| / ||torch's||. Gradients that the next batch norm makes
zero but for rounding (a shift before it is taken off again) are compared relative to MEASURABLE of the
longest gradient. PyTorch's own step in float32 is printed beside ours.

An activation that rounding carries over a bend of ReLU6 lets its gradient through or not: with
standard normal activations PyTorch in float32 is 2e-2 off PyTorch in double. So the betas lie at 3,
where few activations are near a bend, while channels of a large gamma are still clipped.
"""

import os
import subprocess
import sys
import tempfile

import numpy
import torch
from safetensors.numpy import load_file, save_file
from torch.nn import functional

WIDTH, SIZE, BATCH = 0.35, 96, 16
TOLERANCE, MEASURABLE = 1e-3, 1e-4
# Expansion, channels, repeats, stride: table 2 of the paper.
GROUPS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
FLAVOURS = {
    "symmetric": {"epsilon": 1e-5, "momentum": 0.1, "unbiased": True},
    "tf": {"epsilon": 1e-3, "momentum": 0.001, "unbiased": False},
}


def divisible(channels):
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def blocks():
    """(input channels, hidden, output, stride) of each inverted residual block."""
    channels = divisible(32 * WIDTH)
    for expansion, wide, repeats, stride in GROUPS:
        for repeat in range(repeats):
            out = divisible(wide * WIDTH)
            yield channels, channels * expansion, out, stride if repeat == 0 else 1
            channels = out


def initial_state(random):
    """Our names and layouts: HWIO, HWC, [in, out]."""
    state = {}

    def conv(name, norm, *shape):
        fan_out = 9 * shape[-1] if len(shape) == 4 else (9 if len(shape) == 3 else shape[-1])
        state[f"{name}.weight"] = random.normal(0, (2 / fan_out) ** 0.5, shape)
        state[f"{norm}.gamma"] = random.uniform(0.5, 1.25, shape[-1])
        state[f"{norm}.beta"] = random.normal(0 if "project" in norm else 3, 0.3, shape[-1])
        state[f"{norm}.mean"] = random.normal(0, 0.5, shape[-1])
        state[f"{norm}.variance"] = random.uniform(0.5, 1.5, shape[-1])

    conv("stem.conv", "stem.bn", 3, 3, 3, divisible(32 * WIDTH))
    for i, (inputs, hidden, outputs, _) in enumerate(blocks()):
        if hidden != inputs:
            conv(f"blocks.{i}.expand", f"blocks.{i}.expand_bn", inputs, hidden)
        conv(f"blocks.{i}.depthwise", f"blocks.{i}.depthwise_bn", 3, 3, hidden)
        conv(f"blocks.{i}.project", f"blocks.{i}.project_bn", hidden, outputs)
    conv("last.conv", "last.bn", outputs, 1280)
    state["classifier.weight"] = random.normal(0, 0.05, (1280, 3))
    state["classifier.bias"] = random.normal(0, 0.05, 3)
    return {name: value.astype(numpy.float32) for name, value in state.items()}


class Network:
    """The network in PyTorch's functions, on tensors with our names."""

    def __init__(self, state, padding, dtype):
        self.flavour, self.padding = FLAVOURS[padding], padding
        self.tensors = {name: torch.tensor(value, dtype=dtype) for name, value in state.items()}
        for name, tensor in self.tensors.items():
            tensor.requires_grad_(not name.endswith(("mean", "variance")))

    def convolution(self, x, name, stride):
        weight = self.tensors[f"{name}.weight"]
        if weight.ndim == 2:
            return functional.conv2d(x, weight.T[:, :, None, None])
        groups = weight.shape[2] if weight.ndim == 3 else 1
        kernel = weight.permute(2, 0, 1)[:, None] if weight.ndim == 3 else weight.permute(3, 2, 0, 1)
        if self.padding == "tf" and stride == 2 and x.shape[2] % 2 == 0:
            return functional.conv2d(functional.pad(x, (0, 1, 0, 1)), kernel, stride=2, groups=groups)
        return functional.conv2d(x, kernel, stride=stride, padding=1, groups=groups)

    def normalised(self, x, name):
        gamma, beta, mean, variance = (self.tensors[f"{name}.{p}"] for p in ("gamma", "beta", "mean", "variance"))
        momentum = self.flavour["momentum"]
        y = functional.batch_norm(x, None, None, gamma, beta, True, 0, self.flavour["epsilon"])
        with torch.no_grad():
            variance_now, mean_now = torch.var_mean(x, (0, 2, 3), unbiased=self.flavour["unbiased"])
            mean += momentum * (mean_now - mean)
            variance += momentum * (variance_now - variance)
        return y

    def layer(self, x, name, norm, stride=1, activated=True):
        y = self.normalised(self.convolution(x, name, stride), norm)
        return functional.relu6(y) if activated else y

    def logits(self, x):
        x = self.layer(x, "stem.conv", "stem.bn", 2)
        for i, (inputs, hidden, outputs, stride) in enumerate(blocks()):
            y, name = x, f"blocks.{i}"
            if hidden != inputs:
                y = self.layer(y, f"{name}.expand", f"{name}.expand_bn")
            y = self.layer(y, f"{name}.depthwise", f"{name}.depthwise_bn", stride)
            y = self.layer(y, f"{name}.project", f"{name}.project_bn", activated=False)
            x = x + y if stride == 1 and inputs == outputs else y
        features = self.layer(x, "last.conv", "last.bn").mean((2, 3))
        return features @ self.tensors["classifier.weight"] + self.tensors["classifier.bias"]


def torch_step(state, batch, targets, padding, dtype=torch.float64):
    """The same names as training_step writes."""
    network = Network(state, padding, dtype)
    logits = network.logits(torch.tensor(batch, dtype=dtype).permute(0, 3, 1, 2))
    loss = functional.cross_entropy(logits, torch.tensor(targets, dtype=dtype))
    loss.backward()
    result = {"loss": loss.detach().numpy().reshape(1)}
    for name, tensor in network.tensors.items():
        trained = tensor.requires_grad
        key = f"gradient.{name}" if trained else f"state.{name}"
        result[key] = (tensor.grad if trained else tensor).numpy()
    return result


def our_step(program, state, batch, targets, padding):
    metadata = {
        "architecture": "mobilenet_v2", "width": str(WIDTH), "input_size": str(SIZE), "padding": padding,
        "bn_epsilon": str(FLAVOURS[padding]["epsilon"]), "preprocessing": "tf", "head": "classifier",
        "labels": '["a","b","c"]',
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        step, result = os.path.join(folder, "step"), os.path.join(folder, "result")
        save_file({**state, "batch": batch, "targets": targets}, step, metadata)
        subprocess.run([program, step, result], check=True)
        return load_file(result)


def distances(found, expected):
    """{name: relative distance} of every array."""
    assert set(found) == set(expected), set(found) ^ set(expected)
    longest = max(numpy.linalg.norm(v) for n, v in expected.items() if n.startswith("gradient."))
    result = {}
    for name, value in expected.items():
        assert found[name].shape == value.shape and numpy.isfinite(found[name]).all(), name
        least = MEASURABLE * longest if name.startswith("gradient.") else 1e-12
        distance = numpy.linalg.norm(found[name].astype(numpy.float64) - value)
        result[name] = distance / max(numpy.linalg.norm(value), least)
    return result


def report(title, found):
    worst = sorted(found, key=found.get)[-3:][::-1]
    gradients = [v for n, v in found.items() if n.startswith("gradient.")]
    print(f"{title}: loss {found['loss']:.1e}, {len(gradients)} gradients: median {numpy.median(gradients):.1e}; "
          f"worst {', '.join(f'{n} {found[n]:.1e}' for n in worst)}")  # fmt: skip


def main():
    program, failures = sys.argv[1], 0
    for padding in FLAVOURS:
        random = numpy.random.default_rng(20)
        state = initial_state(random)
        batch = random.normal(0, 0.5, (BATCH, SIZE, SIZE, 3)).astype(numpy.float32)
        targets = numpy.eye(3, dtype=numpy.float32)[random.integers(0, 3, BATCH)]
        expected = torch_step(state, batch, targets, padding)
        report(f"{padding}, torch float32", distances(torch_step(state, batch, targets, padding, torch.float32), expected))
        found = distances(our_step(program, state, batch, targets, padding), expected)
        report(f"{padding}, ours", found)
        wrong = {n: d for n, d in found.items() if not d <= TOLERANCE}
        for name, distance in sorted(wrong.items()):
            print(f"  WRONG: {name} is off by {distance:.2e}, more than {TOLERANCE}")
        failures += len(wrong)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
