# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the files that are generated from the tables of parameters: config/*.yaml and docs/parameters.md."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from .depth_table import DEPTH_PARAMETERS
from .table import PARAMETERS, Group, Kind, Row, as_yaml

# By the task of the launch file.
CONFIG_FILES = {'detection': 'detect.yaml', 'classification': 'classify.yaml'}
DEPTH_FILE = 'detections_3d.yaml'
_WIDTH = 118
_TABLE = 'trt_perception/parameters/table.py'
_DEPTH_TABLE = 'trt_perception/parameters/depth_table.py'

_YAML_HEAD = """\
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Written by `make generate` from {table}: change that file, not this one.
#
# All parameters of {what}, with the values that {launch_file} uses by default.
# To change some, copy their lines into your own file and give it to the launch file: params_file:=my.yaml. Launch
# arguments override the file. Parameters marked "Live" can also change while the node is active (ros2 param set); the
# others are read on configure.
/**:
  ros__parameters:
"""

_PAGE_HEAD = """\
# Parameters

<!-- Written by `make generate` from {table}: change that file, not this one. -->

To set parameters at the start, give a launch file `params_file:=my.yaml` ([detect.yaml](../config/detect.yaml) and
[classify.yaml](../config/classify.yaml) are full files to copy from) or launch arguments (`ros2 launch trt_perception
detect.launch.py --show-args` lists them). To change a *live* parameter while the node is active, use
`ros2 param set /detector score_threshold 0.4`; the other parameters are read on configure, so a change needs cleanup
and configure.

If a parameter is set in several places, launch arguments override `params_file`, and `params_file` overrides
`SetParameter` in a launch file that includes ours. Without `params_file`, `detect.launch.py` sets `task` to `detection`
and `classify.launch.py` sets it to `classification`, unless `SetParameter` does.

"""

_DEPTH_HEAD = """\
## detections_3d_node

<!-- Written from {table}. -->

The node that gives detections a place in space ([depth](depth.md)). Its parameters are read on configure.
[detections_3d.yaml](../config/detections_3d.yaml) is a full file to copy from.

"""


def documents() -> dict[str, str]:
    """Return the text of each generated file by its path in the source tree."""
    return {
        **{f'config/{name}': parameter_file(task) for task, name in CONFIG_FILES.items()},
        f'config/{DEPTH_FILE}': depth_file(),
        'docs/parameters.md': parameters_page()}


def parameter_file(task: str) -> str:
    """Return a ROS parameter file with all parameters of a task, with their defaults.

    task: detection or classification
    """
    launch_file = CONFIG_FILES[task].replace('.yaml', '.launch.py')
    what = {'detection': 'an object detector', 'classification': 'an image classifier'}[task]
    lines = [_YAML_HEAD.format(table=_TABLE, what=what, launch_file=launch_file)]
    lines += _yaml_rows(PARAMETERS, task)
    return ''.join(lines[:-1])


def depth_file() -> str:
    """Return a ROS parameter file with all parameters of detections_3d_node, with their defaults."""
    head = _YAML_HEAD.format(
        table=_DEPTH_TABLE, what='detections_3d_node',
        launch_file=DEPTH_FILE.replace('.yaml', '.launch.py'))
    return ''.join([head, *_yaml_rows(DEPTH_PARAMETERS, '')][:-1])


def _yaml_rows(table: Mapping[str, Row], task: str) -> list[str]:
    """Return the lines of a parameter file, with an empty one at the end."""
    lines = []
    for group, rows in _by_group(table).items():
        if group.task not in ('', task):
            continue
        lines.append(_comment(f'{group.title}. {group.text}' if group.text else f'{group.title}.', 4) + '\n')
        for row in rows:
            value = task if row.name == 'task' else as_yaml(row.default)
            lines.append(f'{_comment(_sentences(row), 4)}    {row.name}: {value}\n')
        lines.append('\n')
    return lines


def parameters_page() -> str:
    """Return docs/parameters.md: a table for each group."""
    return ''.join([
        _PAGE_HEAD.format(table=_TABLE), *_page_rows(PARAMETERS, '##'), _DEPTH_HEAD.format(table=_DEPTH_TABLE),
        *_page_rows(DEPTH_PARAMETERS, '###')][:-1])


def _page_rows(table: Mapping[str, Row], heading: str) -> list[str]:
    """Return the lines of the page, with an empty one at the end."""
    lines = []
    for group, rows in _by_group(table).items():
        lines.append(f'{heading} {group.title}\n\n')
        if group.text:
            lines.append(f'{group.text}\n\n')
        lines.append('| name | default | range or choices | live | meaning |\n|---|---|---|---|---|\n')
        for row in rows:
            cells = (
                f'`{row.name}`', f'`{as_yaml(row.default)}`', _allowed(row), 'yes' if row.live else '',
                row.explanation.replace('|', '\\|'))
            lines.append(f'| {" | ".join(cells)} |\n')
        lines.append('\n')
    return lines


def _by_group(table: Mapping[str, Row]) -> Mapping[Group, Sequence[Row]]:
    groups = dict.fromkeys(row.group for row in table.values())
    return {group: [row for row in table.values() if row.group == group] for group in groups}


def _allowed(row: Row) -> str:
    if row.kind is Kind.BOOL:
        return '`true`, `false`'
    return ', '.join(f'`{as_yaml(choice)}`' for choice in row.choices) or row.expected


def _sentences(row: Row) -> str:
    return ' '.join(filter(None, (row.explanation, row.constraint, 'Live.' if row.live else '')))


def _comment(text: str, indent: int) -> str:
    prefix = f'{" " * indent}# '
    return textwrap.fill(
        text, _WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False,
        break_on_hyphens=False) + '\n'
