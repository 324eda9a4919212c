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
    ('agreement', lambda name, r: r['agreement'] and r['agreement']['value']),
    ('largest score difference', lambda name, r: r['agreement'] and r['agreement']['max_score_difference']),
    ('least IoU', lambda name, r: r['agreement'] and r['agreement'].get('min_iou')),
)


def markdown(report):
    """One row a model; '-' where something was not measured."""
    lines = ['| ' + ' | '.join(title for title, _ in COLUMNS) + ' |', '|' + '---|' * len(COLUMNS)]
    for name, result in report['models'].items():
        values = (value(name, result) for _, value in COLUMNS)
        lines.append('| ' + ' | '.join('-' if value is None else str(value) for value in values) + ' |')
    return '\n'.join(lines)
