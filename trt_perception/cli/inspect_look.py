# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception inspect` with --graph, --fusion, --picture or --view: the graph instead of the report.

They need only a readable ONNX file, so they also show a model that the node refuses.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ParameterError, printable
from ..look.fusion import fuse, fusion_json, fusion_lines
from ..look.fusion_picture import fusion_picture
from ..look.graph import read_graph
from ..look.graph_text import graph_json, graph_lines
from ..model.external_data import external_files
from ..model.onnx_file import load_proto
from .files import Outputs, write_report
from .model_arguments import is_given, model_path
from .numbers import whole
from .together import require_beside

_OF_A_MODEL = (
    '--labels', '--task', '--head', '--output-name', '--input-size', '--color-order', '--scale', '--mean', '--std',
    '--resize-mode', '--crop-fraction', '--interpolation', '--backend')


def add_look_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group('graph', 'each shows the graph instead of the report')
    group.add_argument('--graph', action='store_true', help='list the nodes with their shapes and constants')
    group.add_argument(
        '--fusion', action='store_true', help="show the nodes that ONNX Runtime's optimiser fuses on the CPU")
    group.add_argument(
        '--picture', type=Path, metavar='FILE',
        help='draw the graph before and after fusion as SVG; for an engine, its layers and the nodes in them')
    group.add_argument(
        '--view', action='store_true', help='show the model in the browser with Netron (pip install netron)')
    group.add_argument(
        '--port', type=whole(0, 65535), default=0, metavar='N',
        help='port of 127.0.0.1 for --view; default: a free one')


def require_engine_options(options: argparse.Namespace) -> None:
    """Raise ParameterError for options that need an ONNX file, such as --graph and --labels."""
    for option, given in (('--graph', options.graph), ('--fusion', options.fusion), ('--view', options.view)):
        if given:
            raise ParameterError(
                f'{option} shows an ONNX file, found the engine {printable(options.model)}: inspect shows its layers '
                f'without {option}, and --picture FILE.svg draws them')
    for option in _OF_A_MODEL:
        if is_given(option, options):
            raise ParameterError(f'{option} is for a model, found the engine {printable(options.model)}: leave it out')


def wants_look(options: argparse.Namespace) -> bool:
    """Return whether one of the options is given. Raises ParameterError for --port without --view."""
    if not options.view:
        require_beside('--view', {'--port': bool(options.port)})
    return bool(options.graph or options.fusion or options.picture is not None or options.view)


def look(options: argparse.Namespace) -> int:
    """Print or draw what the options name, and return 0.

    Raises ModelError, OutputError, ViewerError, MissingDependencyError or ParameterError.
    """
    if options.view and options.json:
        raise ParameterError('--view shows a page and --json prints data: use one of them')
    path = model_path(options)
    proto = load_proto(path, weights=False)
    check_picture(options.picture, path, *external_files(path, proto).values())
    size = tuple(options.input_size)
    report: dict[str, Any] = {'file': str(path)}
    if not options.json:
        # Large models take long to optimise.
        print(f'file: {printable(path)}', flush=True)
    if options.graph:
        graph = read_graph(proto, size)
        report['graph'] = graph_json(graph)
        _show(options, graph_lines(graph))
    if options.fusion or options.picture is not None:
        fusion = fuse(path, proto, size)
        report['fusion'] = fusion_json(fusion)
        if options.fusion:
            _show(options, fusion_lines(fusion))
        if options.picture is not None:
            write_picture(options.picture, fusion_picture(fusion, path.name), options.json)
    if options.json:
        print(json.dumps(report, indent=2))
    if options.view:
        from ..look.viewer import view

        view(path, options.port)
    return 0


def check_picture(picture: Path | None, *read: Path) -> None:
    """Raise OutputError or ParameterError if --picture cannot be written, or would replace a file that is read."""
    if picture is None:
        return
    if picture.suffix.lower() != '.svg':
        raise ParameterError(f'--picture {printable(picture)}: expected a name that ends in .svg')
    Outputs(*read).file('--picture', picture)


def write_picture(picture: Path, text: str, as_json: bool) -> None:
    """Write the SVG document and name the file."""
    write_report('--picture', picture, text)
    if not as_json:
        print(f'picture: {printable(picture)}')


def _show(options: argparse.Namespace, lines: Iterable[str]) -> None:
    if not options.json:
        print('\n'.join(lines), flush=True)
