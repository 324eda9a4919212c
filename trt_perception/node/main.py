# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception_node executable: signals, the executor's thread, the way out."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from typing import Any

from ..errors import one_line
from .stop_request import StopRequest

# A stop must end in 2 s: this long the executor may take to finish what it is in, then the process goes anyway,
_GRACE_S = 0.8
# and this long DDS may take to leave.
_LEAVE_S = 0.6


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM, then end the process.

    Exit code 0 after a signal in any state; 1 if the node cannot start, with one line that says why, and if its device
    is lost to this process.
    """
    stop = StopRequest()
    # Before anything is imported: a signal during start-up ends the process as quietly as later.
    stop.listen(signal.SIGINT, signal.SIGTERM)
    from ..dependencies import require
    from ..errors import ParameterError, PerceptionError

    try:
        rclpy: Any = require('rclpy')
        for package in ('sensor_msgs.msg', 'diagnostic_msgs.msg', 'vision_msgs.msg'):
            require(package)
        from rclpy.executors import MultiThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from .node import PerceptionNode

        try:
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        except Exception as error:  # RCLError lives in a private module
            raise ParameterError(f'the ROS arguments cannot be used: {_without_places(error)}') from error
        codes: list[int] = []

        def give_up() -> None:
            codes.append(1)
            stop.make()

        node = PerceptionNode(give_up)
    except PerceptionError as error:
        print(f'perception_node: {error}', file=sys.stderr)
        return 1
    # One thread for transitions, one for diagnostics, one for parameters and the rest; images have their own.
    executor = MultiThreadedExecutor(num_threads=3)
    executor.add_node(node)
    spinner = threading.Thread(
        target=_spin, args=(executor, node, stop), name='executor', daemon=True)
    spinner.start()
    stop.wait()
    node.cancel()
    impatient = threading.Event()
    ender = threading.Thread(target=_end, args=(node, executor, spinner, rclpy, impatient), daemon=True)
    ender.start()
    started = time.monotonic()
    ender.join(_GRACE_S)
    if time.monotonic() - started > 2 * _GRACE_S:
        # A library held Python's lock, as some do while they read a large file, and all of the time was lost to that.
        ender.join(_GRACE_S)
    if ender.is_alive():
        # In the middle of a model load or an inference, which hold nothing of DDS. Its participant must go all the
        # same: the shared memory would stay behind, tens of MB a time with the profile for large images.
        impatient.set()
        leaver = threading.Thread(target=_leave, args=(node,), daemon=True)
        leaver.start()
        leaver.join(_LEAVE_S)
    # Straight out, also where all has ended well: what is left are destructors of libraries, which have been seen to
    # wait for threads that are gone; and in the middle of a model load or an inference there is nothing to save.
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(codes[0] if codes else 0)


def _without_places(error: Exception) -> str:
    """Return rcl's message without the lines of its source that it names."""
    return re.sub(r',? at /[^ ,]+:\d+', '', one_line(error))


def _spin(executor: Any, node: Any, stop: StopRequest) -> None:
    """Spin; an exception in one callback is logged and does not end the node."""
    # The executor's own: where it comes from differs between the distributions.
    from rclpy.executors import InvalidHandle

    while not stop.made:
        try:
            executor.spin_once(timeout_sec=0.5)
        except InvalidHandle:
            # A transition destroyed a subscription or publisher while the executor was about to wait for its
            # events: rclpy looks out for that everywhere but there. It starts anew without them.
            continue
        except Exception as error:
            if stop.made:
                return
            node.get_logger().error(f'error in a callback: {type(error).__name__}: {error}')


def _end(node: Any, executor: Any, spinner: threading.Thread, rclpy: Any, impatient: threading.Event) -> None:
    try:
        executor.wake()
        spinner.join()
        # Callbacks that are under way must end before what they use is destroyed; rclpy has no public way to wait
        # for them.
        pool = getattr(executor, '_executor', None)
        if pool is not None:
            pool.shutdown(wait=True)
        node.end()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    except Exception:
        # It ended late, among things that had been destroyed meanwhile.
        if not impatient.is_set():
            raise


def _leave(node: Any) -> None:
    # The other thread may be about to do the same.
    with contextlib.suppress(Exception):
        node.destroy_node()


if __name__ == '__main__':
    sys.exit(main())
