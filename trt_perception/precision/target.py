# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy that int8 must reach against fp32."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from .parity import Agreement


@dataclass(frozen=True)
class Target:
    """Demands on the agreement with fp32, measured on frames for checking.

    agreement: smallest Agreement.value
    score_difference: largest mean absolute difference of scores (of boxes, or of each frame's worst class probability)
    mean_iou: smallest mean IoU of matched boxes
    min_iou: smallest IoU of a matched box, without a few outliers (Agreement.low_iou)
    A classifier has no boxes, and reaches the last two.
    """

    agreement: float = 0.95
    score_difference: float = 0.02
    mean_iou: float = 0.95
    min_iou: float = 0.6

    def reached(self, agreement: Agreement) -> bool:
        """Return whether this agreement reaches the target."""
        return not self.missed(agreement)

    def missed(self, agreement: Agreement) -> str:
        """Return the numbers that miss the target, for a message; '' if there are none."""
        return ', '.join(
            f'{name} {value:.4f} (expected {"at least" if sign > 0 else "at most"} {wanted:g})'
            for name, value, wanted, sign in (
                ('agreement', agreement.value, self.agreement, 1),
                ('mean score difference', agreement.mean_score_difference, self.score_difference, -1),
                ('mean IoU', agreement.mean_iou, self.mean_iou, 1),
                ('lowest IoU', agreement.low_iou, self.min_iou, 1))
            if sign * value < sign * wanted)

    @property
    def without_boxes(self) -> Target:
        """The same target without a demand on the IoU of boxes."""
        return replace(self, mean_iou=0.0, min_iou=0.0)

    def as_dict(self, task: str) -> dict[str, float]:
        """Return the demands that count for this task."""
        values = asdict(self)
        if task == 'classification':
            del values['mean_iou'], values['min_iou']
        return values


def accepted_targets(target: Target, min_agreement: float | None = None) -> tuple[Target, ...]:
    """Return the weaker targets to accept, in this order, if no choice of layers reaches `target`.

    min_agreement: the lowest agreement that the user accepts, None for the usual one
    """
    weaker = [target.without_boxes]
    usual = Target()
    if target.agreement > usual.agreement:
        # The accuracy gate decides about this one.
        weaker.append(usual.without_boxes)
    if min_agreement is not None and min_agreement < usual.agreement:
        weaker.append(Target(min_agreement, 1.0, 0.0, 0.0))
    return tuple(weaker)
