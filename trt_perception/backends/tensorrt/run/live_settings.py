# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The settings that may change from frame to frame, in GPU memory for the kernels."""

from __future__ import annotations

import numpy as np

from ....model.heads.yolo import DetectionSettings
from ..cuda.runtime_api import CudaSession
from .candidates import FRAME_SETTINGS, write_settings


class LiveSettings:
    """GPU memory with the detection settings. Use it with the session's context current.

    address: GPU address of FRAME_SETTINGS
    """

    def __init__(self, session: CudaSession, dtype: np.dtype) -> None:
        """dtype: type of the output tensor, in which the threshold is compared."""
        self._session = session
        self._dtype = dtype
        self._host = session.allocate_host(FRAME_SETTINGS.itemsize)
        self.address = session.allocate(FRAME_SETTINGS.itemsize).address
        self._uploaded: DetectionSettings | None = None
        self._gpu_selects = False

    def update(self, settings: DetectionSettings) -> bool:
        """Queue the upload of the settings if they differ from those of the last call.

        Earlier frames must be done. Returns False if the host must select the detections.
        """
        if settings is not self._uploaded:
            self._uploaded = None
            self._gpu_selects = write_settings(
                self._host.array.view(FRAME_SETTINGS).reshape(()), settings, self._dtype)
            self._session.upload(self.address, self._host.array)
            self._uploaded = settings
        return self._gpu_selects
