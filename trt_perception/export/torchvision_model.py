# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""torchvision's classifiers by name, with the preprocessing and the class names of their weights."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import FetchError, ModelError, one_line, printable
from ..model.normalisation import METADATA_KEY
from .network import DEFAULT_SIZE, Network, in_evaluation_mode
from .torch_file import read_weights

DEFAULT, NONE = 'default', 'none'


def classifiers() -> list[str]:
    """Return the names of torchvision's classifiers, sorted. Needs torchvision 0.14 or newer."""
    models = require('torchvision.models')
    if not hasattr(models, 'list_models'):
        raise ModelError(
            f'torchvision {require("torchvision").__version__} has no list of models: expected 0.14 or newer')
    return sorted(models.list_models(module=models))


def torchvision_network(name: str, weights: str = DEFAULT) -> Network:
    """Return a classifier of torchvision.

    weights: 'default' (downloaded once by torchvision), 'none' (random numbers), or the path of a file
    The number of classes follows the weights of a file. Raises ModelError, FetchError.
    """
    names = classifiers()
    if name not in names:
        raise ModelError(_unknown(name, names))
    models = require('torchvision.models')
    entry = models.get_model_weights(name).DEFAULT
    notes: list[str] = []
    if weights == DEFAULT:
        module = _with_default_weights(name, entry)
        source = f'weights {entry}'
    elif weights == NONE:
        module = models.get_model(name, weights=None)
        source = 'random weights'
        notes.append('the weights are random: the speed is that of the trained network, the results mean nothing')
    else:
        module = _with_weights_of(name, Path(weights))
        source = f'weights {printable(Path(weights).name)}'
    transforms = entry.transforms()
    metadata = {'task': 'classify', METADATA_KEY: json.dumps(_preprocessing(transforms))}
    categories = entry.meta.get('categories', ())
    if weights in (DEFAULT, NONE) or _classes(module) == len(categories):
        metadata['names'] = json.dumps(dict(enumerate(_distinct(categories))), ensure_ascii=False)
    if weights == DEFAULT and entry.meta.get('_docs'):
        metadata['description'] = one_line(entry.meta['_docs'])
    version = require('torchvision').__version__
    # A list has the sides of a fixed size.
    side = transforms.crop_size[0] if transforms.crop_size else DEFAULT_SIZE[0]
    return Network(
        in_evaluation_mode(module), name, f'torchvision {version} {name}, {source}', (side, side), metadata,
        notes=notes)


def _unknown(name: str, names: list[str]) -> str:
    models = require('torchvision.models')
    if name in models.list_models():
        return (
            f'{name} of torchvision is not a classifier: expected one of those that trt_perception export --list '
            'prints; models/README.md has the detectors that this package runs, and their export lines')
    close = difflib.get_close_matches(name.lower().replace('-', '_'), names, 1)
    return (f'torchvision has no classifier {printable(name)!r}'
            + (f': did you mean {close[0]}?' if close else '')
            + ' (trt_perception export --list). Expected a name, module:function or a TorchScript file')


def _with_default_weights(name: str, entry: Any) -> Any:
    try:
        return require('torchvision.models').get_model(name, weights=entry)
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors; RuntimeError: the hash is wrong
        raise FetchError(
            f'the weights of {name} cannot be downloaded ({one_line(getattr(error, "reason", error), 120)}): download '
            f'{entry.url} on another machine and give --weights FILE, or --weights none for random weights') from error


def _with_weights_of(name: str, path: Path) -> Any:
    """Return the network with the weights of a file, and as many classes as they have."""
    models = require('torchvision.models')
    weights = read_weights(path)
    module = models.get_model(name, weights=None)
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    different = [key for key, shape in expected.items() if key in weights and tuple(weights[key].shape) != shape]
    # A network for other classes differs in the first dimension of its last layer only (and that of auxiliary heads).
    counts = {
        int(weights[key].shape[0]) for key in different
        if expected[key][:1] == (_classes(module),) and tuple(weights[key].shape)[1:] == expected[key][1:]}
    if len(counts) == 1:
        module = models.get_model(name, weights=None, num_classes=counts.pop())
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f'{printable(path.name)} does not fit {name}: {_misfit(module.state_dict(), weights)}; expected the '
            f'state_dict of torchvision.models.{name}()') from error
    return module


def _misfit(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return what is missing, unknown or of another shape, each with its number and the first one."""
    missing = [key for key in expected if key not in found and not key.endswith('.num_batches_tracked')]
    unknown = [key for key in found if key not in expected]
    parts = [
        f'{len(keys)} {what} ({printable(keys[0])}{", ..." if len(keys) > 1 else ""})'
        for what, keys in (('missing', missing), ('unknown', unknown)) if keys]
    for key, value in expected.items():
        if key in found and found[key].shape != value.shape:
            parts.append(f'{key} has the shape {list(found[key].shape)} instead of {list(value.shape)}')
            break
    return ', '.join(parts) or 'its weights cannot be copied'


def _classes(module: Any) -> int:
    """Return the number of outputs of the last layer."""
    return int(list(module.parameters())[-1].shape[0])


def _preprocessing(transforms: Any) -> dict[str, Any]:
    """Return torchvision's ImageClassification transforms as the metadata has them."""
    resize, crop = transforms.resize_size[0], transforms.crop_size[0]
    return {
        'color_order': 'rgb', 'scale': 1 / 255, 'mean': list(transforms.mean), 'std': list(transforms.std),
        'resize_mode': 'center_crop', 'crop_fraction': min(1.0, crop / resize),
        # Both are Pillow's filters, antialiased, on a Pillow image.
        'interpolation': f'{transforms.interpolation.value}_antialias'}


def _distinct(categories: list[str]) -> list[str]:
    """Return the class names; a name of two classes gets the index of the class."""
    return [f'{name} ({index})' if categories.count(name) > 1 else name for index, name in enumerate(categories)]
