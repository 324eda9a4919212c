# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What became of the frames of a camera: sent = processed + replaced + stale + bad + failed + skipped + lost.

Frames are told apart by their stamps, which each sender writes down before it sends. So a result shows by its header
which frame it belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

# Between two reports of a node on a busy machine, an image may still be on its way.
_AT_REST = 4
OUTCOMES = ('processed', 'replaced', 'stale', 'bad', 'failed', 'skipped')


def stamp_ns(message: Any) -> int:
    """Return the stamp of a message's header in nanoseconds: the number of its frame."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def settled(values: dict[str, str]) -> bool:
    """Whether each received frame has its outcome, in the values of the diagnostics."""
    return int(values['received']) == sum(int(values[name]) for name in OUTCOMES)


def counts_at_rest(node: Any, camera: str = '', timeout: float = 600.0, times: int = _AT_REST) -> dict[str, int]:
    """Wait until no more frames arrive and each has its outcome; return 'received', the outcomes and 'damaged'.

    camera: the namespace of one of several cameras, '' for the sums of the node
    times: so many reports after each other must have the same counts; 1 if the node is known to be at rest
    """
    last: list[str] = []

    def at_rest(_: Any, values: dict[str, str]) -> bool:
        if values['received'] not in last:
            last.clear()
        last.append(values['received'])
        return len(last) >= times and settled(values)

    _, values = node.diagnosis(at_rest, f'received = {" + ".join(OUTCOMES)}', timeout, camera)
    return {name: int(values[name]) for name in ('received', *OUTCOMES, 'damaged')}


def frame_sum(
    sent: Iterable[int], counts: dict[str, int], results: Iterable[Any], bad: Iterable[int] = (),
) -> dict[str, int]:
    """Check the sum by the numbers of the frames; return the counts with 'sent' and 'lost_in_transport'.

    sent: the stamps of all frames that were sent since the node was activated, in their order. A bag that is played
        again has the same stamps once more
    counts: of counts_at_rest, after the last frame; results: the messages since then, or their stamps
    bad: the stamps of those that cannot be read

    The consumer need not have got every result: a process that has no processor for a while may lose some, of which the
    node keeps the last ten for it.
    """
    numbers = list(sent)
    found = [message if isinstance(message, int) else stamp_ns(message) for message in results]
    lost = len(numbers) - counts['received']
    words = f'{len(numbers)} sent, {counts}, {len(found)} results'
    assert lost >= 0, f'more frames were received than sent: {words}'
    assert counts['received'] == sum(counts[name] for name in OUTCOMES), words
    strange = Counter(found) - Counter(numbers)
    assert not strange, f'results of frames that were not sent, or a second result of one: {dict(strange)}; {words}'
    assert not set(found) & set(bad), f'results of bad frames; {words}'
    assert counts['bad'] <= len(list(bad)), words
    assert len(found) <= counts['processed'], words
    if len(set(numbers)) == len(numbers):
        order = {number: index for index, number in enumerate(numbers)}
        places = [order[number] for number in found]
        assert places == sorted(places), f'results are not in the order of their frames; {words}'
    return {'sent': len(numbers), **counts, 'lost_in_transport': lost}
