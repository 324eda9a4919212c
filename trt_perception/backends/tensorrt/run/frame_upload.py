# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Brings a frame's bytes to the GPU."""

from __future__ import annotations

import numpy as np

from ..cuda.runtime_api import CudaSession, DeviceBuffer, HostBuffer
from .frame_copy import copy_rows

# Bytes of a full HD colour frame, which is enough for most cameras.
FULL_HD = 1920 * 1080 * 3


class FrameUpload:
    """Page-locked memory for a frame, and GPU memory to which the frame is uploaded if requested.

    Otherwise the GPU reads the page-locked memory. Use it with the session's context current.
    """

    def __init__(self, session: CudaSession, capacity: int = FULL_HD) -> None:
        """capacity: bytes of page-locked memory to allocate at once, 0 for none."""
        self._session = session
        self._staging: HostBuffer | None = session.allocate_host(
            capacity, mapped=True, write_only=True) if capacity else None
        self._device: DeviceBuffer | None = None
        self._step = 1
        self._rows: np.ndarray | None = None
        self._target = np.zeros((0, 1), np.uint8)
        self.in_place = True

    @property
    def pixels_address(self) -> int:
        """Device address of the frame's first byte."""
        if self.in_place:
            return self._staging.device_address if self._staging is not None else 0
        return self._device.address if self._device is not None else 0

    def reserve(self, size: int, step: int, rows: np.ndarray | None, in_place: bool) -> None:
        """Prepare for frames of `size` bytes; addresses change if the memory is too small. The stream must be idle.

        rows: indices of the rows of `step` bytes to copy, one after the other; None for the whole frame
        in_place: whether the GPU reads the page-locked memory
        """
        staged = size if rows is None else len(rows) * step
        self._target = np.zeros((0, 1), np.uint8)
        if self._staging is None or self._staging.array.size < staged:
            staging, self._staging = self._staging, None
            if staging is not None:
                self._session.release(staging)
            self._staging = self._session.allocate_host(staged, mapped=True, write_only=True)
        if not in_place and (self._device is None or self._device.size < staged):
            device, self._device = self._device, None
            if device is not None:
                self._session.release(device)
            self._device = self._session.allocate(self._staging.array.size)
        self._step, self._rows, self.in_place = step, rows, in_place
        self._target = self._staging.array[:staged].reshape(-1, step)

    def stage(self, pixels: np.ndarray) -> None:
        """Copy a frame of the reserved size, uint8, to the page-locked memory."""
        source = pixels.reshape(-1, self._step)
        if self._rows is None:
            copy_rows(source, self._target)
        else:
            # All indices are valid, so 'clip' never clips: without it NumPy uses an extra buffer.
            np.take(source, self._rows, axis=0, out=self._target, mode='clip')

    def enqueue(self) -> None:
        """Queue the upload of the staged frame, if it is to be uploaded."""
        if not self.in_place and self._device is not None:
            self._session.upload(self._device.address, self._target)
