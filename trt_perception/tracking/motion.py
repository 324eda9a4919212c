# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A Kalman filter for many boxes at once: constant velocity, with the real time between two images."""

from __future__ import annotations

import numpy as np

# Standard deviations in heights of the box. DeepSORT and ByteTrack count in images of a video with 30 Hz, this filter
# in seconds. Two are different, because more ids stayed on sequences of the MOT challenge (docs/tracking.md): a box is
# measured to 1/10 of its height (1/20 there), and its velocity drifts by 1/320 in the time of an image (1/160 there).
_RATE = 30.0
_MEASURED = 1 / 10
_NEW_POSITION = 2 / 20
_NEW_VELOCITY = _RATE * 10 / 160
# Variances that grow in one second.
_DRIFT = _RATE * (1 / 20) ** 2
_ACCELERATION = _RATE * (_RATE / 320) ** 2

# The rows of a state. Each has four columns: centre x, centre y, width, height.
POSITION, VELOCITY, VARIANCE, COVARIANCE, VELOCITY_VARIANCE = range(5)
_WIDTH, _HEIGHT = 2, 3


def new_states(boxes: np.ndarray) -> np.ndarray:
    """Return the states of boxes that were seen once, (N, 5, 4) float64.

    boxes: (N, 4) centre x, centre y, width, height in pixels

    The four numbers of a box are independent in this model. So the covariance of each is a matrix of 2x2 numbers, for
    its value and its velocity, of which a state has the three that differ. Velocities are in pixels a second.
    """
    states = np.zeros((len(boxes), 5, 4))
    squares = boxes[:, _HEIGHT:] ** 2
    states[:, POSITION] = boxes
    states[:, VARIANCE] = _NEW_POSITION ** 2 * squares
    states[:, VELOCITY_VARIANCE] = _NEW_VELOCITY ** 2 * squares
    return states


def predict(states: np.ndarray, seconds: float) -> None:
    """Move the states on by this time, in place.

    The noise is that of a random acceleration and of a random walk: two short steps give the same as a long one.
    """
    squares = states[:, POSITION, _HEIGHT:] ** 2
    acceleration = _ACCELERATION * squares
    velocity_variance = states[:, VELOCITY_VARIANCE]
    covariance = states[:, COVARIANCE]
    states[:, POSITION] += seconds * states[:, VELOCITY]
    states[:, VARIANCE] += (
        2 * seconds * covariance + seconds ** 2 * velocity_variance
        + (_DRIFT * seconds) * squares + (seconds ** 3 / 3) * acceleration)
    covariance += seconds * velocity_variance + (seconds ** 2 / 2) * acceleration
    velocity_variance += seconds * acceleration
    # A box that shrinks for long would turn over.
    np.maximum(states[:, POSITION, _WIDTH:], 1.0, out=states[:, POSITION, _WIDTH:])


def correct(states: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the states after each has been measured. boxes: (N, 4) as in new_states."""
    variance, covariance = states[:, VARIANCE], states[:, COVARIANCE]
    total = variance + _MEASURED ** 2 * states[:, POSITION, _HEIGHT:] ** 2
    gain, velocity_gain = variance / total, covariance / total
    error = boxes - states[:, POSITION]
    corrected = np.empty_like(states)
    corrected[:, POSITION] = states[:, POSITION] + gain * error
    corrected[:, VELOCITY] = states[:, VELOCITY] + velocity_gain * error
    corrected[:, VARIANCE] = (1 - gain) * variance
    corrected[:, COVARIANCE] = (1 - gain) * covariance
    corrected[:, VELOCITY_VARIANCE] = states[:, VELOCITY_VARIANCE] - velocity_gain * covariance
    return corrected
