# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The file of a network without preprocessing and decoding in one precision, kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import CalibrationError, FetchError, ModelError
from ..file_cache import cache_root, is_intact, locked, record_path, scratch_folder, store
from ..model.onnx_file import sha256_of
from ..monitor import Monitor
from ..pipeline.options import PRECISIONS
from ..pipeline.raw import RawModel
from ..progress import ProgressCallback, counted
from .decoder import decoder_of
from .fp16 import halve_rest, to_fp16
from .graph import add_metadata, load_model, require_finite, save_model
from .int8 import unshare_weights
from .observe import histograms
from .quantizer import input_tensors, insert_qdq, prepared
from .ranges import AUTO, METHODS, threshold
from .running import load, run, session_options

# In the package's cache folder.
FOLDER = 'networks'
# Increase it if this package converts the same network in another way than before.
_FORMAT = 1
# The limit of int8: root mean square of the difference from fp32, as a fraction of that of the fp32 output.
INT8_DIFFERENCE = 0.1
# Each fourth sample is for the comparison, if there are enough.
_EACH = 4
_MOST_CHECKED = 16
Sample = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class RawSamples:
    """Inputs of the network: name -> array, for int8's ranges and for the comparison with fp32."""

    calibration: tuple[Sample, ...]
    checking: tuple[Sample, ...]

    def digest(self) -> str:
        """Return the SHA-256 of all arrays."""
        digest = hashlib.sha256()
        for part in (self.calibration, self.checking):
            digest.update(f'{len(part)} '.encode())
            for sample in part:
                for name, array in sample.items():
                    digest.update(f'{name} {array.dtype} {array.shape} '.encode())
                    digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def split_samples(samples: Sequence[Sample]) -> RawSamples:
    """Return the samples for calibration, and others for the comparison; CalibrationError if there are none."""
    if not samples:
        raise CalibrationError(
            'calibration has no samples: give an iterable of inputs as `example`, of what the camera will see')
    if len(samples) < 2 * _EACH:
        return RawSamples(tuple(samples), tuple(samples))
    checking = samples[_EACH - 1::_EACH][:_MOST_CHECKED]
    chosen = {id(sample) for sample in checking}
    return RawSamples(tuple(sample for sample in samples if id(sample) not in chosen), tuple(checking))


def prepare_raw(
    model: RawModel, precision: str, samples: RawSamples | None, *, method: str = AUTO,
    max_difference: float = INT8_DIFFERENCE, half_rest: bool = False, keep: bool = False,
    monitor: Monitor | None = None,
) -> RawModel:
    """Return the network in this precision, as a file of the cache.

    samples, method, max_difference: only for int8; see CALIBRATION_METHODS and INT8_DIFFERENCE
    half_rest: store int8's float layers in float16, for strongly typed TensorRT
    keep: put a file that needs no conversion into the cache too, instead of returning it as it is
    Raises ModelError, CalibrationError for int8 without samples or if it differs too much, FetchError if the cache
    cannot be written.
    """
    require_raw_precision(model, precision, samples is not None)
    if precision == model.precision and not keep:
        return model
    monitor = monitor or Monitor()
    name = model.path.stem
    progress = monitor.following(f'{precision} of {name}')
    recipe: dict[str, Any] = {'format': _FORMAT, 'model': model.sha256, 'precision': precision}
    if precision != model.precision and precision == 'int8':
        assert samples is not None
        recipe.update(
            samples=samples.digest(), method=method, max_difference=max_difference, half_rest=half_rest,
            onnxruntime=require('onnxruntime').__version__)

    def make(path: Path) -> None:
        if precision == model.precision:
            shutil.copyfile(model.path, path)
        elif precision == 'fp16':
            to_fp16(model.path, path, progress=progress)
        else:
            assert samples is not None
            quantised = path.with_name(f'quantised-{path.name}') if half_rest else path
            _quantize(model, quantised, samples, method, max_difference, progress)
            if half_rest:
                halve_rest(quantised, path, progress)

    target = _stored(name, precision, recipe, make, progress)
    return replace(model, path=target, sha256=sha256_of(target), precision=precision)


def require_raw_precision(model: RawModel, precision: str, has_samples: bool) -> None:
    """Raise ModelError or CalibrationError if prepare_raw would refuse these arguments."""
    if precision not in PRECISIONS:
        raise ModelError(f"precision is '{precision}': expected one of {', '.join(PRECISIONS)}")
    if model.precision not in ('fp32', precision):
        raise ModelError(
            f'the network computes in {model.precision}: expected precision {model.precision}, or the float32 network '
            f'(.float()) for {precision}')
    if precision == 'int8' != model.precision and not has_samples:
        raise CalibrationError(
            'int8 needs calibration data, found none: give calibration=, an iterable of inputs as `example`, of what '
            'the camera will see (random data would give random ranges)')


