#!/usr/bin/env python3
"""One training step of the face detector here and in PyTorch, from the same weights, pictures and boxes.

    tests/data/run.sh ../nn/ssd_parity_test.py SSD_STEP

Anchors, matching and loss are written anew below from the papers; PyTorch computes them and the network in
double. Compared as in torch_parity_test.py: outputs, loss, running statistics and every gradient. The picture's
sides are no multiples of 64, so that levels of odd sizes meet.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy
import torch
from safetensors.numpy import load_file, save_file
from torch.nn import functional

from torch_parity_test import FLAVOURS, TOLERANCE, WIDTH, Network, blocks, distances, divisible, report

BATCH, HEIGHT, WIDE, CHANNELS, CLASSES = 6, 136, 152, 24, 3
LEVELS = [(8, [12, 19]), (16, [30, 48]), (32, [76, 120]), (64, [190, 300])]
ASPECT, ALPHA, GAMMA, CLASS_WEIGHTS = 1.2, 0.4, 2, [1, 1, 1.5]
IGNORED, UNKNOWN = -1, -2


def layers():
    """(name, name of its batch norm, weight's shape, whether ReLU6 follows)."""
    yield "backbone.stem.conv", "backbone.stem.bn", (3, 3, 3, divisible(32 * WIDTH)), True
    for i, (inputs, hidden, outputs, _) in enumerate(blocks()):
        name = f"backbone.blocks.{i}"
        if hidden != inputs:
            yield f"{name}.expand", f"{name}.expand_bn", (inputs, hidden), True
        yield f"{name}.depthwise", f"{name}.depthwise_bn", (3, 3, hidden), True
        yield f"{name}.project", f"{name}.project_bn", (hidden, outputs), False
    all_blocks = list(blocks())
    for level, inputs in (3, all_blocks[6][1]), (4, all_blocks[13][1]), (5, all_blocks[16][2]):
        yield f"lateral{level}.conv", f"lateral{level}.bn", (inputs, CHANNELS), False
    for name in ["smooth3", "smooth4", "smooth5", "down6", *(f"head{i}.features" for i in (3, 4, 5, 6))]:
        yield f"{name}.depthwise", f"{name}.depthwise_bn", (3, 3, CHANNELS), True
        yield f"{name}.pointwise", f"{name}.pointwise_bn", (CHANNELS, CHANNELS), True


def initial_state(random):
    state = {}
    for name, norm, shape, activated in layers():
        fan_out = 9 * shape[-1] if len(shape) == 4 else (9 if len(shape) == 3 else shape[-1])
        state[f"{name}.weight"] = random.normal(0, (2 / fan_out) ** 0.5, shape)
        state[f"{norm}.gamma"] = random.uniform(0.5, 1.25, shape[-1])
        state[f"{norm}.beta"] = random.normal(3 if activated else 0, 0.3, shape[-1])
        state[f"{norm}.mean"] = random.normal(0, 0.5, shape[-1])
        state[f"{norm}.variance"] = random.uniform(0.5, 1.5, shape[-1])
    for level in 3, 4, 5, 6:
        numbers = 2 * (5 + CLASSES)
        state[f"head{level}.output.weight"] = random.normal(0, 0.1, (CHANNELS, numbers))
        state[f"head{level}.output.bias"] = random.normal(0, 0.5, numbers)
    return {name: value.astype(numpy.float32) for name, value in state.items()}


class Detector(Network):
    def separable(self, x, name, stride=1):
        x = self.layer(x, f"{name}.depthwise", f"{name}.depthwise_bn", stride)
        return self.layer(x, f"{name}.pointwise", f"{name}.pointwise_bn")

    def lateral(self, x, level, above=None):
        x = self.layer(x, f"lateral{level}.conv", f"lateral{level}.bn", activated=False)
        if above is None:
            return x
        return x + functional.interpolate(above, scale_factor=2)[:, :, : x.shape[2], : x.shape[3]]

    def convolution(self, x, name, stride):
        weight = self.tensors[f"{name}.weight"]
        if self.padding != "tf" or stride != 2 or weight.ndim == 2:
            return super().convolution(x, name, stride)
        # SAME of any size: an even side is padded behind, an odd one on both.
        pads = [(0, 1) if side % 2 == 0 else (1, 1) for side in (x.shape[3], x.shape[2])]
        kernel = weight.permute(2, 0, 1)[:, None] if weight.ndim == 3 else weight.permute(3, 2, 0, 1)
        groups = weight.shape[2] if weight.ndim == 3 else 1
        return functional.conv2d(functional.pad(x, (*pads[0], *pads[1])), kernel, stride=2, groups=groups)

    def outputs(self, x):
        x = self.layer(x, "backbone.stem.conv", "backbone.stem.bn", 2)
        taps = {}
        for i, (inputs, hidden, outputs, stride) in enumerate(blocks()):
            y, name = x, f"backbone.blocks.{i}"
            if hidden != inputs:
                y = self.layer(y, f"{name}.expand", f"{name}.expand_bn")
                taps[i] = y
            y = self.layer(y, f"{name}.depthwise", f"{name}.depthwise_bn", stride)
            y = self.layer(y, f"{name}.project", f"{name}.project_bn", activated=False)
            x = x + y if stride == 1 and inputs == outputs else y
        p5 = self.separable(self.lateral(x, 5), "smooth5")
        p4 = self.separable(self.lateral(taps[13], 4, p5), "smooth4")
        p3 = self.separable(self.lateral(taps[6], 3, p4), "smooth3")
        p6 = self.separable(p5, "down6", 2)
        rows = []
        for level, p in zip((3, 4, 5, 6), (p3, p4, p5, p6)):
            y = self.separable(p, f"head{level}.features").permute(0, 2, 3, 1)
            y = y @ self.tensors[f"head{level}.output.weight"] + self.tensors[f"head{level}.output.bias"]
            rows.append(y.reshape(len(x), -1, 5 + CLASSES))
        return torch.cat(rows, 1)


def anchors():
    """[anchors, 4]: centre, width, height."""
    result = []
    for stride, sizes in LEVELS:
        for row in range(-(-HEIGHT // stride)):
            for column in range(-(-WIDE // stride)):
                for size in sizes:
                    result.append([(column + 0.5) * stride, (row + 0.5) * stride,
                                   size / ASPECT**0.5, size * ASPECT**0.5])  # fmt: skip
    return numpy.array(result)


def corners(boxes):
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def area(boxes):
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def shared(a, b):
    return area(torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1))


def matches(boxes, faces):
    """For each anchor a face's number, -1 (background) or -2 (no part in the loss)."""
    result = numpy.full(len(boxes), -1)
    if not len(faces):
        return result
    both = shared(boxes[:, None], faces[None, :, :4])
    overlap = (both / (area(boxes)[:, None] + area(faces[:, :4])[None] - both)).numpy()
    inside = (both / area(boxes)[:, None]).numpy()
    labels = faces[:, 4].numpy()
    known = numpy.flatnonzero(labels != IGNORED)
    if len(known):
        best = overlap[:, known].max(1)
        result[best >= 0.3] = -2
        result[best >= 0.4] = known[overlap[:, known].argmax(1)][best >= 0.4]
    for i in numpy.flatnonzero(labels == IGNORED):
        out = (overlap[:, i] >= 0.3) | (inside[:, i] >= 0.5)
        out[overlap[:, i].argmax()] = True
        result[out & (result == -1)] = -2
    for i in sorted(known, key=lambda i: overlap[:, i].max()):
        result[overlap[:, i].argmax()] = i
    return result


def loss_of(outputs, faces):
    dtype = outputs.dtype
    anchor = torch.tensor(anchors(), dtype=dtype)
    face_loss = box_loss = class_loss = positives = 0
    for rows, of_picture in zip(outputs, faces):
        of_picture = torch.tensor(of_picture, dtype=dtype).reshape(-1, 5)
        match = torch.tensor(matches(corners(anchor), of_picture))
        logit, is_face = rows[:, 4], match >= 0
        p = torch.sigmoid(logit)
        sure = torch.where(is_face, p, 1 - p)
        focal = torch.where(is_face, ALPHA, 1 - ALPHA) * (1 - sure) ** GAMMA * -torch.where(
            is_face, functional.logsigmoid(logit), functional.logsigmoid(-logit)
        )
        face_loss = face_loss + focal[match != -2].sum()
        positives += int(is_face.sum())
        of_face, a = rows[is_face], anchor[is_face]
        target = of_picture[match[is_face]]
        box = corners(torch.cat([a[:, :2] + 0.1 * of_face[:, :2] * a[:, 2:],
                                 a[:, 2:] * (0.2 * of_face[:, 2:4]).exp()], 1))  # fmt: skip
        both = shared(box, target[:, :4])
        joint = area(box) + area(target[:, :4]) - both
        hull = area(torch.cat([torch.minimum(box[:, :2], target[:, :2]), torch.maximum(box[:, 2:], target[:, 2:4])], 1))
        box_loss = box_loss + (1 - both / joint + (hull - joint) / hull).sum()
        classed = target[:, 4] >= 0
        class_loss = class_loss + functional.cross_entropy(
            of_face[classed][:, 5:], target[classed][:, 4].long(), reduction="sum",
            weight=torch.tensor(CLASS_WEIGHTS, dtype=dtype),
        )  # fmt: skip
    return (2 * face_loss + 2 * box_loss + class_loss) / max(positives, 1)


def torch_step(state, batch, faces, padding, dtype=torch.float64):
    network = Detector(state, padding, dtype)
    outputs = network.outputs(torch.tensor(batch, dtype=dtype).permute(0, 3, 1, 2))
    loss = loss_of(outputs, faces)
    loss.backward()
    result = {"loss": loss.detach().numpy().reshape(1), "outputs": outputs.detach().numpy()}
    for name, tensor in network.tensors.items():
        trained = tensor.requires_grad
        key = f"gradient.{name}" if trained else f"state.{name}"
        result[key] = (tensor.grad if trained else tensor).numpy()
    return result


def our_step(program, state, batch, faces, padding):
    metadata = {
        "architecture": "ssd_mobilenet_v2", "width": str(WIDTH), "input_size": str(HEIGHT), "padding": padding,
        "bn_epsilon": str(FLAVOURS[padding]["epsilon"]), "preprocessing": "tf", "labels": '["a","b","c"]',
        "channels": str(CHANNELS),
        "anchors": json.dumps({"aspect": ASPECT, "levels": [{"stride": s, "sizes": z} for s, z in LEVELS]}),
    }  # fmt: skip
    rows = numpy.array([[i, *face] for i, of_picture in enumerate(faces) for face in of_picture], dtype=numpy.float32)
    with tempfile.TemporaryDirectory() as folder:
        step, result = os.path.join(folder, "step"), os.path.join(folder, "result")
        save_file({**state, "batch": batch, "faces": rows}, step, metadata)
        subprocess.run([program, step, result], check=True)
        return load_file(result)


def drawn_faces(random):
    """Of each picture some [x0, y0, x1, y1, label] in float32; the last has none."""
    faces = []
    for _ in range(BATCH - 1):
        size = numpy.exp(random.uniform(numpy.log(6), numpy.log(130), 5))
        x, y = random.uniform(0, WIDE, 5), random.uniform(0, HEIGHT, 5)
        label = random.choice([0, 1, 2, UNKNOWN, IGNORED], 5)
        faces.append(numpy.stack([x - size / 2.2, y - size / 2, x + size / 2.2, y + size / 2, label], 1).astype(numpy.float32))
    return [*faces, numpy.zeros((0, 5), numpy.float32)]


def main():
    program, failures = sys.argv[1], 0
    for padding in FLAVOURS:
        random = numpy.random.default_rng(21)
        state = initial_state(random)
        batch = random.normal(0, 0.5, (BATCH, HEIGHT, WIDE, 3)).astype(numpy.float32)
        faces = drawn_faces(random)
        expected = torch_step(state, batch, faces, padding)
        report(f"{padding}, torch float32", distances(torch_step(state, batch, faces, padding, torch.float32), expected))
        found = distances(our_step(program, state, batch, faces, padding), expected)
        report(f"{padding}, ours", found)
        wrong = {n: d for n, d in found.items() if not d <= TOLERANCE}
        for name, distance in sorted(wrong.items()):
            print(f"  WRONG: {name} is off by {distance:.2e}, more than {TOLERANCE}")
        failures += len(wrong)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
