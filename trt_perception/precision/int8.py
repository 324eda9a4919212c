# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""int8: explicit quantisation (Q/DQ) of those layers of a float32 model for which the measured agreement allows it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import CalibrationError, ModelError, listed
from ..image.frame import Frame
from ..progress import ProgressCallback, counted, silent
from .calibration import Calibration
from .cost import multiplications
from .decoder import decoder_of
from .form import USUAL_FORM, Form
from .graph import add_metadata, load_model, reads, require_finite, save_model, weighted_nodes
from .parity import Agreement
from .quantizer import input_tensors, prepared, quantised_layers
from .ranges import AUTO, METHODS, Histogram, threshold
from .search import Choice, Evaluation, choose_layers
from .target import Target


@dataclass(frozen=True)
class Int8Report:
    """The result of the quantisation.

    int8, kept_float: names of the layers with weights
    int8_share: part of all multiplications that the int8 layers do, 0..1
    agreement: with float32 on the frames for checking, down to scores of 0.15; None without such frames
    sensitivity: Agreement.loss with only this layer in int8, for each layer; empty if no search was needed
    losses: Agreement.loss of each calibration method with every candidate in int8; empty if the user chose the method
    missed: the numbers that miss the target, if a weaker target had to be accepted, otherwise ''
    form: identity of the file's form
    """

    method: str
    calibration_sha256: str
    samples: int
    int8: tuple[str, ...]
    kept_float: tuple[str, ...]
    int8_share: float
    agreement: Agreement | None = None
    sensitivity: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    missed: str = ''
    form: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record for the file's metadata."""
        return {
            'precision': 'int8', 'quantizer': f'onnxruntime {require("onnxruntime").__version__}',
            'method': self.method, 'calibration_sha256': self.calibration_sha256, 'samples': self.samples,
            'int8': list(self.int8), 'kept_float': list(self.kept_float), 'int8_share': round(self.int8_share, 4),
            'agreement': self.agreement.as_dict() if self.agreement else None,
            'losses': {name: round(value, 6) for name, value in self.losses.items()},
            'sensitivity': {name: round(value, 6) for name, value in self.sensitivity.items()},
            **({'missed': self.missed} if self.missed else {}), **self.form}


def quantize(
    onnx_path: str | Path, out_path: str | Path, calibration: Calibration, checking: Sequence[Frame] = (),
    keep_float: Collection[str] | None = None, targets: Sequence[Target] = (Target(),),
    progress: ProgressCallback = silent, form: Form = USUAL_FORM,
) -> Int8Report:
    """Write an ONNX file with explicit Q/DQ.

    calibration: of the same model
    checking: frames to measure the agreement with float32 on
    keep_float: names of layers that stay in float; None chooses them by the agreement on `checking`, and without such
        frames keeps a detection head's last convolutions. The box decoder stays in float in any case
    targets: the goal of the search, and weaker ones to accept if it cannot be reached, in this order
    form: where the Q/DQ pairs are; by default for every TensorRT

    Raises CalibrationError if not even one int8 layer reaches a target, or if nothing is found on the checking frames;
    ModelError if the file is not a float32 model with layers to quantise or if ONNX Runtime does not load it;
    EngineError if it does not run; and what `progress` raises.
    """
    name = Path(onnx_path).name
    progress('reading the model', 0, None)
    source = load_model(Path(onnx_path))
    if any(node.op_type in ('QuantizeLinear', 'DequantizeLinear') for node in source.graph.node):
        raise ModelError(f'{onnx_path} is an int8 model already: expected the float32 model')
    require_finite(source, name)
    progress('reading the model', 0, None)
    model = prepared(source, name)
    unshare_weights(model.graph)
    # Folding multiplies weights, so they may overflow.
    require_finite(model, name)
    progress('reading the model', 0, None)
    inputs = input_tensors(model)
    if not inputs:
        raise ModelError(
            f'{onnx_path} has no convolution or matrix multiplication with float32 weights: expected a float32 model')
    candidates = _candidates(model, list(inputs), calibration, keep_float)
    seen = calibration.histograms(model, form.tensors(model, candidates), progress)
    evaluation = Evaluation(calibration.spec, model, checking, progress) if checking else None
    method = calibration.method
    losses: dict[str, float] = {}
    if method == AUTO:
        method, losses = _best_method(form, model, seen, candidates, evaluation, progress)
    thresholds = _thresholds(seen, method, progress)

    def insert(layers: Collection[str]) -> Any:
        return form.insert(model, seen, thresholds, layers)

    if evaluation is None:
        choice = Choice(tuple(candidates), Agreement(calibration.spec.task))
    elif keep_float is not None:
        agreement = evaluation.of(insert(candidates), progress=progress)
        choice = Choice(tuple(candidates), agreement)
    else:
        choice = choose_layers(insert, candidates, evaluation, targets, progress)
    progress('making the int8 model', 0, None)
    result = insert(choice.layers)
    progress('making the int8 model', 0, None)
    done = set(quantised_layers(result))
    if done != set(choice.layers):
        raise ModelError(
            f'ONNX Runtime quantised {len(done)} of {len(choice.layers)} layers: this version of onnxruntime does not '
            f'support the form of {onnx_path}; update onnxruntime, or export the model again')
    cost = multiplications(model)
    report = Int8Report(
        method, calibration.sha256, len(calibration), choice.layers,
        tuple(layer for layer in inputs if layer not in done),
        sum(cost.get(layer, 0) for layer in done) / max(1, sum(cost.values())),
        choice.agreement if evaluation else None, dict(choice.sensitivity), losses,
        targets[0].missed(choice.agreement) if choice.target else '', form.identity)
    add_metadata(result, source, report.as_dict())
    progress('making the int8 model', 0, None)
    save_model(result, Path(out_path))
    return report


