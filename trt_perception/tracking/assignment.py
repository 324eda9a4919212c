# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The matching of rows and columns with the largest sum of weights.

scipy has this function too, but its import costs 52 MB of memory and 0.35 s, and the scipy of a robot's apt is built
for one version of NumPy. test_tracking_assignment.py compares both where scipy is installed.
"""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np

_ALONE = -1


def best_pairs(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of rows and columns with the largest sum of weights: (K,) int64 rows, (K,) int64 columns.

    rows, columns, weights: (E,) of the possible pairs, in the order of the rows and then of the columns. A pair with a
    weight of 0 or less is never returned. A row or column is in one pair at most.

    The method is that of shortest augmenting paths: Jonker and Volgenant, "A shortest augmenting path algorithm for
    dense and sparse linear assignment problems", 1987. Boxes overlap with few others, so the paths are searched in
    lists of the possible pairs.
    """
    useful = np.flatnonzero(weights > 0)
    rows, columns, weights = rows[useful], columns[useful], weights[useful]
    if not len(rows):
        return rows, columns
    partners = _Assignment((rows[-1] + 1, columns.max() + 1), rows, columns, -weights).partners
    paired = np.flatnonzero(partners != _ALONE)
    return paired, partners[paired]


class _Assignment:
    """The assignment with the smallest sum of costs, in which a row may stay alone for a cost of 0."""

    def __init__(self, shape: tuple[int, int], rows: np.ndarray, columns: np.ndarray, costs: np.ndarray) -> None:
        """Compute it. rows, columns, costs: (E,) the possible pairs in the order of the rows; costs below 0."""
        firsts = np.searchsorted(rows, np.arange(shape[0] + 1))
        pairs = list(zip(columns.tolist(), costs.tolist()))
        bounds = firsts.tolist()
        self._pairs = [pairs[first:end] for first, end in itertools.pairwise(bounds)]
        # The prices of the dual problem: cost - price of the row - price of the column is 0 for a pair of the
        # assignment, and 0 or more for the others.
        self._row_prices = [0.0] * shape[0]
        self._column_prices = [0.0] * shape[1]
        self._column_of = [_ALONE] * shape[0]
        self._row_of = [_ALONE] * shape[1]
        waiting = []
        for row, possible in enumerate(self._pairs):
            if possible:
                column, self._row_prices[row] = min(possible, key=_cost)
                if self._row_of[column] == _ALONE:
                    self._row_of[column], self._column_of[row] = row, column
                else:
                    waiting.append(row)
        for row in waiting:
            self._add(row)
        self.partners = np.array(self._column_of, np.int64)

    def _add(self, start: int) -> None:
        """Assign one more row, with the smallest change of the sum: along the shortest path to a free column.

        The path may also end in a row that is alone afterwards.
        """
        distances: dict[int, float] = {}
        before: dict[int, int] = {}
        heap: list[tuple[float, int]] = []
        reached = [(start, 0.0)]
        settled: dict[int, float] = {}
        row, length = start, 0.0
        shortest, loser = math.inf, start
        while True:
            base = length - self._row_prices[row]
            if base < shortest:
                shortest, loser = base, row
            for column, cost in self._pairs[row]:
                distance = base + cost - self._column_prices[column]
                if column not in settled and distance < distances.get(column, math.inf):
                    distances[column], before[column] = distance, row
                    heapq.heappush(heap, (distance, column))
            while heap and heap[0][1] in settled:
                heapq.heappop(heap)
            if not heap or heap[0][0] >= shortest:
                # The row `loser` gives its column away.
                length, column = shortest, self._column_of[loser]
                self._column_of[loser] = _ALONE
                break
            length, column = heapq.heappop(heap)
            row = self._row_of[column]
            if row == _ALONE:
                break
            settled[column] = length
            reached.append((row, length))
        for row, distance in reached:
            self._row_prices[row] += length - distance
        for settled_column, distance in settled.items():
            self._column_prices[settled_column] -= length - distance
        while column != _ALONE:
            row = before[column]
            self._row_of[column] = row
            self._column_of[row], column = column, self._column_of[row]
            if row == start:
                break


def _cost(pair: tuple[int, float]) -> float:
    return pair[1]
