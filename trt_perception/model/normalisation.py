# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How an image becomes a network's input: colours, normalisation, resizing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ModelError
from .geometry import RESIZE_MODES

METADATA_KEY = 'trt_perception.preprocessing'
COLOR_ORDERS = ('rgb', 'bgr')
# The first is the one of files that say nothing.
INTERPOLATIONS = ('linear', 'bilinear_antialias', 'bicubic_antialias')


@dataclass(frozen=True)
class Preprocessing:
    """x = (pixel * scale - mean) / std per channel, with pixels 0..255 in `color_order`.

    resize_mode: letterbox, center_crop or stretch
    crop_fraction: the part of the shorter side that center_crop keeps
    interpolation: linear is OpenCV's INTER_LINEAR; bilinear_antialias and bicubic_antialias are Pillow's filters, which
        torchvision uses on Pillow images. With them, center_crop resizes first and then crops, as torchvision does
    """

    color_order: str = 'rgb'
    scale: float = 1.0 / 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize_mode: str = 'letterbox'
    crop_fraction: float = 0.875
    interpolation: str = 'linear'

    def identity(self) -> dict[str, Any]:
        """Return the values for a cache key. A model with the usual interpolation has the key that it always had."""
        values = dict(vars(self))
        if self.interpolation == 'linear':
            del values['interpolation']
        return values


# torchvision's ImageNet statistics, for RGB in 0..1.
IMAGENET = Preprocessing(
    mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), resize_mode='center_crop',
    interpolation='bilinear_antialias')
YOLO = Preprocessing()
# A uint8 input takes unchanged pixels: the graph normalises them.
_RAW_PIXELS: dict[str, Any] = {'scale': 1.0, 'mean': (0.0, 0.0, 0.0), 'std': (1.0, 1.0, 1.0)}


@dataclass(frozen=True)
class Overrides:
    """The user's settings; None or 'auto' keeps the model's own value."""

    color_order: str = 'auto'
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize_mode: str = 'auto'
    crop_fraction: float | None = None
    interpolation: str = 'auto'


def preprocessing_of(
    task: str, metadata: Mapping[str, str], input_dtype: np.dtype, overrides: Overrides, is_quantised: bool = False,
    usual: Preprocessing | None = None,
) -> Preprocessing:
    """Return the usual preprocessing, changed first by the file's metadata and then by the user.

    is_quantised: whether the integers of the input stand for real numbers, which the values are about
    usual: that of the model's family, None for that of the task

    Raises ModelError for invalid values.
    """
    result = usual or (YOLO if task == 'detection' else IMAGENET)
    if task == 'classification' and metadata.get('task') == 'classify' and 'imgsz' in metadata:
        # Ultralytics' classifiers expect pixels in 0..1 and a full centre crop; torchvision resizes a Pillow image.
        result = replace(
            YOLO, resize_mode='center_crop', crop_fraction=1.0, interpolation='bilinear_antialias')
    elif task == 'classification' and 'stride' in metadata and 'task' not in metadata:
        # YOLOv5's export.py writes stride and names. Its classifiers use the same crop, but ImageNet's statistics, and
        # OpenCV resizes what was cropped.
        result = replace(IMAGENET, crop_fraction=1.0, interpolation='linear')
    is_uint8 = np.dtype(input_dtype) == np.uint8 and not is_quantised
    if is_uint8:
        result = replace(result, **_RAW_PIXELS)
    result = _checked(replace(result, **_from_metadata(metadata)), "the model's metadata")
    chosen: dict[str, Any] = {
        name: value for name, value in vars(overrides).items() if value not in (None, 'auto')}
    for name in ('mean', 'std'):
        if name in chosen:
            chosen[name] = _three(chosen[name], name)
    result = _checked(replace(result, **chosen), 'the settings')
    if is_uint8 and any(getattr(result, name) != value for name, value in _RAW_PIXELS.items()):
        raise ModelError(
            'the model takes uint8 pixels and normalises them itself: leave scale, mean and std unset')
    return result


def _from_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    text = metadata.get(METADATA_KEY)
    if not text:
        return {}
    try:
        values = dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"the model's metadata {METADATA_KEY} is not a JSON object: {text!r}") from error
    unknown = set(values) - set(vars(YOLO))
    if unknown:
        raise ModelError(
            f"the model's metadata {METADATA_KEY} has unknown keys {sorted(unknown)}: "
            f'expected only {sorted(vars(YOLO))}')
    for name in ('mean', 'std'):
        if name in values:
            values[name] = _three(values[name], name)
    for name in ('scale', 'crop_fraction'):
        if name in values:
            try:
                values[name] = float(values[name])
            except (TypeError, ValueError) as error:
                raise ModelError(
                    f"the model's metadata {METADATA_KEY} has {name} {values[name]!r}: expected a number") from error
    return values


def _three(values: Any, name: str) -> tuple[float, float, float]:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not np.all(np.isfinite(numbers)):
        raise ModelError(f'{name} is {values!r}: expected one or three finite numbers')
    return numbers[0], numbers[1], numbers[2]


def _checked(result: Preprocessing, origin: str) -> Preprocessing:
    if result.color_order not in COLOR_ORDERS:
        raise ModelError(
            f"color_order in {origin} is '{result.color_order}': expected rgb or bgr")
    if result.resize_mode not in RESIZE_MODES:
        raise ModelError(
            f"resize_mode in {origin} is '{result.resize_mode}': expected one of {', '.join(RESIZE_MODES)}")
    if result.interpolation not in INTERPOLATIONS:
        raise ModelError(
            f"interpolation in {origin} is '{result.interpolation}': expected one of {', '.join(INTERPOLATIONS)}")
    if not np.isfinite(result.scale) or result.scale <= 0:
        raise ModelError(f'scale in {origin} is {result.scale}: expected a number above 0, usually 1/255')
    if min(result.std) <= 0:
        raise ModelError(f'std in {origin} is {list(result.std)}: expected numbers above 0')
    if not 0 < result.crop_fraction <= 1:
        raise ModelError(
            f'crop_fraction in {origin} is {result.crop_fraction}: expected more than 0 and at most 1')
    return result
