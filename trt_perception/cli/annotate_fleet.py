# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""--ray of annotate: many workers, on this machine or on a cluster."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from ..annotate.annotate import Outcome
from ..annotate.options import AnnotateOptions
from ..annotate.store import Store, run_of
from ..errors import ParameterError
from ..fleet.own_crew import OwnCrew
from ..fleet.ray_crew import AUTO, LOCAL, RayCrew, Share, connected
from ..fleet.remote import is_url
from ..fleet.remote_run import annotate_remote
from ..fleet.run import PART_IMAGES, annotate_fleet
from ..fleet.worker import Opened, Order
from ..progress import ProgressCallback
from ..utf8_path import is_utf8
from .numbers import above_zero, whole

# Opens the model of a worker, with the options of the command line.
Opener = Callable[[argparse.Namespace], AbstractContextManager[Opened]]


def add_fleet_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --ray and what belongs to it."""
    group = parser.add_argument_group(
        'many workers', 'Bags, model and --output must be on storage that all machines have under the same paths.')
    group.add_argument(
        '--ray', nargs='?', const=LOCAL, default='', metavar='ADDRESS',
        help=f'run on several workers with Ray. ADDRESS is host:port of a cluster, or {AUTO} for a cluster that Ray '
             'finds. Without ADDRESS a new cluster is started on this machine')
    group.add_argument(
        '--ray-workers', type=whole(0, 100_000), default=0, metavar='N',
        help='number of workers (default: as many as fit)')
    group.add_argument(
        '--ray-cpus', type=whole(0, 1024), default=0, metavar='N',
        help='CPU cores of each worker, also its --threads (default: 1; with a GPU its share of the cores)')
    group.add_argument(
        '--ray-gpus', type=above_zero, default=None, metavar='G',
        help='GPUs of each worker, such as 1 or 0.5 (default: 1 if the cluster has GPUs and --backend uses them)')
    group.add_argument(
        '--ray-images', type=whole(0, 10**9), default=0, metavar='N',
        help='split a bag with more than N images into parts of N, for several workers (default: '
             f'{PART_IMAGES}, if fewer than two bags for each worker are left)')


def check_fleet(options: argparse.Namespace) -> None:
    """Raise ParameterError for an address that is a bag, and options that would do nothing."""
    if options.ray and Path(options.ray).exists():
        raise ParameterError(
            f'--ray {options.ray}: expected the address of a Ray cluster, found a file or folder: write the bags first')
    if options.ray and not all(is_utf8(path) for path in (*options.bags, options.output)):
        raise ParameterError(
            '--ray: Ray takes no path that is not UTF-8: rename these bags or --output, or annotate them without --ray')
    if not options.ray and (options.ray_workers or options.ray_cpus or options.ray_gpus or options.ray_images):
        raise ParameterError('--ray-workers, --ray-cpus, --ray-gpus and --ray-images need --ray')
    if options.ray_images and is_remote(options):
        raise ParameterError(
            '--ray-images splits bags, but bags with a URL are not split, nor those with an --output URL: leave it out')


def path_or_url(text: str) -> Path | str:
    """Return a path; a URL of object storage stays a text."""
    return text if is_url(text) else Path(text)


def is_remote(options: argparse.Namespace) -> bool:
    """Return whether a bag or --output is in object storage. Raises ParameterError if the results would be in a bag."""
    for bag in options.bags:
        if is_url(bag) and f'{options.output}/'.startswith(f'{str(bag).rstrip("/")}/'):
            raise ParameterError(f'--output {options.output} is in the bag {bag}: choose another folder')
    return is_url(options.output) or any(is_url(bag) for bag in options.bags)


def run_remote(
    options: argparse.Namespace, wanted: AnnotateOptions, opener: Opener, report: Callable[[str], None],
    finished: Callable[[Outcome], None], progress: ProgressCallback,
) -> None:
    """Annotate bags of object storage, with Ray or in this process. Raises as annotate_remote."""
    @contextlib.contextmanager
    def own() -> Iterator[OwnCrew]:
        with contextlib.closing(OwnCrew(_order(options, None, wanted, opener))) as crew:
            yield crew

    summary = annotate_remote(
        [str(bag) for bag in options.bags], str(options.output),
        partial(_ray_crew, options, None, wanted, opener) if options.ray else own, wanted, report, finished, progress)
    if options.ray:
        for line in summary.lines():
            print(line)


def run_fleet(
    options: argparse.Namespace, store: Store, wanted: AnnotateOptions, opener: Opener, report: Callable[[str], None],
    finished: Callable[[Outcome], None], progress: ProgressCallback,
) -> None:
    """Annotate on the workers; prints a summary. Raises as annotate_fleet, ParameterError without a cluster."""
    summary = annotate_fleet(
        options.bags, store, partial(_ray_crew, options, options.output.absolute(), wanted, opener), wanted,
        options.ray_images, report, finished, progress)
    for line in summary.lines():
        print(line)


@contextlib.contextmanager
def _ray_crew(
    options: argparse.Namespace, output: Path | None, wanted: AnnotateOptions, opener: Opener,
) -> Iterator[RayCrew]:
    with connected(options.ray) as resources:
        share = Share(
            options.ray_workers, options.ray_cpus, options.ray_gpus, options.backend in ('auto', 'tensorrt'),
        ).of(resources)
        for_worker = argparse.Namespace(**{
            name: value for name, value in vars(options).items() if name not in ('bags', 'run')})
        for_worker.threads = options.threads or share.cpus
        yield RayCrew(_order(for_worker, output, wanted, opener), share)


def _order(
    for_worker: argparse.Namespace, output: Path | None, wanted: AnnotateOptions, opener: Opener,
) -> Order:
    return Order(str(Path.cwd()), output, run_of(wanted.settings), partial(opener, for_worker))
