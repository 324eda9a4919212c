# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the C library's memory for a process that receives images."""

from __future__ import annotations

import ctypes
import gc

# malloc.h of glibc, and the values of keep_image_memory.
_M_ARENA_MAX, _ARENAS = -8, 2
# The largest value that glibc takes. An image of 3840x2160 in bgr8 has 24 MB.
_M_MMAP_THRESHOLD, _THRESHOLD = -3, 32 << 20
_M_TRIM_THRESHOLD, _TRIM = -1, 32 << 20


def keep_image_memory() -> None:
    """Let all threads use the same memory for images, again and again. Does nothing without glibc.

    Call it before the process has a second thread: a thread keeps the pool that it got.

    Each received image is copied three times. glibc gives each thread a pool of its own, so the threads of eight
    cameras keep much free memory. Without these pools it asks the system for each copy and gives it back, and then the
    system clears 680 pages for an image of 640x480: this was half of the processor time of receiving it.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, _TRIM)


def trim_memory() -> None:
    """Return the memory that was needed only to load a model: about 20 MB with YOLOv8n. Does nothing without glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)
