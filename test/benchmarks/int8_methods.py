# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the accuracy that int8 costs, by calibration method and by layers in float: the table of docs/precision.md.

    PYTHONPATH=.:test python test/benchmarks/int8_methods.py yolov3-tiny bikes

All measurements are on ONNX Runtime, on frames that calibration has not seen.
"""

import argparse
import sys

from trt_perception.catalogue.resolve import resolve_model, resolve_video
from trt_perception.model.spec import load_model
from trt_perception.precision import graph, quantizer
from trt_perception.precision.calibration import calibration_of
from trt_perception.precision.calibration_frames import read_samples
from trt_perception.precision.cost import multiplications
from trt_perception.precision.decoder import decoder_of
from trt_perception.precision.half_arithmetic import rounding_as_half
from trt_perception.precision.ranges import AUTO, METHODS, threshold
from trt_perception.precision.search import Evaluation, choose_layers
from trt_perception.precision.target import Target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model')
    parser.add_argument('source')
    parser.add_argument('--samples', type=int, default=64)
    parser.add_argument('--checking', type=int, default=24)
    options = parser.parse_args()
    path = resolve_model(options.model)
    spec = load_model(path)
    samples = read_samples(resolve_video(options.source), options.samples, options.checking)
    source = graph.load_model(path)
    model = quantizer.prepared(source, path.name)
    evaluation = Evaluation(spec, model, samples.checking)
    cost = multiplications(model)
    print(f'{path.name}: {len(samples.calibration)} frames to calibrate, {len(samples.checking)} others to compare')
    print('| precision | calibration | layers in float | int8 share of multiplications | agreement '
          '| score difference mean | largest | IoU mean | lowest |')
    print('|---|---|---|---|---|---|---|---|---|')

    def row(precision, method, layers, share, agreement):
        overlap = f'{agreement.mean_iou:.3f} | {agreement.min_iou:.3f}' if spec.task == 'detection' else '- | -'
        print(f'| {precision} | {method} | {layers} | {share:.0%} | {agreement.value:.3f} '
              f'| {agreement.mean_score_difference:.4f} | {agreement.max_score_difference:.4f} | {overlap} |',
              flush=True)

    decoder = decoder_of(source.graph)
    row('fp16', '-', 'none', 0, evaluation.of(rounding_as_half(source, ())))
    row('fp16', '-', 'decoding', 0, evaluation.of(rounding_as_half(source, decoder.nodes)))
    inputs = quantizer.input_tensors(model)
    calibration = calibration_of(spec, samples.calibration, AUTO)
    seen = calibration.histograms(model, sorted(set(inputs.values())))
    without_head = [name for name in inputs if name not in decoder.last | decoder.written]
    candidates = without_head if spec.task == 'detection' else list(inputs)

    def share_of(layers):
        return sum(cost[name] for name in layers) / sum(cost.values())

    for method in METHODS:
        thresholds = {name: threshold(histogram, method) for name, histogram in seen.items()}
        variants = [(list(inputs), 'none'), (without_head, f'last {len(inputs) - len(without_head)}')]
        if decoder.written:
            variants.append((sorted(decoder.written), 'all but the box decoder'))
        for layers, text in variants:
            result = quantizer.insert_qdq(model, thresholds, layers)
            row('int8', method, text, share_of(layers), evaluation.of(result))
        choice = choose_layers(
            lambda layers, thresholds=thresholds: quantizer.insert_qdq(model, thresholds, layers), candidates,
            evaluation, (Target(), Target().without_boxes))
        row('int8', method, f'searched: {len(inputs) - len(choice.layers)} of {len(inputs)}',
            share_of(choice.layers), choice.agreement)


if __name__ == '__main__':
    sys.exit(main())
