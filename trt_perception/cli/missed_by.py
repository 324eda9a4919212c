# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""--coco-missed-by: the model that is compared with the one that annotates."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..annotate.missed import OtherModel, require_comparable
from ..annotate.options import COCO
from ..catalogue.resolve import resolve_model
from ..errors import ParameterError, printable
from ..model.spec import ModelOptions, ModelSpec, load_model
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import PipelineOptions
from ..pipeline.tensorrt_options import BuildOptions
from ..progress import ConsoleProgress
from .model_arguments import opened_pipeline, settings

OPTION = '--coco-missed-by'


def load_other(options: argparse.Namespace, spec: ModelSpec) -> ModelSpec | None:
    """Return the spec of the other model, None if the user names none; fetches a catalogue model that is missing.

    The file decides everything, and --labels names its classes if it has no names.
    Raises ParameterError if the two models cannot be compared, ModelError, LabelsError.
    """
    if not options.coco_missed_by:
        return None
    if COCO not in options.formats:
        raise ParameterError(f'{OPTION} chooses images of {COCO}: add --formats {COCO}')
    with ConsoleProgress() as progress:
        path = resolve_model(options.coco_missed_by, fetch=True, progress=progress)
    other = load_model(path)
    if options.labels and other.names_source.startswith('class indices'):
        other = load_model(path, ModelOptions(labels=options.labels))
    if other.labels_warning:
        print(f'warning: {printable(other.labels_warning)}', file=sys.stderr)
    require_comparable(spec, other, OPTION)
    return other


def other_settings(options: argparse.Namespace, other: ModelSpec | None) -> dict[str, Any] | None:
    """Return what the results of the other model depend on, as JSON values."""
    if other is None:
        return None
    return {
        'model_sha256': other.sha256, 'names': list(other.names), 'head': repr(other.head),
        'preprocessing': repr(other.preprocessing), 'input': [other.width, other.height],
        'precision': other.stored_precision, 'thresholds': repr(_thresholds(options, other).detection)}


def other_model(options: argparse.Namespace, spec: ModelSpec, other: ModelSpec) -> OtherModel:
    """Return the other model, not open. It runs in the precision of its file, on the same kind of backend."""
    chosen = PipelineOptions(
        backend=options.backend, precision=other.stored_precision, num_threads=options.threads,
        build=BuildOptions(precision=other.stored_precision))
    return OtherModel(spec, other, lambda: opened_pipeline(other, chosen, _thresholds(options, other)))


def _thresholds(options: argparse.Namespace, other: ModelSpec) -> PostprocessSettings:
    """Return the settings of the other model: --score and --iou if they are given, otherwise its own; all classes."""
    return settings(argparse.Namespace(**{**vars(options), 'classes': []}), other)
