# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Training images: the cut-outs of pasted_objects.py, pasted by PyTorch on its device, new ones in every batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

# Objects in an image at most, and octaves of their size below 0.6 of the image.
MOST, OCTAVES = 5, 3
LARGEST = 0.6
# Part of the smaller of two boxes that they may have in common.
MOST_COMMON = 0.3


class Batches:
    """Makes batches.

    file: written by `train_yolov5n.py prepare`: sprites (S, 4, 256, 256) RGB times opacity, and opacity, uint8;
    classes (S,); coloured (S,) whether the object gets a random colour; backgrounds (N, 3, 384, 384) RGB uint8; names
    """

    def __init__(self, file: Path, size: int, device: torch.device, seed: int = 0) -> None:
        with np.load(file) as arrays:
            sprites = torch.from_numpy(arrays['sprites']).to(device).float() / 255
            self._backgrounds = torch.from_numpy(arrays['backgrounds']).to(device).float() / 255
            self._coloured = torch.from_numpy(arrays['coloured']).to(device)
            classes = arrays['classes']
            self.names = [str(name) for name in arrays['names']]
        # Each octave from its own smaller picture: sampling the large one would skip pixels.
        self._sprites = [functional.avg_pool2d(sprites, 2 ** octave) for octave in range(OCTAVES)]
        of_class = [np.flatnonzero(classes == number) for number in range(len(self.names))]
        most = max(map(len, of_class))
        self._of_class = torch.from_numpy(np.stack([np.resize(indices, most) for indices in of_class])).to(device)
        self._random = torch.Generator(device).manual_seed(seed)
        self._size, self._device = size, device

    def next(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images (count, 3, size, size), RGB in 0..1, and objects (N, 6) as for yolov5n_torch.loss."""
        images = self._background(count)
        boxes, kept, labels = [], [], []
        for _ in range(MOST):
            octave = int(self._uniform(1).item() * OCTAVES)
            pixels, label = self._sprite(count, octave)
            box, wanted = _box_of(pixels[:, 3] > 0.5)
            wanted &= self._uniform(count) < 0.6
            for other, there in zip(boxes, kept):
                wanted &= ~(there & _covers(box, other))
            alpha = pixels[:, 3:] * wanted[:, None, None, None]
            images = images * (1 - alpha) + pixels[:, :3] * wanted[:, None, None, None]
            boxes.append(box)
            kept.append(wanted)
            labels.append(label)
        images = images + torch.randn(images.shape, generator=self._random, device=self._device) \
            * (self._uniform(count) * 0.02)[:, None, None, None]
        index = torch.arange(count, device=self._device)
        rows = [torch.stack([index, label, (box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2,
                             box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]], 1)[there]
                for box, there, label in zip(boxes, kept, labels)]
        return images.clamp(0, 1), torch.cat(rows)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self._random, device=self._device)

    def _background(self, count: int) -> torch.Tensor:
        which = (self._uniform(count) * len(self._backgrounds)).long()
        part = 0.5 + 0.5 * self._uniform(count)
        shift = (self._uniform(count, 2) * 2 - 1) * (1 - part)[:, None]
        mirrored = torch.where(self._uniform(count) < 0.5, -1.0, 1.0)
        zero = torch.zeros_like(part)
        theta = torch.stack([part * mirrored, zero, shift[:, 0], zero, part, shift[:, 1]], 1).view(count, 2, 3)
        grid = functional.affine_grid(theta, [count, 3, self._size, self._size], align_corners=False)
        images = functional.grid_sample(
            self._backgrounds[which], grid, padding_mode='border', align_corners=False)
        gain, offset = 0.6 + 0.7 * self._uniform(count), -0.08 + 0.24 * self._uniform(count)
        return (images * gain[:, None, None, None] + offset[:, None, None, None]).clamp(0, 1)

    def _sprite(self, count: int, octave: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one object in each image, (count, 4, size, size), and its class."""
        label = (self._uniform(count) * len(self.names)).long()
        column = (self._uniform(count) * self._of_class.shape[1]).long()
        which = self._of_class[label, column]
        coloured = self._coloured[which]
        # The sprite's side as a part of the image's.
        side = LARGEST * 2.0 ** -(octave + self._uniform(count))
        turn = (self._uniform(count) * 2 - 1) * (torch.pi / 9)
        centre = (self._uniform(count, 2) * 2 - 1) * (1 - side)[:, None]
        mirrored = torch.where((self._uniform(count) < 0.5) & ~coloured, -1.0, 1.0)
        cos, sin = torch.cos(turn) / side, torch.sin(turn) / side
        # From a place in the image to one in the sprite.
        theta = torch.stack([
            torch.stack([mirrored * cos, mirrored * sin, -mirrored * (cos * centre[:, 0] + sin * centre[:, 1])], 1),
            torch.stack([-sin, cos, sin * centre[:, 0] - cos * centre[:, 1]], 1)], 1)
        grid = functional.affine_grid(theta, [count, 4, self._size, self._size], align_corners=False)
        pixels = functional.grid_sample(self._sprites[octave][which], grid, align_corners=False)
        alpha = pixels[:, 3:]
        colour = torch.where(coloured[:, None], self._uniform(count, 3), (0.6 + 0.7 * self._uniform(count))[:, None])
        painted = torch.minimum(pixels[:, :3] * colour[:, :, None, None], alpha)
        return torch.cat([painted, alpha], 1), label


def _box_of(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x_min, y_min, x_max, y_max of each mask, and whether it is at least 4 pixels wide and high."""
    columns, rows = mask.any(1), mask.any(2)
    low = torch.stack([columns.float().argmax(1), rows.float().argmax(1)], 1)
    high = torch.stack([mask.shape[2] - columns.flip(1).float().argmax(1),
                        mask.shape[1] - rows.flip(1).float().argmax(1)], 1)
    box = torch.cat([low, high], 1).float()
    return box, columns.any(1) & ((box[:, 2:] - box[:, :2]).amin(1) >= 4)


def _covers(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    common = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(0).prod(1)
    smaller = torch.minimum((a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1))
    return common > MOST_COMMON * smaller
