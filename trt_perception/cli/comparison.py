# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception benchmark --against`: backends and precisions side by side, and the report to send."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..backends.create import chosen_backend
from ..dependencies import require
from ..errors import MissingDependencyError, PerceptionError, one_line, printable, reason
from ..measure.compare import Comparison, compare_variants
from ..measure.frames import store_frames
from ..measure.machine import machine, state
from ..measure.plot import draw, is_drawable
from ..measure.rates import RosFigures
from ..measure.report import as_json, as_markdown, heading, machine_lines
from ..measure.table import print_table, stages, summary
from ..measure.variant import NAMES, PYTORCH, LeftOut, variants
from ..model.labels import SHIPPED
from ..model.spec import ModelSpec
from ..monitor import Monitor
from ..progress import ConsoleProgress
from ..unfinished import temporary_folder
from ..user_files import why_no_file
from .comparison_options import JSON, LOG, PLOT, TEXT
from .files import OutputError, Outputs, write_report, written
from .growing_file import GrowingFile
from .model_arguments import model_options, pipeline_options, settings
from .ros_figures import measure_node


def run_comparison(
    options: argparse.Namespace, spec: ModelSpec, outputs: Outputs, frames: Callable[[], Iterator[np.ndarray]],
    source: str,
) -> int:
    """Measure, print the tables and write the files; 1 if nothing could be measured.

    frames: returns the distinct frames; source: their origin, for the report
    """
    files = {name: path.absolute() for name, path in options.file}
    if options.pytorch:
        files[PYTORCH] = options.pytorch.absolute()
    for name, path in files.items():
        if not path.is_file():
            raise OutputError(f'{path}: {why_no_file(path)}: check the file of the backend {name}')
    _check_outputs(options, outputs)
    with temporary_folder() as folder, _log(options, folder) as log:
        stored, size = store_frames(frames(), folder)
        before = state()
        comparison = _compare(options, spec, files, stored, log)
        described = {
            'source': source, 'size': size, 'distinct': len(stored), 'measured': options.frames}
        values = as_json(comparison, spec, described, machine(), (before, state()))
        figures = None
        if options.ros:
            try:
                figures = measure_node(options, spec, frames())
                values['ros'] = figures.as_dict()
            except PerceptionError as error:
                comparison.left_out.append(LeftOut('ros', one_line(error)))
                values['left_out'].append(comparison.left_out[-1].as_dict())
        _print(comparison, values, figures)
        _write(options, comparison, values, figures)
    return 0 if comparison.measured else 1


def _compare(
    options: argparse.Namespace, spec: ModelSpec, files: dict[str, Path], stored: list[Path], log: GrowingFile,
) -> Comparison:
    # The child processes run in the root folder.
    chosen = pipeline_options(spec, options)
    chosen = replace(chosen, calibration=replace(
        chosen.calibration,
        source=str(Path(chosen.calibration.source).absolute()) if chosen.calibration.source else ''))
    read = model_options(options)
    if read.labels and read.labels not in SHIPPED:
        read = replace(read, labels=str(Path(read.labels).absolute()))
    backends = options.against or _default_backends(options, spec)
    precisions = options.precision or (spec.stored_precision,)
    wanted, missing = variants(
        backends, precisions, spec.path.absolute(), files, chosen, read, settings(options, spec))
    reference, = variants(
        ('onnxruntime',), (spec.stored_precision,), spec.path.absolute(), files, chosen, read,
        settings(options, spec))[0]
    with ConsoleProgress(unit='') as progress:
        comparison = compare_variants(wanted, reference, stored, options.frames, log.file, _monitor(progress, log))
    comparison.left_out = _in_order([*comparison.left_out, *missing], backends)
    return comparison


def _default_backends(options: argparse.Namespace, spec: ModelSpec) -> tuple[str, ...]:
    """Return the backends without --against: all, or for several precisions only the one that would run here."""
    if options.plot or options.report or options.pytorch or options.file:
        return NAMES
    return (chosen_backend(options.backend, Monitor(), spec),)


