# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The GPU's work from a YOLO network's output to the detections in host memory."""

from __future__ import annotations

import numpy as np

from ....model.geometry import Geometry
from ....model.heads.yolo import DetectionSettings, YoloHead
from ....results.results import Detections
from ..cuda.kernel_module import KernelModule
from ..cuda.runtime_api import CudaSession
from .candidates import CANDIDATE, HEADER_BYTES, candidate_layout, read_candidates
from .live_settings import LiveSettings
from .runtime import Tensor
from .selection import BLOCK, COMPARISONS, SELECTED, THREADS, SelectedView, Selection, selection_of
from .selection import KERNEL as SELECT

_DECODE_BLOCK = (128, 1)


class DetectionWork:
    """Makes detections of a YOLO output tensor. Use it with the session's context current.

    header_address: address of the candidates' header, which must be cleared before the work of `enqueue` runs
    view: reads the selected detections and the number of candidates
    """

    def __init__(self, head: YoloHead, output: Tensor, session: CudaSession, module: KernelModule) -> None:
        self._head = head
        self._session = session
        self._module = module
        self._layout = candidate_layout(head, output.shape, output.dtype)
        self._settings = LiveSettings(session, output.dtype)
        self._gpu_selects = True
        self._candidates = session.allocate(self._layout.size)
        self._comparisons = session.allocate(COMPARISONS.itemsize)
        self._selected = session.allocate_host(SELECTED.itemsize, mapped=True)
        self.view = SelectedView(self._selected.array)
        self._decoding = self._layout.decoding(output.address, self._candidates.address, self._settings.address)
        self._selection = Selection()
        self._geometry: Geometry | None = None
        self.header_address = self._candidates.address

    def prepare(self, geometry: Geometry) -> None:
        """Set the geometry of the next frames."""
        self._geometry = geometry
        self._selection = selection_of(self._head, geometry)
        self._selection.header = self._candidates.address
        self._selection.candidates = self._candidates.address + HEADER_BYTES
        self._selection.settings = self._settings.address
        self._selection.comparisons = self._comparisons.address
        self._selection.selected = self._selected.device_address

    def update(self, settings: DetectionSettings) -> None:
        """Set the settings of the next frame."""
        self._gpu_selects = self._settings.update(settings)

    def enqueue(self, stream: int) -> None:
        """Queue the work that follows the network."""
        self._module.launch(self._layout.kernel, (self._layout.threads, 1), _DECODE_BLOCK, self._decoding, stream)
        self._module.launch(SELECT, (THREADS, 1), BLOCK, self._selection, stream)

    def result(self, settings: DetectionSettings) -> Detections:
        """Return the detections; EngineError if values are not finite. The stream must be idle."""
        found = self.view.read(self._head) if self._gpu_selects else None
        if found is not None:
            return found
        assert self._geometry is not None
        count = self.view.candidates
        buffer = np.empty(HEADER_BYTES + count * CANDIDATE.itemsize, np.uint8)
        self._session.download(buffer, self._candidates.address)
        self._session.synchronize()
        return self._head.select(*read_candidates(buffer, count), self._geometry, settings)
