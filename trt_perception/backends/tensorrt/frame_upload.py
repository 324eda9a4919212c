# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The way of a frame's bytes to the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .candidates import FRAME_SETTINGS
from .cuda import CudaSession, DeviceBuffer, HostBuffer

# The settings lie before the pixels, so that one copy brings both.
_PIXELS_AT = 256
# A large frame is uploaded in pieces: while one is on the bus, the next is copied to page-locked memory.
_PIECE = 1 << 20
# Room for a full HD colour frame from the start: most cameras never make it grow.
_FIRST_CAPACITY = 1920 * 1080 * 3


@dataclass(frozen=True)
class _Piece:
    """One step of the upload.

    begin, end: bytes of the page-locked memory that are uploaded
    target: of those, where pixels are copied to
    source: slice of the frame's bytes, or indices of its rows
    """

    begin: int
    end: int
    target: slice
    source: slice | np.ndarray


class FrameUpload:
    """Page-locked memory that takes a frame and its settings, and the GPU memory it is uploaded to.

    With `zero_copy` there is no second memory: the GPU reads the page-locked one. Used with the session's context
    current.
    """

    def __init__(self, session: CudaSession, zero_copy: bool) -> None:
        self._session = session
        self._zero_copy = zero_copy
        self._staging: HostBuffer | None = None
        self._device: DeviceBuffer | None = None
        self._array = np.zeros(0, np.uint8)
        self._address = 0
        self._step = 1
        self._pieces: list[_Piece] = []
        self._allocate(_PIXELS_AT + _FIRST_CAPACITY)

    @property
    def settings(self) -> np.ndarray:
        """The settings (FRAME_SETTINGS, scalar array) that go with the next frame."""
        return self._array[:FRAME_SETTINGS.itemsize].view(FRAME_SETTINGS).reshape(())

    @property
    def settings_address(self) -> int:
        """Device address of the settings."""
        return self._address

    @property
    def pixels_address(self) -> int:
        """Device address of the frame's first byte."""
        return self._address + _PIXELS_AT

    def reserve(self, size: int, step: int, rows: np.ndarray | None = None) -> None:
        """Prepare for frames of `size` bytes; addresses change where they do not fit yet. The stream must be idle.

        rows: indices of the rows of `step` bytes that are uploaded, one after the other; None for the whole frame
        """
        uploaded = size if rows is None else len(rows) * step
        if self._array.size < _PIXELS_AT + uploaded:
            self._release()
            self._allocate(_PIXELS_AT + uploaded)
        self._step = step
        piece = uploaded if self._zero_copy else _PIECE if rows is None else max(1, _PIECE // step) * step
        self._pieces = []
        for start in range(0, uploaded, piece):
            end = min(start + piece, uploaded)
            self._pieces.append(_Piece(
                start + _PIXELS_AT if start else 0, end + _PIXELS_AT, slice(start + _PIXELS_AT, end + _PIXELS_AT),
                slice(start, end) if rows is None else rows[start // step:end // step]))

    def stage(self, pixels: np.ndarray) -> None:
        """Copy a frame of the reserved size, uint8, and queue the upload of all but its last piece."""
        for piece in self._pieces[:-1]:
            self._copy(pixels, piece)
            self._upload(piece)
        self._copy(pixels, self._pieces[-1])

    def enqueue_rest(self) -> None:
        """Queue the upload of what `stage` left."""
        if not self._zero_copy:
            self._upload(self._pieces[-1])

    def _copy(self, pixels: np.ndarray, piece: _Piece) -> None:
        target = self._array[piece.target]
        if isinstance(piece.source, slice):
            target[:] = pixels[piece.source]
        else:
            # 'clip' never clips here: without it NumPy goes through a buffer of its own.
            np.take(
                pixels.reshape(-1, self._step), piece.source, axis=0, out=target.reshape(-1, self._step), mode='clip')

    def _upload(self, piece: _Piece) -> None:
        self._session.upload(self._address + piece.begin, self._array[piece.begin:piece.end])

    def _allocate(self, size: int) -> None:
        staging = self._session.allocate_host(size, mapped=self._zero_copy)
        try:
            self._device = None if self._zero_copy else self._session.allocate(size)
        except BaseException:
            self._session.release(staging)
            raise
        self._staging = staging
        self._array = staging.array
        self._address = staging.device_address if self._device is None else self._device.address

    def _release(self) -> None:
        self._array = np.zeros(0, np.uint8)
        staging, self._staging = self._staging, None
        device, self._device = self._device, None
        for buffer in (device, staging):
            if buffer is not None:
                self._session.release(buffer)