def _in_order(left_out: list[LeftOut], backends: tuple[str, ...]) -> list[LeftOut]:
    """Return the rows in the order of the backends; precisions of a backend with the same reason become one row."""
    merged: dict[tuple[str, str], list[str]] = {}
    for one in left_out:
        backend, _, precision = one.name.partition(' ')
        merged.setdefault((backend, one.reason), []).append(precision)
    return [
        LeftOut(f'{backend} {", ".join(precisions)}'.strip(), reason)
        for (backend, reason), precisions in sorted(merged.items(), key=lambda item: backends.index(item[0][0]))]


def _monitor(progress: ConsoleProgress, log: GrowingFile) -> Monitor:
    return Monitor(progress, lambda severity, text: log.line(f'{severity}: {one_line(text)}'))


@contextlib.contextmanager
def _log(options: argparse.Namespace, temporary: Path) -> Iterator[GrowingFile]:
    option, folder = ('--report', options.report) if options.report else ('the log', temporary)
    with GrowingFile(option, folder / LOG) as log:
        log.line(f'trt_perception {__version__} benchmark')
        yield log


def _check_outputs(options: argparse.Namespace, outputs: Outputs) -> None:
    """Raise an error before the measurement for a file that cannot be written."""
    if options.plot:
        require('matplotlib')
        if not is_drawable(options.plot):
            raise OutputError(f'--plot {options.plot}: expected a name that ends in .png, .svg or .pdf')
    outputs.file('--plot', options.plot)
    if options.report:
        outputs.folder('--report', options.report)
        if options.report.is_file():
            raise OutputError(f'--report {options.report}: it is a file; expected a folder')
        try:
            options.report.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f'--report {options.report}: {reason(error)}') from error
        for name in (TEXT, JSON, PLOT, LOG):
            outputs.file('--report', options.report / name)


def _print(comparison: Comparison, values: dict[str, Any], figures: RosFigures | None) -> None:
    print(printable(heading(values)))
    if comparison.measured:
        print_table(summary(comparison))
        print()
        print_table(stages(comparison))
        print()
    if figures:
        print_table(figures.rows())
        print(figures.note())
        print()
    if comparison.reference:
        print(f'agreement with {comparison.reference}, on {values["frames"]["distinct"]} distinct frames')
    for one in comparison.left_out:
        print(f'left out: {printable(one.name)}: {printable(one.reason)}')
    for measured in comparison.measured:
        for text in measured.warnings:
            print(f'warning: {measured.variant.name}: {printable(text)}')
    for line in machine_lines(values):
        print(printable(line))


def _write(
    options: argparse.Namespace, comparison: Comparison, values: dict[str, Any], figures: RosFigures | None,
) -> None:
    text = json.dumps(values, indent=2) + '\n'
    if options.json:
        write_report('--json', options.json, text)
    if options.plot and comparison.measured:
        with contextlib.ExitStack() as files:
            _draw('--plot', options.plot, comparison, values, files)
    if not options.report:
        return
    plot = ''
    # The files change together: all are written before the first replaces an older one.
    with contextlib.ExitStack() as files:
        if comparison.measured:
            try:
                _draw('--report', options.report / PLOT, comparison, values, files)
                plot = PLOT
            except MissingDependencyError as error:
                print(f'warning: the report has no picture: {one_line(error)}', file=sys.stderr)
        for name, content in ((JSON, text), (TEXT, as_markdown(comparison, values, plot, figures))):
            files.enter_context(written('--report', options.report / name)).write_text(content, encoding='utf-8')
    print(f'{printable(options.report)}: {TEXT} is the report; send the whole folder')


def _draw(
    option: str, path: Path, comparison: Comparison, values: dict[str, Any], files: contextlib.ExitStack,
) -> None:
    """Draw the figure under another name; it gets its own name at the end of `files`."""
    facts = values['machine']
    note = '; '.join(facts[name] for name in ('machine', 'cpu', 'gpu', 'power mode', 'versions') if name in facts)
    # Without matplotlib there must be no file that would get the name.
    require('matplotlib')
    part = files.enter_context(written(option, path))
    try:
        draw(comparison, heading(values), note, part)
    except ValueError as error:
        raise OutputError(f'{option} {path}: {reason(error)}') from error
