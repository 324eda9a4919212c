# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains a YOLOv5n on images that it makes, so that its accuracy in fp32, fp16 and int8 can be measured.

    python test/benchmarks/train_yolov5n.py prepare FOLDER           # needs OpenCV
    python test/benchmarks/train_yolov5n.py train FOLDER             # needs PyTorch and onnx; 4 minutes on a GPU

prepare writes cut-outs (sprites.npz), held-out images with their COCO file (images/, truth.json) and others for int8
(calibration/). train writes yolov5n.onnx. The twelve classes: four objects of the shipped photos, and eight letters,
which are slanted in the held-out images only.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SPRITE, BACKGROUND = 256, 384
HELD_OUT, CALIBRATION = 400, 96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('step', choices=('prepare', 'train'))
    parser.add_argument('folder', type=Path)
    parser.add_argument('--size', type=int, default=320, help='side of the images and of the input')
    parser.add_argument('--seconds', type=float, default=240.0, help='how long to train')
    parser.add_argument('--batch', type=int, default=128)
    parser.add_argument('--images', type=int, default=HELD_OUT, help='number of held-out images')
    parser.add_argument(
        '--also', type=int, nargs='*', default=[], metavar='SIZE',
        help='write yolov5n-SIZE.onnx too, the same weights for another input, to measure its time')
    options = parser.parse_args()
    if options.step == 'prepare':
        prepare(options.folder, options.size, options.images)
    else:
        train(options.folder, options.size, options.seconds, options.batch, options.also)


def prepare(folder: Path, size: int, images: int) -> None:
    """Write the cut-outs and the images that do not train."""
    import cv2
    import pasted_objects as pasted

    names = [*pasted.OUTLINES, *pasted.LETTERS]
    photos = pasted.photo_cutouts(list(pasted.OUTLINES))
    training = photos + pasted.letter_cutouts(pasted.STYLES)
    folder.mkdir(parents=True, exist_ok=True)
    sprites = np.zeros((len(training), 4, SPRITE, SPRITE), np.uint8)
    for sprite, cutout in zip(sprites, training):
        height, width = cutout.pixels.shape[:2]
        scale = SPRITE / max(height, width)
        small = cv2.resize(
            cutout.pixels, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
        tall, wide = small.shape[:2]
        y, x = (SPRITE - tall) // 2, (SPRITE - wide) // 2
        alpha = small[..., 3:].astype(np.float32) / 255
        sprite[:3, y:y + tall, x:x + wide] = np.rint(small[..., 2::-1] * alpha).astype(np.uint8).transpose(2, 0, 1)
        sprite[3, y:y + tall, x:x + wide] = small[..., 3]
    empty = [cv2.resize(image, (BACKGROUND, BACKGROUND)) for image in pasted.backgrounds()]
    np.savez_compressed(
        folder / 'sprites.npz', sprites=sprites, backgrounds=np.stack(empty)[..., ::-1].transpose(0, 3, 1, 2),
        names=np.array(names), classes=np.array([names.index(cutout.name) for cutout in training]),
        coloured=np.array([cutout.coloured for cutout in training]))
    held_out = photos + pasted.letter_cutouts([pasted.OTHER_STYLE])
    objects = pasted.write_set(folder, images, (size, size), held_out, 3, names, smallest=size // 16)
    pasted.write_set(folder / 'calibration', CALIBRATION, (size, size), training, 4, names, smallest=size // 16)
    print(f'{folder}: {len(training)} cut-outs, {images} held-out images with {objects} objects')


def train(folder: Path, size: int, seconds: float, batch: int, also: Sequence[int] = ()) -> None:
    """Train for a time and write the averaged weights."""
    import onnx
    import torch
    from pasted_batches import Batches
    from yolov5n_torch import Yolov5n, export, loss

    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    batches = Batches(folder / 'sprites.npz', size, device)
    network = Yolov5n(len(batches.names)).to(device, memory_format=torch.channels_last).train()
    averaged = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=0.02)
    start, step, shown = time.monotonic(), 0, 0.0
    while (part := (time.monotonic() - start) / seconds) < 1:
        # A rise, then half a cosine down to a hundredth.
        rate = 3e-3 * min(1.0, (step + 1) / 200) * (0.01 + 0.99 * (1 + math.cos(math.pi * part)) / 2)
        for group in optimizer.param_groups:
            group['lr'] = rate
        images, objects = batches.next(batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == 'cuda'):
            raw = network(images.contiguous(memory_format=torch.channels_last))
        value = loss(raw, objects)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        step += 1
        kept = 0.999 * (1 - math.exp(-step / 300))
        with torch.no_grad():
            for mine, other in zip(averaged.state_dict().values(), network.state_dict().values()):
                if mine.is_floating_point():
                    mine.lerp_(other, 1 - kept)
        if part - shown >= 0.05 or step <= 3:
            shown = part
            print(f'{part:4.0%}  step {step}  loss {value.item():.4f}  rate {rate:.5f}', flush=True)
    onnx.save(export(averaged, size, batches.names), str(folder / 'yolov5n.onnx'))
    for other in also:
        onnx.save(export(averaged, other, batches.names), str(folder / f'yolov5n-{other}.onnx'))
    print(f'{folder / "yolov5n.onnx"}: {step} steps of {batch} images of {size}x{size} on {device}, last loss '
          f'{value.item():.4f}')


if __name__ == '__main__':
    sys.exit(main())
