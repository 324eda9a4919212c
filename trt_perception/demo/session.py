# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the demo: a node, a player, and this process as the consumer."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lifecycle_msgs.msg import Transition

from ..errors import PerceptionError
from ..node.monitoring.diagnostics import COUNTS
from ..progress import ConsoleProgress
from .child import Child
from .consumer import Consumer, Received, start_consumer
from .installation import executable
from .recording import Recording
from .report import DROPS
from .sent_log import SentLog
from .waiting import wait_until

NODE = '/perception_node'
# TensorRT may have to build its engine first.
_CONFIGURE_S = 3600.0
_TRANSITION_S = 30.0
_CONNECT_S = 20.0
# Playing may take this much longer than the recording.
_PLAY_EXTRA_S = 60.0
_DRAIN_S = 30.0
_LAST_RESULTS_S = 3.0


@dataclass(frozen=True)
class Session:
    """The outcome of a run: stamps of the sent frames by number in the bag, results, the node's last diagnostics."""

    stamps_sent: dict[int, int]
    results: list[Received]
    diagnostics: dict[str, str]
    class_names: dict[int, str]


def run_session(
    parameters: dict[str, object], make_recording: Callable[[], Recording], rate: float,
    environment: dict[str, str], folder: Path, say: Callable[[str], None],
) -> Session:
    """Start the node, configure it, make the bag, activate, play, wait for the last result, end everything.

    parameters: of the node; make_recording: called after the node has configured the model
    folder: for the logs and the list of sent frames; say: called with a text for each step

    Raises PerceptionError. No process is left, even after an error.
    """
    parameters_file = folder / 'perception_node.yaml'
    # JSON is also YAML, and its types are unambiguous.
    parameters_file.write_text(json.dumps({'/**': {'ros__parameters': parameters}}, indent=1) + '\n')
    command = [str(executable('perception_node')), '--ros-args', '--params-file', str(parameters_file)]
    with _ended_completely() as stack:
        node = stack.enter_context(Child('the node', command, folder / 'node.log', environment))
        consumer = stack.enter_context(start_consumer(environment, NODE))
        say(f'node         process {node.pid}, ROS_DOMAIN_ID {environment["ROS_DOMAIN_ID"]}, log {node.log}')
        _change(consumer, node, Transition.TRANSITION_CONFIGURE, 'configuring the node', _CONFIGURE_S)
        recording = make_recording()
        _change(consumer, node, Transition.TRANSITION_ACTIVATE, 'activating the node')
        wait_until(consumer.is_connected, _CONNECT_S, 'the class names of the node', [node])
        stamps = _play(recording, rate, environment, folder, node, consumer, say)
        diagnostics = _drain(consumer, node)
        _change(consumer, node, Transition.TRANSITION_DEACTIVATE, 'deactivating the node')
        _change(consumer, node, Transition.TRANSITION_CLEANUP, 'cleaning up the node')
        code = node.stop()
        if code != 0:
            raise node.failure(f'the node ended with code {code} instead of 0')
        return Session(stamps, consumer.results, diagnostics, consumer.class_names)


@contextlib.contextmanager
def _ended_completely() -> Iterator[contextlib.ExitStack]:
    """An ExitStack that a second Ctrl-C does not interrupt while it ends the processes, which takes seconds."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        with contextlib.ExitStack() as stack:
            try:
                yield stack
            finally:
                for number in numbers:
                    signal.signal(number, signal.SIG_IGN)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _change(consumer: Consumer, node: Child, transition: int, what: str, timeout_s: float = _TRANSITION_S) -> None:
    with ConsoleProgress() as progress:
        consumer.change_state(transition, what, node, timeout_s, lambda: progress(what, 0, None))


def _play(
    recording: Recording, rate: float, environment: dict[str, str], folder: Path, node: Child, consumer: Consumer,
    say: Callable[[str], None],
) -> dict[int, int]:
    """Play the bag in a child process; return the stamp of each sent frame."""
    sent = folder / 'frames_sent.jsonl'
    command = [
        str(executable('trt_perception')), 'play', str(recording.bag), '--restamp', '--rate', str(rate),
        '--wait', str(_CONNECT_S), '--sent', str(sent)]
    seconds = recording.frames / recording.fps / rate
    with Child('the player', command, folder / 'player.log', environment) as player, \
            ConsoleProgress(unit='frames') as progress:
        log = SentLog(sent)
        say(f'player       process {player.pid}, {recording.frames} frames in {seconds:.0f} s')
        wait_until(
            lambda: player.ended() is not None, seconds * 2 + _PLAY_EXTRA_S, 'the player to end', [node],
            lambda: progress('playing', len(log.read()), recording.frames))
        if player.ended() != 0:
            raise player.failure(f'the player ended with code {player.ended()}')
    return log.read()


def _drain(consumer: Consumer, node: Child) -> dict[str, str]:
    """Wait until the node has finished all received frames. Return its diagnostics at that moment."""
    seen = consumer.diagnostics_received
    latest: dict[str, str] = {}

    def is_done() -> bool:
        latest.update(consumer.diagnostics_after(seen) or {})
        counts = {name: int(latest.get(name, 0)) for name in COUNTS}
        return bool(latest) and counts['received'] == counts['processed'] + sum(counts[name] for name in DROPS)

    with ConsoleProgress() as progress:
        wait_until(is_done, _DRAIN_S, 'the last results', [node], lambda: progress('last frames', 0, None))
    # Results and diagnostics have separate topics, so wait a little longer. The table shows results that never arrive.
    with contextlib.suppress(PerceptionError):
        wait_until(lambda: len(consumer.results) >= int(latest['processed']), _LAST_RESULTS_S, 'results')
    if not consumer.results:
        raise node.failure(
            f'no result arrived; the node received {latest["received"]} frames and processed '
            f'{latest["processed"]}')
    return latest
