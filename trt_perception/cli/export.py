# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Export a PyTorch network to one complete ONNX file, and compare both.

NAME is a classifier of torchvision, a function that returns a torch.nn.Module (module:function or file.py:function), or
a TorchScript file:

  trt_perception export resnet18
  trt_perception export resnet18 --weights my.pt --labels classes.txt
  trt_perception export my_package.network:make --input-size 320 320

Preprocessing, class names and source are stored in the file, so no other option is needed later. The file is written
after onnx.checker has accepted it and after ONNX Runtime has given PyTorch's outputs on a photo and on noise. It needs
PyTorch: pip install torch torchvision. YOLOv5 and Ultralytics have exporters of their own (models/README.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError, ParameterError, printable
from ..model.labels import SHIPPED
from ..model.spec import ModelOptions
from .files import Outputs
from .model_arguments import add_preprocessing_arguments, preprocessing_options
from .model_report import preprocessing_text, size_text
from .numbers import above_zero, positive, whole
from .parameter_options import add_parameter

if TYPE_CHECKING:
    from ..export.exporting import Exported
    from ..export.network import Network

_WEIGHTS = ('default', 'none')
_EXPORTERS = ('auto', 'torchscript', 'dynamo')
_TOLERANCE = 1e-3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument(
        'name', metavar='NAME', nargs='?', help='a torchvision classifier, module:function, or a TorchScript file')
    parser.add_argument('--list', action='store_true', help="print the names of torchvision's classifiers and stop")
    parser.add_argument('--output', type=Path, metavar='FILE', help='the file to write (default: NAME.onnx here)')
    parser.add_argument(
        '--weights', default='default', metavar='default|none|FILE',
        help="of a torchvision classifier: torchvision's best (downloaded once), random numbers, or a state_dict in a "
             'file; the number of classes follows the file (default: %(default)s)')
    add_parameter(parser, '--labels', 'labels_file', metavar='FILE')
    add_parameter(parser, '--task', 'task')
    add_parameter(parser, '--head', 'head')
    parser.add_argument(
        '--input-size', type=positive, nargs=2, metavar=('WIDTH', 'HEIGHT'),
        help="size of the input in pixels (default: that of torchvision's weights; for others 224 224)")
    parser.add_argument(
        '--channels', type=int, choices=(3, 1), default=3,
        help='channels of the input: 3, or 1 for a network that takes grey images (default: %(default)s)')
    parser.add_argument(
        '--input-name', default='images', metavar='NAME', help='name of the input (default: %(default)s)')
    parser.add_argument(
        '--output-names', nargs='+', default=[], metavar='NAME',
        help='names of the outputs (default: logits for torchvision, output0 output1 ... for others)')
    parser.add_argument('--dynamic-batch', action='store_true', help='leave the number of images in a batch open')
    parser.add_argument(
        '--opset', type=whole(11, 30), default=0, metavar='N',
        help='opset of the file (default: 17, which TensorRT 8.6 reads; 18 with dynamo)')
    parser.add_argument(
        '--exporter', choices=_EXPORTERS, default='auto',
        help="PyTorch's exporter: torchscript traces the network, dynamo (which needs onnxscript) captures it; auto "
             'takes the first one that works (default: %(default)s)')
    parser.add_argument(
        '--external-data', action='store_true',
        help='write the weights into a second file, NAME.onnx.data, for networks above 2 GB; copy both files')
    parser.add_argument('--photo', type=Path, metavar='FILE', help='photo for the comparison (default: a shipped one)')
    parser.add_argument(
        '--tolerance', type=above_zero, default=_TOLERANCE, metavar='T',
        help='largest difference between PyTorch and ONNX Runtime, as a fraction of the largest output value '
             '(default: %(default)s)')
    add_preprocessing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Export, check, compare, print."""
    if options.list and options.name:
        raise ParameterError('--list prints all names: expected no NAME with it')
    if options.list:
        from ..export.torchvision_model import classifiers
        print('\n'.join(classifiers()))
        return 0
    if not options.name:
        raise ParameterError(
            'NAME is missing: expected a torchvision classifier, module:function or a TorchScript file')
    kind = _kind_of(options.name)
    # PyTorch takes seconds to import.
    print(f'exporting {printable(options.name)} ({kind})', flush=True)
    target = _target(options, kind)
    outputs = Outputs(*_files_read(options, kind))
    outputs.new_file('--output', target)
    if options.external_data:
        outputs.new_file('--output', target.with_name(f'{target.name}.data'))
    network = _network(options, kind)
    for note in network.notes:
        print(f'note: {note}', flush=True)

    from ..export.exporting import PHOTO, export_network
    from ..export.onnx_writer import ExportOptions
    names = tuple(options.output_names) or (('logits',) if kind == 'torchvision' else ())
    exported = export_network(
        network, target, tuple(options.input_size or network.size),
        ModelOptions(
            task=options.task, head=options.head, labels=options.labels,
            preprocessing=preprocessing_options(options)),
        ExportOptions(
            options.input_name, names, options.dynamic_batch, options.opset, options.exporter, options.external_data,
            options.channels),
        options.photo or PHOTO, options.tolerance, lambda text: print(f'  {text}', flush=True))
    _report(exported)
    return 0


def _kind_of(name: str) -> str:
    path = Path(name)
    if path.suffix.lower() == '.onnx':
        raise ModelError(f'{name} is an ONNX file already: trt_perception inspect {name} shows it')
    if path.suffix == '.py':
        raise ModelError(f'{name} is Python code: give the function that returns the network too, {name}:FUNCTION')
    if path.is_file() or path.suffix.lower() in ('.pt', '.pth', '.pt2', '.ts', '.torchscript', '.ckpt'):
        if not path.is_file():
            raise ModelError(f'no file at {printable(name)}: expected a TorchScript file')
        return 'file'
    return 'function' if ':' in name else 'torchvision'


def _files_read(options: argparse.Namespace, kind: str) -> list[str | Path | None]:
    return [
        options.name if kind == 'file' else options.name.rpartition(':')[0] if kind == 'function' else None,
        None if options.weights in _WEIGHTS else options.weights,
        None if options.labels in SHIPPED else options.labels, options.photo]


def _target(options: argparse.Namespace, kind: str) -> Path:
    if options.output is not None:
        return Path(options.output)
    stem = {'file': Path(options.name).stem, 'function': options.name.rpartition(':')[2].rpartition('.')[2]}
    return Path(f'{stem.get(kind, options.name)}.onnx')


def _network(options: argparse.Namespace, kind: str) -> Network:
    if kind != 'torchvision' and options.weights != 'default':
        raise ParameterError('--weights is for the classifiers of torchvision: this network has its own weights')
    if kind == 'file':
        from ..export.torch_file import torchscript
        return torchscript(Path(options.name))
    if kind == 'function':
        from ..export.user_code import user_network
        return user_network(options.name)
    from ..export.torchvision_model import torchvision_network
    return torchvision_network(options.name, options.weights)


def _report(exported: Exported) -> None:
    spec = exported.spec
    size = sum(path.stat().st_size for path in exported.files)
    open_batch = ', dynamic batch' if spec.dynamic_batch else ''
    rows = {
        'task': f'{spec.task} ({spec.head.kind})',
        'input': f'{spec.input_name} {list(spec.input_shape)}{open_batch}',
        'outputs': ', '.join(f'{name} {list(shape)}' for name, shape in spec.outputs),
        'opset': exported.opset,
        'images': preprocessing_text(spec.preprocessing),
        'classes': f'{len(spec.names)} from {spec.names_source}' + (
            '; --labels FILE names them' if spec.names_source.startswith('class indices') else ''),
        'size': size_text(size)}
    print(' and '.join(printable(path) for path in exported.files))
    for name, value in rows.items():
        print(f'  {name + ":":<9}{printable(value)}')
    if len(exported.files) > 1:
        print('  Copy both files: the second one has the weights.')
    print(f'next: trt_perception predict {printable(exported.files[0])} PHOTO')
