"""The two face-api networks in PyTorch, straight from the manifest: batch norm unfolded, SAME padding
computed from the input, boxes decoded as face-api.js does. Shares nothing with the converter."""

import json
import os

import numpy
import torch
import torch.nn.functional as F


def weights(manifest):
    with open(manifest, encoding="utf-8") as file:
        (group,) = json.load(file)
    with open(os.path.join(os.path.dirname(manifest), group["paths"][0]), "rb") as file:
        content = file.read()
    found, start = {}, 0
    for entry in group["weights"]:
        count = int(numpy.prod(entry["shape"]))
        q = entry.get("quantization")
        values = numpy.frombuffer(content, q["dtype"] if q else "float32", count, start)
        start += values.nbytes
        values = values.astype("f8") * q["scale"] + q["min"] if q else values
        found[entry["name"]] = torch.tensor(values.astype("f4").reshape(entry["shape"]))
    return found


def same(x, window, stride):
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + window - side, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def conv(x, weight, stride=1, bias=None):
    return F.conv2d(same(x, weight.shape[0], stride), weight.permute(3, 2, 0, 1), bias, stride)


def depthwise(x, weight, stride=1):
    x = same(x, weight.shape[0], stride)
    return F.conv2d(x, weight.permute(2, 3, 0, 1), None, stride, groups=weight.shape[2])


def ssd(w, x):
    """(face scores [N, P], boxes [N, P, 4] left, top, right, bottom) of x, [N, 512, 512, 3], -1..1."""
    def pointwise(x, name, stride):
        bias = w[f"{name}/convolution_bn_offset"]
        return conv(x, w[f"{name}/weights"], stride, bias).clamp(0, 6)

    x = pointwise(x.permute(0, 3, 1, 2), "MobilenetV1/Conv2d_0_pointwise", 2)
    levels = []
    for i in range(1, 14):
        name = f"MobilenetV1/Conv2d_{i}_depthwise"
        x = depthwise(x, w[f"{name}/depthwise_weights"], 2 if i in (2, 4, 6, 12) else 1)
        mean, variance, scale, offset = (
            w[f"{name}/BatchNorm/{n}"] for n in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        x = F.batch_norm(x, mean, variance, scale, offset, eps=0.0010000000474974513).clamp(0, 6)
        x = pointwise(x, f"MobilenetV1/Conv2d_{i}_pointwise", 1)
        levels += [x] if i in (11, 13) else []
    for i in range(8):
        x = pointwise(x, f"Prediction/Conv2d_{i}_pointwise", 2 if i % 2 else 1)
        levels += [x] if i % 2 else []
    scores, boxes = [], []
    for i, level in enumerate(levels):
        for rows, kind, values in ((scores, "Class", 3), (boxes, "BoxEncoding", 4)):
            name = f"Prediction/BoxPredictor_{i}/{kind}Predictor"
            y = conv(level, w[f"{name}/weights"], 1, w[f"{name}/biases"])
            rows.append(y.permute(0, 2, 3, 1).reshape(len(y), -1, values))
    return torch.sigmoid(torch.cat(scores, 1))[..., 1], decode(torch.cat(boxes, 1), w["Output/extra_dim"])


def decode(encoded, priors):
    top, left, bottom, right = priors.unbind(-1)
    height, width = bottom - top, right - left
    ty, tx, th, tw = encoded.unbind(-1)
    half_height, half_width = torch.exp(th / 5) * height / 2, torch.exp(tw / 5) * width / 2
    y, x = ty / 10 * height + top + height / 2, tx / 10 * width + left + width / 2
    return torch.stack([x - half_width, y - half_height, x + half_width, y + half_height], -1)


def landmarks(w, x):
    """[N, 136] of x, [N, 112, 112, 3], (pixel - mean) / 255."""
    def separable(x, name, stride):
        x = depthwise(x, w[f"{name}/depthwise_filter"], stride)
        return conv(x, w[f"{name}/pointwise_filter"], 1, w[f"{name}/bias"])

    x = x.permute(0, 3, 1, 2)
    for i in range(4):
        if i == 0:
            out1 = conv(x, w["dense0/conv0/filters"], 2, w["dense0/conv0/bias"])
        else:
            out1 = separable(x, f"dense{i}/conv0", 2)
        out1 = F.relu(out1)
        out2 = separable(out1, f"dense{i}/conv1", 1)
        out3 = separable(F.relu(out1 + out2), f"dense{i}/conv2", 1)
        out4 = separable(F.relu(out1 + out2 + out3), f"dense{i}/conv3", 1)
        x = F.relu(out1 + out2 + out3 + out4)
    return F.avg_pool2d(x, 7, 2).flatten(1) @ w["fc/weights"] + w["fc/bias"]
