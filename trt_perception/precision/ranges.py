# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibration methods: they find the largest value that int8 represents from a tensor's absolute values.

Quantisation is symmetric: x is stored as round(x / scale) clipped to -128..127, scale = threshold / 127. A smaller
threshold clips rare large values but represents the many small values more finely.
"""

from __future__ import annotations

import numpy as np

from ..errors import CalibrationError
from ..pipeline.options import CALIBRATION_METHODS

# AUTO tries all METHODS and takes the one with the smallest loss.
AUTO, METHODS = CALIBRATION_METHODS[0], CALIBRATION_METHODS[1:]
NUM_BINS = 2048
PERCENTILE = 99.99
_LEVELS = 128
# Below this, a scale would be subnormal in float16; GPUs flush subnormals to 0.
_SMALLEST_THRESHOLD = 127 * 2.0**-14
_SMALLEST_MAXIMUM = 1e-30


class Histogram:
    """Counts of |x| in NUM_BINS equal bins from 0 to `maximum`.

    Zeros are not counted: each method represents them exactly, and after a ReLU they would outweigh all other values.
    lowest, highest: smallest and largest value of x, and 0
    """

    def __init__(self, maximum: float) -> None:
        self.maximum = float(maximum)
        self.lowest = self.highest = 0.0
        self.counts = np.zeros(NUM_BINS, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Count values, of any shape; values above `maximum` are counted in the last bin."""
        if np.size(values):
            self.lowest = min(self.lowest, float(np.min(values)))
            self.highest = max(self.highest, float(np.max(values)))
        absolute: np.ndarray = np.abs(np.asarray(values, np.float32)).reshape(-1)
        absolute = absolute[absolute > 0]
        # A tiny maximum has no distinct bins in float32, and does not need them: see _SMALLEST_THRESHOLD.
        if self.maximum <= _SMALLEST_MAXIMUM or not len(absolute):
            return
        bins = np.minimum((absolute * (NUM_BINS / self.maximum)).astype(np.int64), NUM_BINS - 1)
        self.counts += np.bincount(bins, minlength=NUM_BINS)


def threshold(histogram: Histogram, method: str) -> float:
    """Return the largest absolute value to represent, above 0."""
    if method == 'minmax' or not histogram.counts.any():
        chosen = histogram.maximum
    elif method == 'percentile':
        chosen = _percentile(histogram)
    elif method == 'entropy':
        chosen = _entropy(histogram)
    elif method == 'mse':
        chosen = _mean_squared_error(histogram)
    else:
        raise CalibrationError(f"calibration method '{method}': expected one of {', '.join(METHODS)}")
    return max(float(chosen), _SMALLEST_THRESHOLD)


def represented(histogram: Histogram, threshold: float) -> tuple[float, float]:
    """Return the smallest and the largest value to represent if the two may differ: both contain 0."""
    return max(histogram.lowest, -threshold), min(histogram.highest, threshold)


def _percentile(histogram: Histogram) -> float:
    """The value below which PERCENTILE percent of the non-zero absolute values lie."""
    cumulated = np.cumsum(histogram.counts)
    bin_index = int(np.searchsorted(cumulated, cumulated[-1] * PERCENTILE / 100.0))
    return (bin_index + 1) * histogram.maximum / NUM_BINS


def _entropy(histogram: Histogram) -> float:
    """The threshold with the least Kullback-Leibler divergence between the clipped values and their quantisation.

    Migacz, 8-bit Inference with TensorRT, GTC 2017. For each threshold of i bins, P is the histogram up to it, with the
    clipped counts added to the last bin. Q is the histogram up to it in 128 levels; each level is spread evenly over
    its bins that are not empty. As in NVIDIA's toolkits, the first bin gets the count of the second: otherwise it would
    outweigh all other bins.
    """
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    above = np.concatenate([np.cumsum(counts[::-1])[::-1], [0.0]])
    best, best_divergence = NUM_BINS, np.inf
    for size in range(_LEVELS, NUM_BINS + 1, 8):
        reference = counts[:size].copy()
        occupied = reference > 0
        level = np.arange(size) * _LEVELS // size
        sums = np.bincount(level, reference, _LEVELS)
        filled = np.bincount(level, occupied, _LEVELS)
        quantised = np.where(occupied, (sums / np.maximum(filled, 1))[level], 0.0)
        reference[-1] += above[size]
        divergence = _divergence(reference, quantised)
        if divergence < best_divergence:
            best, best_divergence = size, divergence
    return best * histogram.maximum / NUM_BINS


def _mean_squared_error(histogram: Histogram) -> float:
    """The threshold with the least mean squared error of clipping and rounding, computed at the middles of the bins."""
    counts = histogram.counts.astype(np.float64)
    middles = (np.arange(NUM_BINS) + 0.5) * histogram.maximum / NUM_BINS
    best, least = histogram.maximum, np.inf
    for size in range(_LEVELS, NUM_BINS + 1, 8):
        limit = size * histogram.maximum / NUM_BINS
        scale = limit / (_LEVELS - 1)
        quantised = np.minimum(np.rint(middles / scale), _LEVELS - 1) * scale
        error = float(np.sum(counts * (middles - quantised) ** 2))
        if error < least:
            best, least = limit, error
    return best


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p || q) in nats; a bin that is empty only in q gets a small value there."""
    if q.sum() == 0:
        return np.inf
    p, q = p / p.sum(), q / q.sum()
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-4 * p[used].max()))))
