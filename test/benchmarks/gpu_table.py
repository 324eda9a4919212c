# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints the results of gpu_pipeline.py, of one or several processes, as Markdown, and compares them with the goals."""

import statistics

# The goals: name of the measurement, the comparison, and the limit.
GOALS = (('ratio_to_engine', '<=', 1.35), ('p99_to_p50', '<=', 1.5), ('faster_than_plain', '>=', 5.0))
COLUMNS = (
    ('model', lambda name, r: name),
    ('runs in', lambda name, r: r['described']['precision_effective'] or 'as the model says'),
    ('plan, MiB', lambda name, r: r['plan_mib']),
    ('build, s', lambda name, r: r['build_s']),
    ('engine p50, ms', lambda name, r: r['engine_back_to_back']['p50']),
    ('engine p99 / p50', lambda name, r: r['engine_p99_to_p50']),
    ('copy p99 / p50', lambda name, r: r['copy_p99_to_p50']),
    ('device p50, ms', lambda name, r: r['device_back_to_back']['p50']),
    ('device p99 / p50', lambda name, r: r['p99_to_p50']),
    ('device / engine', lambda name, r: r['ratio_to_engine']),
    ('host p50, ms', lambda name, r: r['host']['p50']),
    ('plain p50, ms', lambda name, r: r['plain']['p50']),
    ('plain / device', lambda name, r: r['faster_than_plain']),
    ('GPU, MiB', lambda name, r: r['gpu_memory_mib']),
    ('open, s', lambda name, r: r['start']['open_s']),
    ('boxes compared', lambda name, r: _compared(r)),
    ('agreement', lambda name, r: r['agreement']['value'] if _compared(r) else None),
    ('largest score difference', lambda name, r: r['agreement']['max_score_difference'] if _compared(r) else None),
    ('least IoU', lambda name, r: r['agreement'].get('min_iou') if _compared(r) else None),
)


def _compared(result):
    """Return the number of boxes (of a classifier: images) in the agreement; with 0 the agreement has no meaning."""
    agreement = result['agreement'] or {}
    if 'matched' not in agreement:
        return agreement.get('frames', 0)
    return agreement['matched'] + agreement['missing'] + agreement['extra']


def _summary(values):
    """Return the median, with the range if values differ; '-' if a value is missing, the first value if it is text."""
    if any(value is None for value in values):
        return '-'
    if isinstance(values[0], str) or len(set(values)) == 1:
        return str(values[0])
    return f'{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})'


def _by_model(reports):
    return {name: [report['models'][name] for report in reports] for name in reports[0]['models']}


def markdown(reports):
    """Return a table with one row for each model; `reports` has one report for each process."""
    lines = ['| ' + ' | '.join(title for title, _ in COLUMNS) + ' |', '|' + '---|' * len(COLUMNS)]
    for name, results in _by_model(reports).items():
        cells = (_summary([value(name, result) for result in results]) for _, value in COLUMNS)
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def verdict(reports):
    """Return a line for each model and goal: the number of processes that meet it."""
    lines = []
    for name, results in _by_model(reports).items():
        for what, sign, goal in GOALS:
            values = [result[what] for result in results]
            met = sum(value <= goal if sign == '<=' else value >= goal for value in values)
            listed = ', '.join(f'{value:.4g}' for value in values)
            lines.append(f'{name}: {what} {sign} {goal}: met in {met} of {len(values)} ({listed})')
    return lines