def differences(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """Return the root mean square of the difference, as a fraction of that of the output: the largest of all outputs.

    Outputs of whole numbers, such as class indices, do not count.
    """
    worst = 0.0
    for reference, values in zip(expected, found):
        if reference.dtype.kind == 'f' and reference.size:
            exact = reference.astype(np.float64)
            size = float(np.sqrt(np.mean(exact**2)))
            error = float(np.sqrt(np.mean((values.astype(np.float64) - exact) ** 2)))
            worst = max(worst, np.inf if np.isnan(error) else error / max(size, 1e-12))
    return worst


def _quantize(
    model: RawModel, path: Path, samples: RawSamples, method: str, limit: float, progress: ProgressCallback,
) -> None:
    """Write the int8 file with the calibration method, and if necessary with the float layers, that differ least."""
    name = model.path.name
    if method not in (AUTO, *METHODS):
        raise CalibrationError(f"calibration method '{method}': expected one of {', '.join((AUTO, *METHODS))}")
    progress('reading the network', 0, None)
    source = load_model(model.path)
    require_finite(source, name)
    graph = prepared(source, name)
    unshare_weights(graph.graph)
    require_finite(graph, name)
    inputs = input_tensors(graph)
    decoder = decoder_of(graph.graph)
    layers = [layer for layer in inputs if layer not in decoder.written]
    if not layers:
        raise ModelError(
            f'{name} has no convolution or matrix multiplication with float32 weights: int8 has nothing to quantise; '
            'use fp32 or fp16')
    names = [spec.name for spec in model.outputs]

    def observed(text: str) -> Iterable[dict[str, np.ndarray]]:
        return (dict(sample) for sample in counted(samples.calibration, text, len(samples.calibration), progress))

    seen = histograms(graph, sorted({inputs[layer] for layer in layers}), observed, name)
    reference = load(graph, session_options(), name)
    expected = [run(reference, names, sample, name) for sample in samples.checking]
    # The last layers decide the outputs directly, and the first one sees the input itself.
    inner = [layer for layer in layers[1:] if layer not in decoder.last]
    best: tuple[float, Any, dict[str, Any]] | None = None
    for chosen in [layers, *([inner] if inner else [])]:
        for one in METHODS if method == AUTO else (method,):
            progress(f'measuring calibration method {one}', 0, None)
            thresholds = {tensor: threshold(histogram, one) for tensor, histogram in seen.items()}
            candidate = insert_qdq(graph, thresholds, chosen)
            session = load(candidate, session_options(), name)
            difference = max(
                differences(outputs, run(session, names, sample, name))
                for outputs, sample in zip(expected, samples.checking))
            if best is None or difference < best[0]:
                kept = [layer for layer in inputs if layer not in chosen]
                best = difference, candidate, {
                    'precision': 'int8', 'method': one, 'kept_float': kept, 'difference': round(difference, 6)}
        if best is not None and best[0] <= limit:
            break
    assert best is not None
    difference, result, record = best
    if difference > limit:
        raise CalibrationError(
            f'int8 differs from fp32 by {difference:.2g} (root mean square, as a fraction of that of the output), more '
            f'than max_difference {limit:g}: give more calibration data of what the camera will see, use fp16, or '
            'raise max_difference')
    add_metadata(result, source, record)
    save_model(result, path)


def _stored(name: str, precision: str, recipe: Mapping[str, Any], make: Any, progress: ProgressCallback) -> Path:
    """Return the file of this recipe; `make` writes it if it is not there."""
    identity = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    folder = cache_root() / FOLDER
    target = folder / f'{name}-{precision}-{identity[:16]}.onnx'
    if not is_intact(target, identity):
        with locked(folder / f'.{target.stem}.lock', progress):
            if not is_intact(target, identity):
                with scratch_folder(target) as unfinished:
                    made = unfinished / target.name
                    make(made)
                    store(target, made.read_bytes(), identity)
    with contextlib.suppress(OSError):
        # For `cache prune --unused-for`. Not the network itself: another process that builds an engine
        # from it would find it changed.
        os.utime(record_path(target))
    return target


@dataclass(frozen=True)
class StoredNetwork:
    """A file of the cache; size in bytes, last_used as time.time()."""

    path: Path
    size: int
    last_used: float


def stored_networks() -> list[StoredNetwork]:
    """Return the files of from_torch in the cache, the last used first."""
    found = []
    with contextlib.suppress(OSError, FetchError):
        for path in (cache_root() / FOLDER).glob('*.onnx'):
            with contextlib.suppress(OSError):
                record = record_path(path)
                used = (record if record.exists() else path).stat().st_mtime
                found.append(StoredNetwork(path, path.stat().st_size, used))
    return sorted(found, key=lambda network: -network.last_used)


def remove_network(network: StoredNetwork) -> None:
    """Remove a file of the cache, its record first. Programs that have loaded it go on. Raises OSError."""
    record_path(network.path).unlink(missing_ok=True)
    network.path.unlink(missing_ok=True)
    network.path.with_name(f'.{network.path.stem}.lock').unlink(missing_ok=True)
