# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Object detection and image classification for ROS 2 with TensorRT or ONNX Runtime.

From Python, without ROS (docs/python.md):

>>> import cv2
>>> import trt_perception
>>> with trt_perception.open('detector.onnx') as model:
...     found = model(cv2.imread('street.jpg'))
>>> for box, score, index in zip(found.boxes, found.scores, found.class_indices):
...     print(model.name_of(index), score, box)

A PyTorch module becomes an engine that is called in its place with trt_perception.from_torch.

The other modules are the package's own and change without notice, except the error classes in trt_perception.errors.
"""

# What type checkers take for true. typing has the same name, but importing it costs as much as all of this file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api.device_array import DeviceArray
    from .api.engine import Engine
    from .api.from_torch import from_torch, load_engine
    from .api.model import Model
    from .api.opening import open
    from .errors import PerceptionError
    from .results.results import Classifications, Detections

__version__ = '0.1.0'
__all__ = [
    'Classifications', 'Detections', 'DeviceArray', 'Engine', 'Model', 'PerceptionError', '__version__', 'from_torch',
    'load_engine', 'open']

# Public name -> the module that has it, imported when the name is first used: `import trt_perception` loads nothing.
_PLACES = {
    'Classifications': 'results.results', 'Detections': 'results.results', 'DeviceArray': 'api.device_array',
    'Engine': 'api.engine', 'Model': 'api.model', 'PerceptionError': 'errors', 'from_torch': 'api.from_torch',
    'load_engine': 'api.from_torch', 'open': 'api.opening'}


def __getattr__(name: str) -> object:
    """Import a public name."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module
    value: object = getattr(import_module(f'.{_PLACES[name]}', __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
