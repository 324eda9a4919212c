# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""int8: a float32 model with explicit quantisation (Q/DQ) where measured agreement allows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import CalibrationError, ModelError
from ..image.frame import Frame
from ..progress import ProgressCallback, counted, silent
from .calibration import Calibration
from .cost import multiplications
from .graph import add_metadata, load_model, reads, require_finite, save_model, tail_of, weighted_nodes
from .parity import Agreement
from .quantizer import input_tensors, insert_qdq, prepared, quantised_layers
from .ranges import AUTO, METHODS, Histogram, threshold
from .search import Choice, Evaluation, Target, choose_layers


@dataclass(frozen=True)
class Int8Report:
    """What the quantisation did.

    int8, kept_float: names of the layers with weights
    int8_share: part of all multiplications that the int8 layers do, 0..1
    agreement: with float32 on the frames for checking, down to scores of 0.15; None where there were none
    sensitivity: Agreement.loss of each layer with it alone in int8; empty where no search was needed
    losses: Agreement.loss of each calibration method with every candidate in int8; empty for a given method
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

    def as_dict(self) -> dict[str, Any]:
        """Return what goes into the file's metadata."""
        return {
            'precision': 'int8', 'quantizer': f'onnxruntime {require("onnxruntime").__version__}',
            'method': self.method, 'calibration_sha256': self.calibration_sha256, 'samples': self.samples,
            'int8': list(self.int8), 'kept_float': list(self.kept_float), 'int8_share': round(self.int8_share, 4),
            'agreement': self.agreement.as_dict() if self.agreement else None,
            'losses': {name: round(value, 6) for name, value in self.losses.items()},
            'sensitivity': {name: round(value, 6) for name, value in self.sensitivity.items()}}


def quantize(
    onnx_path: str | Path, out_path: str | Path, calibration: Calibration, checking: Sequence[Frame] = (),
    keep_float: Collection[str] | None = None, target: Target | None = None,
    progress: ProgressCallback = silent,
) -> Int8Report:
    """Write an ONNX file with explicit Q/DQ, which ONNX Runtime and every TensorRT run.

    calibration: of the same model
    checking: frames to measure the agreement with float32 on
    keep_float: names of layers that stay in float; None lets the agreement on `checking` decide, and without such
        frames keeps a detection head's last convolutions
    target: what the search has to reach

    Raises CalibrationError where the target is not reached with a single layer, or checking frames show nothing;
    ModelError for a file that is no float32 model with layers to quantise, or that ONNX Runtime does not load;
    EngineError where it does not run; and what `progress` raises.
    """
    name = Path(onnx_path).name
    progress('reading the model', 0, None)
    source = load_model(Path(onnx_path))
    if any(node.op_type in ('QuantizeLinear', 'DequantizeLinear') for node in source.graph.node):
        raise ModelError(f'{onnx_path} is an int8 model already: expected the float32 one')
    require_finite(source, name)
    progress('reading the model', 0, None)
    model = prepared(source, name)
    _unshare_weights(model.graph)
    # Folding multiplies weights, by what may be too large.
    require_finite(model, name)
    progress('reading the model', 0, None)
    inputs = input_tensors(model)
    if not inputs:
        raise ModelError(
            f'{onnx_path} has no convolution or matrix multiplication with float32 weights: expected a float32 model')
    candidates = _candidates(model, list(inputs), calibration, keep_float)
    seen = calibration.histograms(model, sorted({inputs[layer] for layer in candidates}), progress)
    evaluation = Evaluation(calibration.spec, model, checking, progress) if checking else None
    method = calibration.method
    losses: dict[str, float] = {}
    if method == AUTO:
        method, losses = _best_method(model, seen, candidates, evaluation, progress)
    thresholds = _thresholds(seen, method, progress)
    if evaluation is None:
        choice = Choice(tuple(candidates), Agreement(calibration.spec.task), {})
    elif keep_float is not None:
        agreement = evaluation.of(insert_qdq(model, thresholds, candidates), progress=progress)
        choice = Choice(tuple(candidates), agreement, {})
    else:
        choice = choose_layers(model, thresholds, candidates, evaluation, target or Target(), progress)
    progress('making the int8 model', 0, None)
    result = insert_qdq(model, thresholds, choice.layers)
    progress('making the int8 model', 0, None)
    done = set(quantised_layers(result))
    if done != set(choice.layers):
        raise ModelError(
            f'ONNX Runtime quantised {len(done)} of {len(choice.layers)} layers: {onnx_path} has a form that this '
            'version of onnxruntime does not know; update it, or export the model again')
    cost = multiplications(model)
    report = Int8Report(
        method, calibration.sha256, len(calibration), choice.layers,
        tuple(layer for layer in inputs if layer not in done),
        sum(cost.get(layer, 0) for layer in done) / max(1, sum(cost.values())),
        choice.agreement if evaluation else None, dict(choice.sensitivity), losses)
    add_metadata(result, source, report.as_dict())
    progress('making the int8 model', 0, None)
    save_model(result, Path(out_path))
    return report


def _unshare_weights(graph: Any) -> None:
    """Give layers that share a weight or a bias a copy each: one may become int8 while another stays in float."""
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
    if keep_float is None:
        # Its error goes straight into boxes and scores, and it is a small part of the work.
        kept = tail_of(model.graph)[1] if calibration.spec.task == 'detection' else set()
    else:
        kept = set(keep_float)
        # Other nodes stay in float anyway: who names one means something else.
        unknown = kept - set(layers)
        if unknown:
            raise ModelError(
                f'the model has no layer {sorted(unknown)[0]} that could be int8, which is to stay in float; it has '
                f'{", ".join(layers)}')
    candidates = [name for name in layers if name not in kept]
    if not candidates:
        raise CalibrationError('every layer is to stay in float: nothing is left for int8; use fp16')
    return candidates


def _best_method(
    model: Any, seen: dict[str, Histogram], candidates: Sequence[str], evaluation: Evaluation | None,
    progress: ProgressCallback,
) -> tuple[str, dict[str, float]]:
    if evaluation is None:
        # The most robust of those measured in docs/precision.md.
        return 'percentile', {}
    losses = {}
    for method in METHODS:
        variant = insert_qdq(model, _thresholds(seen, method, progress), candidates)
        losses[method] = evaluation.of(variant, f'measuring calibration method {method}', progress).loss
    return min(losses, key=lambda method: losses[method]), losses


def _thresholds(seen: dict[str, Histogram], method: str, progress: ProgressCallback) -> dict[str, float]:
    text = f'computing ranges by method {method}'
    return {name: threshold(seen[name], method) for name in counted(seen, text, len(seen), progress)}
