# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The preprocessing that DETR and its relatives with two outputs expect, by exporter and family.

All stretch the image to the network's input. They differ in ImageNet's mean and deviation, and in the resize: Pillow's
antialiasing one, or OpenCV's.

Sources: libreyolo 1.6.0, `preprocess/`, with the family in the metadata `model_family`; rfdetr 1.11, whose outputs
are `dets`, `labels`; the image processors of transformers 5.24, whose outputs are `logits`, `pred_boxes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..normalisation import IMAGENET, YOLO, Preprocessing

_PLAIN = replace(YOLO, resize_mode='stretch')
_IMAGENET = replace(_PLAIN, mean=IMAGENET.mean, std=IMAGENET.std)
_SMOOTH = replace(_PLAIN, interpolation='bilinear_antialias')
_SMOOTH_IMAGENET = replace(_IMAGENET, interpolation='bilinear_antialias')

_LIBREYOLO = {
    'rtdetr': _PLAIN, 'rtdetrv2': _PLAIN, 'rfdetr': _IMAGENET,
    'dfine': _SMOOTH, 'deim': _SMOOTH, 'deimv2': _SMOOTH, 'rtdetrv4': _SMOOTH,
    'ec': _SMOOTH_IMAGENET, 'lwdetr': _SMOOTH_IMAGENET, 'detr': _SMOOTH_IMAGENET, 'deformable_detr': _SMOOTH_IMAGENET,
    'dinodetr': _SMOOTH_IMAGENET}
# Those with DINOv3 as their backbone.
_DEIMV2_IMAGENET = ('s', 'm', 'l', 'x')
# COCO's ids: DETR, Deformable DETR and Conditional DETR count them; RT-DETR and D-FINE count 80 classes.
_COCO_IDS = 91


def detr_preprocessing(
    output_names: set[str], num_classes: int, softmax: bool, metadata: Mapping[str, str],
) -> Preprocessing:
    """Return the usual preprocessing of a model with boxes and logits.

    output_names: of both outputs, in lower case
    num_classes: without "no object"; softmax: whether there is a class for it, as in the first DETR
    """
    family = metadata.get('model_family', '').lower()
    if family == 'deimv2' and metadata.get('size', '').lower() in _DEIMV2_IMAGENET:
        return _SMOOTH_IMAGENET
    if family in _LIBREYOLO:
        return _LIBREYOLO[family]
    if output_names == {'dets', 'labels'}:
        return _IMAGENET
    if 'logits' in output_names:
        return _SMOOTH_IMAGENET if softmax or num_classes == _COCO_IDS else _SMOOTH
    return _SMOOTH_IMAGENET if softmax else _PLAIN
