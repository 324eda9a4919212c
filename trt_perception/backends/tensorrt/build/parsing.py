# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's ONNX parser: reads a model into a network, and turns its errors into one line."""

from __future__ import annotations

import re
from typing import Any

from ....advice.backend import or_backend
from ....errors import ModelError, printable
from ....model.onnx_file import load_proto
from ....monitor import Monitor
from ..library.compat import ParserProblem, TensorRt
from ..library.engine_log import ERROR
from .request import BuildRequest

# The failed condition in C++ before the reason: 'Assertion failed: (a && b): ', or 'a && "the reason"'.
_ASSERTION = re.compile(r'^Assertion failed: ')
_QUOTED = re.compile(r'^[^"]* && "([^"]+)"$')
# Lines of the parser's log that only repeat its errors; other files of it give details.
_REPEATED = re.compile(r'^ModelImporter\.cpp:\d+')
_PLACE = re.compile(r'^\w+\.(?:cpp|hpp|h):\d+: ')
_SHOWN = 3


def parse_model(tensorrt: TensorRt, builder: Any, request: BuildRequest, monitor: Monitor) -> Any:
    """Return the INetworkDefinition of the model; ModelError, with the reasons, if TensorRT cannot read it."""
    errors: list[str] = []

    def log(severity: str, text: str) -> None:
        if severity == ERROR:
            # They are in the exception if the parser fails. Otherwise they are logged afterwards.
            errors.append(text)
        else:
            monitor.log(severity, text)

    monitor.progress('reading the model', 0, None)
    network = tensorrt.create_network(builder, request.options)
    parser = tensorrt.create_parser(network)
    tensorrt.logger(log)
    try:
        parsed = parser.parse_from_file(str(request.onnx_path))
    finally:
        tensorrt.logger(monitor.log)
    if not parsed:
        raise parser_error(
            request.onnx_path.name, tensorrt.identity, tensorrt.parser_problems(parser), errors,
            load_proto(request.onnx_path, weights=False).graph.node)
    for text in errors:
        monitor.log(ERROR, text)
    return network


def parser_error(
    name: str, library: str, problems: list[ParserProblem], log: list[str], nodes: Any,
) -> ModelError:
    """Return the error for a model that TensorRT cannot read.

    name: of the model file; library: name and version; problems: the parser's errors; log: the errors that it logged;
    nodes: of the graph, because TensorRT 8.6 gives only their positions
    """
    texts = [_problem_text(problem, nodes) for problem in problems]
    details = [_PLACE.sub('', text) for text in log if not _REPEATED.match(text)]
    texts = list(dict.fromkeys(texts)) or list(dict.fromkeys(log)) or ['the parser gave no reason']
    more = f' (and {len(texts) - _SHOWN} more)' if len(texts) > _SHOWN else ''
    because = '; '.join(dict.fromkeys(text.rstrip('.!?') for text in (*texts[:_SHOWN], *details[:1])))
    plugin = next((operator for problem in problems if (operator := _operator(problem, nodes)).endswith('_TRT')), '')
    remedy = f'Export the model without the unsupported parts{or_backend()}'
    if plugin:
        # ONNX Runtime has none of TensorRT's plugins.
        remedy = (
            f'{plugin} is a plugin that this TensorRT does not have: export the model without it (for NMS in the '
            'network: no --end2end)')
    return ModelError(f'{name} cannot be used by {library}: {printable(because)}{more}. {remedy}')


def _operator(problem: ParserProblem, nodes: Any) -> str:
    if problem.operator or not 0 <= problem.node_index < len(nodes):
        return problem.operator
    return str(nodes[problem.node_index].op_type)


def _problem_text(problem: ParserProblem, nodes: Any) -> str:
    name, operator = problem.name, problem.operator
    if 0 <= problem.node_index < len(nodes):
        # TensorRT 8.6 gives only the index.
        node = nodes[problem.node_index]
        name = name or node.name or f'with output {node.output[0]}'
        operator = operator or node.op_type
    reason = _reason(problem.text)
    if not name and not operator:
        return reason
    return f"node {name} (operator {operator or 'unknown'}): {reason}"


def _reason(text: str) -> str:
    """Return an error's text without the C++ condition that failed, if there are words beside it."""
    quoted = _QUOTED.match(text)
    if quoted:
        return quoted[1]
    failed = _ASSERTION.match(text)
    if failed:
        _, colon, words = text[failed.end():].rpartition(': ')
        return words if colon else text
    return text
