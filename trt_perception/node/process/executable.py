# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The executable of a node: signals, the executor's thread, the end of the process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...dependencies import require
from ...errors import ParameterError, PerceptionError, one_line
from .command_line import answer_to, check_environment, explained, ignored
from .least_versions import too_old
from .memory import keep_image_memory
from .parameter_files import without_effect
from .rclpy_internals import require_internals, wait_for_callbacks
from .shared_memory import remove_dead_segments
from .stop_request import StopRequest

# The process must stop within 2 s. The executor has this time to finish its callbacks; then the process ends anyway.
_GRACE_S = 0.8
# Time for the DDS participant to leave.
_LEAVE_S = 0.6


@dataclass(frozen=True)
class Program:
    """An executable with one node.

    help_text: returns the text of --help; example: a remapping, for the advice about wrong arguments
    create: makes the node, a ManagedNode; gets a function to call if only a new process can continue. Imports ROS
    """

    name: str
    help_text: Callable[[], str]
    example: str
    create: Callable[[Callable[[], None]], Any]


def run(program: Program, args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM, then end the process.

    args: without the program's name, None for those of the process

    Exit code 0 after a signal in any state, and for --help and --version. Exit code 1 if the node cannot start (one
    line says why), or if only a new process can continue.
    """
    # Before the first thread.
    keep_image_memory()
    stop = StopRequest()
    # Before the imports: a signal during start-up must also end the process without a traceback.
    stop.listen(signal.SIGINT, signal.SIGTERM)
    given = sys.argv[1:] if args is None else args
    answer = answer_to(given, program.help_text)
    if answer:
        return _print(answer)
    warning = ignored(given, program.name, program.example)
    if warning:
        print(f'{program.name}: {warning}', file=sys.stderr)
    codes: list[int] = []

    def give_up() -> None:
        codes.append(1)
        stop.make()

    try:
        check_environment()
        rclpy, node, executor = _started(program, given, give_up)
    except PerceptionError as error:
        print(f'{program.name}: {one_line(error)}', file=sys.stderr)
        return 1
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
        # A library held Python's lock for all this time; some do while they read a large file.
        ender.join(_GRACE_S)
    if ender.is_alive():
        # A model load or an inference is still running; it uses nothing of DDS. The participant must leave anyway:
        # otherwise its shared memory stays, tens of MB each time with the profile for large images.
        impatient.set()
        leaver = threading.Thread(target=_leave, args=(node,), daemon=True)
        leaver.start()
        leaver.join(_LEAVE_S)
    # os._exit skips Python's shutdown, even if everything has ended well: only destructors of libraries are left, and
    # some were seen to wait for threads that no longer exist. A model load or an inference has nothing to save.
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(codes[0] if codes else 0)


def _print(text: str) -> int:
    """Print the text to its end; return the exit code."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        # The reader is gone, such as `head`, or the disk is full. Python would try again at its end, with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _started(program: Program, arguments: list[str], on_fatal: Callable[[], None]) -> tuple[Any, Any, Any]:
    """Return rclpy, the node and its executor. Raises PerceptionError with one line if the node cannot be created."""
    rclpy: Any = require('rclpy')
    # Before the first use of these names.
    require_internals()
    for package in ('sensor_msgs.msg', 'diagnostic_msgs.msg', 'vision_msgs.msg'):
        require(package)
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    # Before this process has a segment itself, which needs the space.
    segments, size = remove_dead_segments()
    try:
        # rclpy expects the name of the program first.
        rclpy.init(args=[program.name, *arguments], signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # RCLError is in a private module.
        raise ParameterError(f'ROS cannot start: {explained(error)}') from error
    try:
        with warnings.catch_warnings():
            # A node that cannot be created is freed twice: the error below says why.
            warnings.simplefilter('ignore', RuntimeWarning)
            node: Any = program.create(on_fatal)
        if segments:
            node.get_logger().info(
                f'removed {segments} shared-memory segments ({size / 1e6:.0f} MB) of killed processes from /dev/shm')
        outdated = [f'{text}: run sudo apt update && sudo apt upgrade' for text in too_old()]
        for text in (*outdated, *without_effect(arguments, node.get_fully_qualified_name())):
            node.get_logger().warning(text)
        # One thread for transitions, one for diagnostics, one for parameters and the rest, and one for images, which
        # it never starts if images have a thread of their own.
        executor = MultiThreadedExecutor(num_threads=4)
        require_internals(executor=executor)
    except PerceptionError:
        raise
    except Exception as error:  # of rclpy and the middleware, for example about security
        raise ParameterError(
            f'the node cannot be created: {type(error).__name__}: {explained(error)}') from error
    return rclpy, node, executor


def _spin(executor: Any, node: Any, stop: StopRequest) -> None:
    """Spin. An exception in one callback is logged and does not end the node."""
    from rclpy.exceptions import InvalidHandle

    while not stop.made:
        try:
            executor.spin_once(timeout_sec=0.5)
        except InvalidHandle:
            # A transition destroyed a subscription or publisher just before the executor waited for its events. rclpy
            # handles this case everywhere else. The next iteration no longer has them.
            continue
        except Exception as error:
            if stop.made:
                return
            node.get_logger().error(one_line(f'error in a callback: {type(error).__name__}: {error}'))


def _end(node: Any, executor: Any, spinner: threading.Thread, rclpy: Any, impatient: threading.Event) -> None:
    try:
        executor.wake()
        spinner.join()
        # Running callbacks must end before the objects that they use are destroyed.
        wait_for_callbacks(executor)
        node.end()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    except Exception:
        # It ended late: another thread had destroyed the node already.
        if not impatient.is_set():
            raise


def _leave(node: Any) -> None:
    # It waits if the other thread does the same at this moment, or is inside a transition of rclpy.
    with contextlib.suppress(Exception):
        node.destroy_node()
