# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What gpu_pipeline.py measured, as Markdown."""

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
    """Boxes (images, of a classifier) that the agreement is about; where nothing was found it says nothing."""
    agreement = result['agreement'] or {}
    if 'matched' not in agreement:
        return agreement.get('frames', 0)
    return agreement['matched'] + agreement['missing'] + agreement['extra']


def markdown(report):
    """One row a model; '-' where something was not measured."""
    lines = ['| ' + ' | '.join(title for title, _ in COLUMNS) + ' |', '|' + '---|' * len(COLUMNS)]
    for name, result in report['models'].items():
        values = (value(name, result) for _, value in COLUMNS)
        lines.append('| ' + ' | '.join('-' if value is None else str(value) for value in values) + ' |')
    return '\n'.join(lines)
