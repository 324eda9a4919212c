# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Words that users of other tools type, and what they are here."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Mapping

_MODEL = 'MODEL is the first argument, without an option'
_SOURCE = 'SOURCE is an argument after MODEL, without an option'


def _use(*options: str) -> tuple[tuple[str, str], ...]:
    """Return the rules for a word that is one of our options; each may have an example of its value."""
    return tuple((option.partition(' ')[0], f'use {option}') for option in options)


# Option of Ultralytics, YOLOv5, trtexec or the node -> rules (option that the subcommand must have, remedy). The first
# rule that fits counts.
_OPTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(
        ('--conf', '--conf-thres', '--conf-threshold', '--confidence', '--min-score', '--score-thr',
         '--score-threshold', '--thresh', '--threshold'), _use('--score')),
    **dict.fromkeys(
        ('--iou-thres', '--iou-threshold', '--nms', '--nms-threshold', '--overlap'), _use('--iou')),
    **dict.fromkeys(
        ('--height', '--image-size', '--img', '--img-size', '--imgsz', '--shape', '--size', '--width'),
        _use('--input-size WIDTH HEIGHT')),
    **dict.fromkeys(('--max-det',), _use('--max-detections')),
    **dict.fromkeys(('--agnostic', '--agnostic-nms', '--class-agnostic-nms'), _use('--class-agnostic')),
    **dict.fromkeys(('--class', '--filter'), _use('--classes')),
    **dict.fromkeys(('--class-names', '--data', '--labels-file', '--names'), _use('--labels')),
    **dict.fromkeys(('--topk', '--top'), _use('--top-k')),
    **dict.fromkeys(('--fp16', '--half'), _use('--precision fp16')),
    **dict.fromkeys(('--best', '--int8'), _use('--precision int8')),
    '--fp32': _use('--precision fp32'),
    '--cpu': _use('--backend onnxruntime'),
    **dict.fromkeys(
        ('--cuda', '--device', '--gpu', '--gpu-id'),
        _use('--device-index N', '--backend tensorrt for the GPU, --backend onnxruntime for the CPU')),
    **dict.fromkeys(
        ('--output', '--out', '--output-dir', '--project', '--save', '--save-dir', '--save-img', '--saveEngine',
         '--show', '--view', '--view-img', '--visualize'),
        _use('--draw DIR for pictures, --json FILE for the results', '--output', '--json FILE')),
    **dict.fromkeys(('--export', '--save-csv', '--save-json', '--save-txt'), _use('--json FILE')),
    **dict.fromkeys(('--num-threads', '--workers'), _use('--threads')),
    **dict.fromkeys(('--limit', '--num-frames'), _use('--max-frames', '--frames')),
    **dict.fromkeys(('--mem', '--memPoolSize', '--workspace'), _use('--workspace-mib')),
    **dict.fromkeys(('--calib', '--calib-data', '--dataset'), _use('--calibration SOURCE')),
    **dict.fromkeys(
        ('--engine', '--loadEngine', '--model', '--model-file', '--onnx', '--weights'),
        (*_use('--model'), ('--task', _MODEL))),
    **dict.fromkeys(
        ('--camera', '--image', '--images', '--input', '--rtsp', '--source', '--url', '--video', '--webcam'),
        (('--draw', _SOURCE), *_use('--source', '--image', '--video', '--calibration SOURCE'))),
}
_COMMANDS: Mapping[str, str] = {
    **dict.fromkeys(('detect', 'classify', 'infer', 'inference', 'run', 'track', 'image'), 'predict'),
    **dict.fromkeys(('accuracy', 'eval', 'map', 'score', 'test', 'val', 'validate'), 'evaluate'),
    **dict.fromkeys(('compile', 'convert', 'engine', 'trtexec'), 'build'),
    **dict.fromkeys(('download', 'get', 'install', 'pull'), 'fetch'),
    **dict.fromkeys(('check', 'info', 'show', 'summary'), 'inspect'),
    **dict.fromkeys(('bench', 'profile', 'speed', 'time'), 'benchmark'),
    **dict.fromkeys(('calibrate', 'int8', 'fp16'), 'quantize'),
    **dict.fromkeys(('clean', 'clear', 'list', 'prune'), 'cache'),
    **dict.fromkeys(('bag', 'replay'), 'play'),
}


def foreign_option(option: str, own: Collection[str]) -> str:
    """Return the remedy for an option of another tool or of the node; '' if it is unknown, or has no counterpart here.

    own: the options of the subcommand
    """
    if option in own:
        return ''
    rules = _OPTIONS.get(option, ()) or _OPTIONS.get(option.replace('_', '-'), ())
    needed, remedy = next((rule for rule in rules if rule[0] in own), ('', ''))
    # The beginning of an option is accepted.
    return '' if needed.startswith(option) else remedy


def foreign_assignment(word: str, own: Collection[str]) -> str:
    """Return the remedy for an argument such as conf=0.5, as Ultralytics takes it; '' for another argument."""
    name, assigned, _ = word.partition('=')
    if not assigned or not name.isidentifier() or os.path.lexists(word):
        return ''
    option = f'--{name.replace("_", "-")}'
    return f'use {option}' if option in own else foreign_option(option, own)


def foreign_command(word: str) -> str:
    """Return the subcommand for the word of another tool; '' if it is unknown."""
    return _COMMANDS.get(word.lower(), '')


def closest(word: str, known: Iterable[str]) -> str:
    """Return the most similar known word, '' if none is similar."""
    names = {name.lower().replace('_', '-'): name for name in known}
    found = difflib.get_close_matches(word.lower().replace('_', '-'), list(names), 1, 0.6)
    return names[found[0]] if found else ''
