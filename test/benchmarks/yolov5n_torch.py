# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""YOLOv5n in PyTorch, its loss, and its weights in the ONNX graph of yolov5n_sized.py.

Written from the published description of YOLOv5 6.x (the figures of its layers, the decoding 2s - 0.5 + cell and
(2s)^2 anchor, the ratio of 4 that assigns anchors), with no code of the YOLOv5 repository, which is AGPL-3.0.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional
from yolov5n_sized import ANCHORS, graph_of

STRIDES = tuple(ANCHORS)
# Largest ratio of an object's side to the anchor's.
MOST_RATIO = 4.0
# Weight of the objectness loss for each stride, of the three parts, and the head's prior of an object.
BALANCE = (4.0, 1.0, 0.4)
BOX_GAIN, OBJECT_GAIN, CLASS_GAIN = 0.05, 1.0, 0.5


class Conv(nn.Module):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, cin: int, cout: int, kernel: int = 1, stride: int = 1, pad: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2 if pad is None else pad, bias=False)
        self.norm = nn.BatchNorm2d(cout, eps=1e-3, momentum=0.03)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.silu(self.norm(self.conv(x)))

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and offsets of one convolution that does the same."""
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        offset = self.norm.bias - self.norm.running_mean * scale
        return weight.detach().float().cpu().numpy(), offset.detach().float().cpu().numpy()


class Csp(nn.Module):
    """Two paths, one through a chain of bottlenecks, joined by a convolution (YOLOv5's C3)."""

    def __init__(self, cin: int, cout: int, depth: int, shortcut: bool) -> None:
        super().__init__()
        half = cout // 2
        self.first, self.beside, self.joined = Conv(cin, half), Conv(cin, half), Conv(cout, cout)
        self.chain = nn.ModuleList(nn.ModuleList([Conv(half, half), Conv(half, half, 3)]) for _ in range(depth))
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        for narrow, wide in self.chain:
            z = wide(narrow(y))
            y = y + z if self.shortcut else z
        return self.joined(torch.cat([y, self.beside(x)], 1))


class Pooling(nn.Module):
    """Three poolings in a chain, with all results concatenated (SPPF)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.joined = Conv(channels, channels // 2), Conv(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.joined(torch.cat(parts, 1))


class Yolov5n(nn.Module):
    """YOLOv5n. forward: (B, 3, S, S) RGB in 0..1 -> for each stride (B, 3, S/stride, S/stride, 5 + classes), raw."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.down2, self.down4 = Conv(3, 16, 6, 2, pad=2), Conv(16, 32, 3, 2)
        self.c4, self.down8, self.c8 = Csp(32, 32, 1, True), Conv(32, 64, 3, 2), Csp(64, 64, 2, True)
        self.down16, self.c16 = Conv(64, 128, 3, 2), Csp(128, 128, 3, True)
        self.down32, self.c32, self.pool = Conv(128, 256, 3, 2), Csp(256, 256, 1, True), Pooling(256)
        self.top5, self.up4, self.top4 = Conv(256, 128), Csp(256, 128, 1, False), Conv(128, 64)
        self.up3 = Csp(128, 64, 1, False)
        self.low4, self.out4 = Conv(64, 64, 3, 2), Csp(128, 128, 1, False)
        self.low5, self.out5 = Conv(128, 128, 3, 2), Csp(256, 256, 1, False)
        self.heads = nn.ModuleList(nn.Conv2d(channels, 3 * (5 + classes), 1) for channels in (64, 128, 256))
        for head, stride in zip(self.heads, STRIDES):
            with torch.no_grad():
                offsets = head.bias.view(3, -1)
                # About 8 objects in an image of 640 pixels; the classes equally likely.
                offsets[:, 4] = float(np.log(8 / (640 / stride) ** 2))
                offsets[:, 5:] = float(np.log(0.6 / (classes - 0.99)))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        # In the order of the layers in yolov5n_sized.py: export() depends on it.
        x = self.c4(self.down4(self.down2(x)))
        p3 = self.c8(self.down8(x))
        p4 = self.c16(self.down16(p3))
        p5 = self.pool(self.c32(self.down32(p4)))
        t5 = self.top5(p5)
        t4 = self.top4(self.up4(torch.cat([functional.interpolate(t5, scale_factor=2.0), p4], 1)))
        n3 = self.up3(torch.cat([functional.interpolate(t4, scale_factor=2.0), p3], 1))
        m4 = self.out4(torch.cat([self.low4(n3), t4], 1))
        m5 = self.out5(torch.cat([self.low5(m4), t5], 1))
        found = []
        for head, y in zip(self.heads, (n3, m4, m5)):
            z = head(y)
            found.append(z.view(z.shape[0], 3, 5 + self.classes, *z.shape[2:]).permute(0, 1, 3, 4, 2))
        return found


def decode(raw: list[torch.Tensor]) -> torch.Tensor:
    """Return (B, N, 5 + classes): centre, width, height in input pixels, objectness and class scores in 0..1."""
    parts = []
    for y, stride in zip(raw, STRIDES):
        batch, anchors, rows, columns, values = y.shape
        s = y.float().sigmoid()
        cell = torch.stack(torch.meshgrid(
            torch.arange(columns, device=y.device), torch.arange(rows, device=y.device), indexing='xy'), -1)
        centre = (2 * s[..., :2] - 0.5 + cell) * stride
        extent = (2 * s[..., 2:4]) ** 2 * _anchors(stride, y.device)[None, :, None, None]
        parts.append(torch.cat([centre, extent, s[..., 4:]], -1).reshape(batch, anchors * rows * columns, values))
    return torch.cat(parts, 1)


def loss(raw: list[torch.Tensor], objects: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch.

    objects: (N, 6): image, class, centre x, centre y, width, height in input pixels
    """
    total = raw[0].new_zeros((), dtype=torch.float32)
    for y, stride, balance in zip(raw, STRIDES, BALANCE):
        y = y.float()
        image, anchor, row, column, mine = assigned(objects, stride, y.shape[2:4])
        wanted = torch.zeros_like(y[..., 4])
        if len(mine):
            chosen = y[image, anchor, row, column]
            s = chosen[:, :4].sigmoid()
            cell = torch.stack([column, row], 1)
            centre = (2 * s[:, :2] - 0.5 + cell) * stride
            extent = (2 * s[:, 2:]) ** 2 * _anchors(stride, y.device)[anchor]
            overlap = complete_iou(torch.cat([centre, extent], 1), mine[:, 2:])
            total = total + BOX_GAIN * (1 - overlap).mean()
            wanted[image, anchor, row, column] = overlap.detach().clamp(0)
            classes = functional.one_hot(mine[:, 1].long(), y.shape[-1] - 5).float()
            total = total + CLASS_GAIN * functional.binary_cross_entropy_with_logits(chosen[:, 5:], classes)
        total = total + OBJECT_GAIN * balance * functional.binary_cross_entropy_with_logits(y[..., 4], wanted)
    return total


def assigned(
    objects: torch.Tensor, stride: int, cells: tuple[int, int] | torch.Size,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return image, anchor, row, column and object of each prediction that is responsible for an object.

    Anchors: those of which no side differs by more than MOST_RATIO. Cells: that of the centre, the nearest one beside
    it, and the nearest one above or below it.
    """
    anchors = _anchors(stride, objects.device)
    ratio = objects[:, None, 4:] / anchors[None]
    which, anchor = torch.nonzero(torch.maximum(ratio, 1 / ratio).amax(-1) < MOST_RATIO, as_tuple=True)
    mine = objects[which]
    place = mine[:, 2:4] / stride
    column, row = place.floor().long().unbind(1)
    beside = torch.where(place - place.floor() < 0.5, -1, 1)
    zero = torch.zeros_like(column)
    columns = torch.cat([column, column + beside[:, 0], column + zero])
    rows = torch.cat([row, row + zero, row + beside[:, 1]])
    inside = (columns >= 0) & (columns < cells[1]) & (rows >= 0) & (rows < cells[0])
    mine, anchor = mine.repeat(3, 1)[inside], anchor.repeat(3)[inside]
    return mine[:, 0].long(), anchor, rows[inside], columns[inside], mine


def complete_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the complete IoU (Zheng et al., 2020) of each pair of (N, 4) boxes: centre, width, height."""
    a_low, a_high = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b_low, b_high = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    common = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(0).prod(1)
    iou = common / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - common + 1e-7)
    around = torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)
    distance = ((a[:, :2] - b[:, :2]) ** 2).sum(1) / ((around ** 2).sum(1) + 1e-7)
    shape = 4 / torch.pi ** 2 * (torch.atan(b[:, 2] / (b[:, 3] + 1e-7)) - torch.atan(a[:, 2] / (a[:, 3] + 1e-7))) ** 2
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-7)
    return iou - distance - weight * shape


def export(network: Yolov5n, size: int, names: list[str]) -> onnx.ModelProto:
    """Return the ONNX file for a size x size input: the graph of yolov5n_sized.py with this network's weights."""
    ran: list[nn.Module] = []
    hooks = [module.register_forward_hook(lambda module, *_: ran.append(module))
             for module in network.modules() if isinstance(module, Conv) or module in set(network.heads)]
    was_training = network.training
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, 3, size, size, device=next(network.parameters()).device))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    model = graph_of(size, network.classes)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type == 'Conv']
    assert len(layers) == len(ran), (len(layers), len(ran))
    for node, module in zip(layers, ran):
        if isinstance(module, Conv):
            weights = module.folded()
        else:
            weights = (module.weight.detach().float().cpu().numpy(), module.bias.detach().float().cpu().numpy())
        for name, value in zip(node.input[1:], weights):
            assert tuple(tensors[name].dims) == value.shape, (name, tensors[name].dims, value.shape)
            tensors[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))
    onnx.helper.set_model_props(model, {'names': str(dict(enumerate(names))), 'task': 'detect'})
    onnx.checker.check_model(model)
    return model


def _anchors(stride: int, device: torch.device) -> torch.Tensor:
    return torch.tensor(ANCHORS[stride], dtype=torch.float32, device=device)
