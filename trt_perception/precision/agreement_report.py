# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The measurement of the accuracy gate, in the form that an engine's sidecar stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .parity import Agreement


@dataclass(frozen=True)
class AgreementReport:
    """How well a pipeline agrees with ONNX Runtime on some frames.

    value: Agreement.value, 0..1; summary: one line for a log
    says_nothing: nothing was found on the frames, so the value has no meaning
    numbers: the other values of Agreement.as_dict
    source: the source of the frames, as the user gave it
    compared: gate.comparison_identity of this comparison
    """

    value: float
    summary: str
    says_nothing: bool = False
    numbers: Mapping[str, Any] = field(default_factory=dict)
    source: str = ''
    compared: str = ''

    @staticmethod
    def of(agreement: Agreement, source: str, compared: str) -> AgreementReport:
        """Return the report of a comparison."""
        numbers = agreement.as_dict()
        # as_dict rounds the value; the gate needs the exact one.
        del numbers['value']
        return AgreementReport(
            agreement.value, agreement.summary(), agreement.says_nothing, numbers, source, compared)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            **self.numbers, 'value': self.value, 'summary': self.summary, 'says_nothing': self.says_nothing,
            'source': self.source, 'compared': self.compared}

    @staticmethod
    def from_json(values: Any) -> AgreementReport | None:
        """Return the report from the values of to_json, also of another package version; None for other values."""
        if not isinstance(values, Mapping):
            return None
        numbers = dict(values)
        value, summary = numbers.pop('value', None), numbers.pop('summary', None)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isinstance(summary, str):
            return None
        return AgreementReport(
            float(value), summary, bool(numbers.pop('says_nothing', False)), source=str(numbers.pop('source', '')),
            compared=str(numbers.pop('compared', '')), numbers=numbers)
