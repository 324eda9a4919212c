# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares each step of a model with arrays of a user's notebook, for `predict --compare`."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import SourceError, reason
from ..image.frame import Frame
from ..model.heads.classification import ClassificationHead
from ..model.heads.detection import RawOutput
from ..model.normalisation import COLOR_ORDERS, INTERPOLATIONS, Preprocessing
from ..model.spec import ModelSpec
from ..ort.backend import OnnxRuntimeBackend
from ..pipeline.interface import PostprocessSettings
from ..pipeline.preprocess import Preprocessor
from ..precision.parity import match
from ..results.results import Detections, Result
from ..user_files import read_whole

ARRAYS = {'image': 'RGB pixels', 'image_bgr': 'BGR pixels', 'input': 'input tensor', 'output': 'raw output'}
_MOST_BYTES = 1 << 28
# Rounding of a pixel. Float16 and other libraries differ a little more in the values of an output.
_EQUAL_LEVELS = 1.1
_EQUAL_OUTPUT = 1e-2
_EQUAL_SCORE = 0.02
_SHOWN = 5
# Classes with lower scores change their order for any reason.
_LOWEST_SCORE = 0.05
# What notebooks divide by and subtract: (scale, mean, std).
_NORMALISATIONS = (
    (1 / 255, (0.0,) * 3, (1.0,) * 3), (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    (1 / 255, (0.5,) * 3, (0.5,) * 3), (1.0, (0.0,) * 3, (1.0,) * 3), (1.0, (127.0,) * 3, (128.0,) * 3))
_FRACTIONS = (0.875, 224 / 232, 0.95, 1.0)


def read_notebook(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name, of those in ARRAYS. Raises SourceError."""
    try:
        content = io.BytesIO(read_whole(path, _MOST_BYTES))
        with zipfile.ZipFile(content) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                raise OSError(f'expected at most {_MOST_BYTES >> 20} MiB of arrays, found more')
        with np.load(content, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ARRAYS if name in stored.files}
            names = sorted(stored.files)
    except (OSError, ValueError, EOFError, MemoryError, NotImplementedError, zipfile.BadZipFile) as error:
        raise SourceError(
            f'--compare {path}: {reason(error)}; expected a file of numpy.savez with numbers') from error
    if not {'input', 'output'} & set(arrays):
        raise SourceError(
            f'--compare {path}: expected the arrays input or output, and image (RGB) or image_bgr, found {names}: '
            "save them with numpy.savez('notebook.npz', image=..., input=..., output=...)")
    for name, array in arrays.items():
        if array.dtype.kind not in 'fui' or not array.size:
            raise SourceError(f'--compare {path}: {name} is {array.dtype} {list(array.shape)}: expected numbers')
        if not np.isfinite(array).all():
            raise SourceError(
                f'--compare {path}: {name} has values that are not finite (NaN or infinity): look in the notebook '
                'where they come from')
    return arrays


def image_of(arrays: Mapping[str, np.ndarray]) -> Frame | None:
    """Return the notebook's image, None if it has none. Raises SourceError."""
    for name in ('image', 'image_bgr'):
        if name in arrays:
            pixels = arrays[name]
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
                raise SourceError(
                    f'--compare: {name} is {pixels.dtype} {list(pixels.shape)}: expected uint8 [height, width, 3]')
            return Frame.from_bgr(np.ascontiguousarray(pixels if name == 'image_bgr' else pixels[..., ::-1]))
    return None


@dataclass
class Comparison:
    """The lines of the report, and the names of the steps that differ."""

    lines: list[str]
    different: list[str]

    def step(self, name: str, equal: bool, text: str) -> None:
        """Add the verdict on a step."""
        self.lines.append(f'{name + ":":<9} {"equal" if equal else "DIFFERENT"}: {text}')
        if not equal:
            self.different.append(name)


def compare_with_notebook(
    spec: ModelSpec, arrays: Mapping[str, np.ndarray], frame: Frame, here: Result, settings: PostprocessSettings,
) -> Comparison:
    """Compare the input, the network (ONNX Runtime on the notebook's own input) and the results.

    here: the result of the user's pipeline for `frame`
    Raises SourceError for an array of another shape.
    """
    report = Comparison([], [])
    tensor, geometry = Preprocessor(spec)(frame)
    rule = spec.input_quantisation
    stored, tensor = tensor, tensor if rule is None else rule.real(tensor)
    theirs = _shaped(arrays['input'], spec) if 'input' in arrays else None
    if theirs is not None:
        _compare_input(report, spec, frame, tensor, theirs)
    if 'output' not in arrays:
        return report
    name = spec.head.output_names[0]
    with OnnxRuntimeBackend(spec.path) as backend:
        given = stored if theirs is None else theirs if rule is None else rule.stored(theirs)
        outputs = spec.real(backend.infer(spec.input_name, given))
    ours = outputs[name]
    output = arrays['output']
    # Of another layout, such as [8400, 84] instead of [1, 84, 8400], all values would differ.
    if np.squeeze(output).shape != np.squeeze(ours).shape:
        raise SourceError(
            f'--compare: output has the shape {list(output.shape)}: expected that of {name}, {list(ours.shape)}')
    output = output.reshape(ours.shape).astype(np.float32)
    if theirs is not None:
        _compare_network(report, spec, ours.astype(np.float32), output)
    head = spec.head
    raw: RawOutput = head.pick({**outputs, name: output})
    result = (
        head.decode(raw, settings.classification) if isinstance(head, ClassificationHead)
        else head.decode(raw, geometry, settings.detection))
    _compare_results(report, spec, result, here, settings)
    return report


def _shaped(tensor: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """Return the notebook's input in the model's shape and type."""
    batch = tensor if tensor.ndim == 4 else tensor[np.newaxis]
    for candidate in (batch, batch.transpose(0, 2, 3, 1), batch.transpose(0, 3, 1, 2)) if batch.ndim == 4 else ():
        if candidate.shape == spec.input_shape:
            dtype = spec.input_dtype if spec.input_quantisation is None else np.float32
            shaped: np.ndarray = np.ascontiguousarray(candidate, dtype=dtype)
            return shaped
    raise SourceError(
        f'--compare: input has the shape {list(tensor.shape)}: expected {list(spec.input_shape)}, one image')


def _compare_input(
    report: Comparison, spec: ModelSpec, frame: Frame, ours: np.ndarray, theirs: np.ndarray,
) -> None:
    planes = _planes(theirs, spec)
    own = _levels(planes, spec.preprocessing, spec.channels)
    difference = np.abs(own - _levels(_planes(ours, spec), spec.preprocessing, spec.channels))
    equal = bool(difference.max() <= _EQUAL_LEVELS)
    report.step('input', equal, (
        f'largest difference {difference.max():.3g} of 255 levels, mean {difference.mean():.3g}; '
        f'in values {np.abs(theirs.astype(np.float64) - ours).max():.3g}'))
    if equal:
        return
    found = min(_candidates(spec, frame, planes), key=lambda pair: pair[0])
    if found[0] < difference.mean() / 2:
        options = ' '.join(_options(spec.preprocessing, found[1]))
        report.lines.append(
            f"          the notebook's input is {'that' if found[0] < 0.5 else 'closer to that'} of: {options} "
            f'(mean difference {found[0]:.2g} levels)')
    else:
        report.lines.append('          no other known preprocessing is closer: is it the same image?')


def _planes(tensor: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """Return the input tensor as float (C, H, W)."""
    planes: np.ndarray = tensor[0] if spec.layout == 'nchw' else tensor[0].transpose(2, 0, 1)
    return np.asarray(planes, np.float64)


def _levels(planes: np.ndarray, options: Preprocessing, channels: int) -> np.ndarray:
    """Return the pixel values 0..255 of a normalised (C, H, W)."""
    mean, std = (np.array(values[:channels])[:, np.newaxis, np.newaxis] for values in (options.mean, options.std))
    levels: np.ndarray = (planes * std + mean) / options.scale
    return levels


def _candidates(spec: ModelSpec, frame: Frame, planes: np.ndarray) -> Iterator[tuple[float, Preprocessing]]:
    """Yield the mean difference in levels, for each usual preprocessing. Those of the model come first."""
    own = spec.preprocessing
    fits = [(own.resize_mode, own.crop_fraction), ('letterbox', own.crop_fraction), ('stretch', own.crop_fraction)]
    fits += [('center_crop', fraction) for fraction in _FRACTIONS]
    interpolations = dict.fromkeys((own.interpolation, *INTERPOLATIONS))
    normalisations = dict.fromkeys(((own.scale, own.mean, own.std), *_NORMALISATIONS))
    for (mode, fraction), interpolation in itertools.product(dict.fromkeys(fits), interpolations):
        geometric = replace(own, resize_mode=mode, crop_fraction=fraction, interpolation=interpolation)
        for order in dict.fromkeys((own.color_order, *COLOR_ORDERS)) if spec.channels == 3 else (own.color_order,):
            raw = replace(geometric, color_order=order, scale=1.0, mean=(0.0,) * 3, std=(1.0,) * 3)
            pixels = Preprocessor(replace(
                spec, input_dtype=np.dtype(np.uint8), layout='nchw', preprocessing=raw, quantised=()))(frame)[0][0]
            for scale, mean, std in normalisations:
                options = replace(raw, scale=scale, mean=mean, std=std)
                yield float(np.abs(_levels(planes, options, spec.channels) - pixels).mean()), options


def _options(own: Preprocessing, other: Preprocessing) -> Iterator[str]:
    """Yield the options of the command line that turn one preprocessing into another."""
    for name, value in vars(other).items():
        if value == getattr(own, name) or (name == 'crop_fraction' and other.resize_mode != 'center_crop'):
            continue
        values = value if isinstance(value, tuple) else (value,)
        text = ','.join(entry if isinstance(entry, str) else f'{entry:.6g}' for entry in values)
        yield f'--{name.replace("_", "-")} {text}'


def _compare_network(report: Comparison, spec: ModelSpec, ours: np.ndarray, theirs: np.ndarray) -> None:
    range_ = max(float(np.abs(ours).max()), 1e-9)
    difference = float(np.abs(ours - theirs).max())
    equal = difference <= _EQUAL_OUTPUT * range_
    text = f"on the notebook's input, largest difference {difference:.3g}; largest value {range_:.3g}"
    if not equal and isinstance(spec.head, ClassificationHead):
        powers = np.exp(ours - ours.max(axis=-1, keepdims=True))
        if np.abs(powers / powers.sum(axis=-1, keepdims=True) - theirs).max() <= _EQUAL_OUTPUT:
            equal, text = True, "the notebook's output is the softmax of the model's"
    report.step('network', equal, text)
    if not equal:
        report.lines.append('          the file is another model than that of the notebook: export it again in eval()')


def _compare_results(
    report: Comparison, spec: ModelSpec, theirs: Result, here: Result, settings: PostprocessSettings,
) -> None:
    same = _among(theirs, here, settings) and _among(here, theirs, settings)
    report.step('results', same, f'notebook: {_shown(theirs, spec)}; here: {_shown(here, spec)}')


def _among(results: Result, others: Result, settings: PostprocessSettings) -> bool:
    """Return whether each result that counts has a partner of the same class, place and nearly the same score."""
    if isinstance(results, Detections):
        assert isinstance(others, Detections)
        most, lowest = settings.detection.max_detections, settings.detection.score_threshold + _EQUAL_SCORE
        partners = {first: second for first, second, _ in match(results, others)}
    else:
        most, lowest = settings.classification.top_k, 0.0
        places = {label: place for place, label in enumerate(others.class_indices.tolist())}
        partners = {
            place: places[label] for place, label in enumerate(results.class_indices.tolist()) if label in places}
    lowest = max(lowest, _LOWEST_SCORE)
    if len(others) >= most:
        # A result as good as the last one may have been left out.
        lowest = max(lowest, float(others.scores[-1]) + _EQUAL_SCORE)
    return all(
        abs(score - float(others.scores[partners[place]])) <= _EQUAL_SCORE if place in partners else score < lowest
        for place, score in enumerate(results.scores.tolist()) if score >= _LOWEST_SCORE)


def _shown(result: Result, spec: ModelSpec) -> str:
    best = zip(result.class_indices.tolist()[:_SHOWN], result.scores.tolist())
    return ', '.join(f'{spec.name_of(label)} {score:.2f}' for label, score in best) or 'nothing'
