# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the forms of int8 files do before and with a form."""

from support.precision_models import color_frames
from trt_perception.image.frame import Frame
from trt_perception.precision.calibration import calibration_of
from trt_perception.precision.ranges import threshold


def seen_by(form, spec, model, layers):
    """Return the histograms of the tensors that the form quantises, over eight images."""
    frames = [Frame.from_bgr(picture) for picture in color_frames(8)]
    return calibration_of(spec, frames, 'minmax').histograms(model, form.tensors(model, layers))


def insert(form, model, seen, layers):
    """Return the model with these layers in int8, with the largest values that were seen."""
    return form.insert(model, seen, {name: threshold(histogram, 'minmax') for name, histogram in seen.items()}, layers)