def unshare_weights(graph: Any) -> None:
    """Give each layer its own copy of a shared weight or bias: one layer may become int8, another stay in float."""
    uses = Counter(name for node in graph.node for name in reads(node))
    uses.update(value.name for value in graph.output)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    copies = []
    for node in weighted_nodes(graph):
        for index, name in enumerate(node.input):
            if index == 0 or name not in constants or uses[name] == 1:
                continue
            uses[name] -= 1
            own = type(constants[name])()
            own.CopyFrom(constants[name])
            own.name = f'{name}/{node.name}/{index}'
            node.input[index] = own.name
            copies.append(own)
    graph.initializer.extend(copies)


def _candidates(
    model: Any, layers: list[str], calibration: Calibration, keep_float: Collection[str] | None,
) -> list[str]:
    """Layers that may become int8, in the order of the graph."""
    kept: set[str] = set()
    if calibration.spec.task == 'detection':
        decoder = decoder_of(model.graph)
        # The decoder computes boxes in pixels, with hardly any work, so it stays in float whatever the user names.
        kept |= decoder.written
        if keep_float is None:
            # The error of the last layers directly changes boxes and scores, and they are a small part of the work.
            kept |= decoder.last
    if keep_float is not None:
        # Other nodes stay in float anyway, so the name of one is a mistake.
        unknown = set(keep_float) - set(layers)
        if unknown:
            wrong = sorted(unknown)[0]
            could = [name for name in layers if name not in kept]
            near = difflib.get_close_matches(wrong, could, 3)
            could = [*near, *(name for name in could if name not in near)]
            raise ModelError(
                f"expected layers to keep in float, found '{listed([wrong])}', which is not a layer that could be "
                f'int8: choose from {listed(could)}')
        kept |= set(keep_float)
    candidates = [name for name in layers if name not in kept]
    if not candidates:
        raise CalibrationError('expected a layer for int8, found every layer kept in float: keep fewer, or use fp16')
    return candidates


def _best_method(
    form: Form, model: Any, seen: dict[str, Histogram], candidates: Sequence[str], evaluation: Evaluation | None,
    progress: ProgressCallback,
) -> tuple[str, dict[str, float]]:
    if evaluation is None:
        # The most robust method in the tables of docs/precision.md.
        return 'percentile', {}
    losses = {}
    for method in METHODS:
        variant = form.insert(model, seen, _thresholds(seen, method, progress), candidates)
        losses[method] = evaluation.of(variant, f'measuring calibration method {method}', progress).loss
    return min(losses, key=lambda method: losses[method]), losses


def _thresholds(seen: dict[str, Histogram], method: str, progress: ProgressCallback) -> dict[str, float]:
    text = f'computing ranges by method {method}'
    return {name: threshold(seen[name], method) for name in counted(seen, text, len(seen), progress)}
