# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The memory of one row of a batch, for frames of the last few formats."""

from __future__ import annotations

from collections.abc import Callable

from .frame_slot import FrameSlot
from .resampling import FrameFormat

# With cameras of so many formats, no row prepares its memory again and again.
_MOST_FORMATS = 4


class SlotRow:
    """Slots for the same row of the network's tensors, one for each format of frames.

    make: returns a new slot of this row
    slots: those that exist, the least recently used first
    """

    def __init__(self, make: Callable[[], FrameSlot]) -> None:
        self._make = make
        self.slots: list[FrameSlot] = []

    def take(self, form: FrameFormat, dropped: Callable[[FrameFormat], None]) -> FrameSlot:
        """Return the slot for frames of this format, prepared.

        dropped: called with a format whose slot will be prepared for this one instead
        """
        slots = self.slots
        # Usually all cameras have one format.
        if slots and slots[-1].form == form:
            return slots[-1]
        slot = next((slot for slot in slots if slot.form == form), None)
        if slot is None:
            # An earlier failure may have left one without a format.
            slot = next((slot for slot in slots if slot.form is None), None)
        if slot is None:
            if len(slots) < _MOST_FORMATS:
                slot = self._make()
                slots.append(slot)
            else:
                slot = slots[0]
                assert slot.form is not None
                dropped(slot.form)
        slots.remove(slot)
        slots.append(slot)
        slot.prepare(form)
        return slot
