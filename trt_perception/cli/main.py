# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception`: the command line.

This file imports very little, so Ctrl-C gives one line also while the rest is imported.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

# These modules import only NumPy at the top, so `--help` works without the other packages.
SUBCOMMANDS = (
    'fetch', 'export', 'inspect', 'predict', 'annotate', 'compare', 'evaluate', 'quantize', 'build', 'cache',
    'benchmark', 'play', 'demo', 'doctor', 'top', 'echo')
# An error that this program does not expect.
UNEXPECTED = 3
_WORDS = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated', signal.SIGHUP: 'the terminal was closed'}
_STDERR = 2
_received: list[signal.Signals] = []


class Stopped(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP has arrived. Not an Exception: only the end of the program handles it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    arguments: those of the process if it is None; then signals are handled too, and the output is written to its end

    Returns 0 for success, 1 for a failure (one line on stderr), 3 for an unexpected error, 128 + the number of a signal
    that ended it: 130 after Ctrl-C. Exits with 2 for wrong usage.
    """
    if arguments is not None:
        try:
            return _run(arguments)
        except Exception as error:
            return _code_of(error)
        except KeyboardInterrupt:
            return _stopped(signal.SIGINT)
    try:
        _prepare()
        code = _run(sys.argv[1:])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except Exception as error:
        # An interrupted import of a library in C may come as another error.
        code = 0 if _received else _code_of(error)
    except KeyboardInterrupt:
        code = 0 if _received else _stopped(signal.SIGINT)
    if _received:
        code = _stopped(_received[0])
    code = _finish(code)
    if 'threading' in sys.modules and any(thread.name == 'camera' for thread in sys.modules['threading'].enumerate()):
        # A library still waits for a host. The end of Python would wait for it too, or crash in it.
        os._exit(code)
    return code


def _run(arguments: Sequence[str]) -> int:
    from .parser import make_parser

    options = make_parser(SUBCOMMANDS).parse_args(arguments)
    return int(options.run(options))


def _prepare() -> None:
    for number in _WORDS:
        # `nohup`, and a shell for a job in the background, ignore a signal on purpose.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    # A closed output gets the next file that is opened, and everything that libraries print would go into it.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, 'w')  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, 'w')  # noqa: PTH123, SIM115
    if hasattr(sys.stdout, 'reconfigure'):
        # A terminal without UTF-8 cannot show every class name.
        sys.stdout.reconfigure(errors='backslashreplace')


def _stop(number: int, frame: FrameType | None) -> None:
    # A second signal ends the process at once.
    _default_signals()
    _received.append(signal.Signals(number))
    raise Stopped


def _default_signals() -> None:
    for number in _WORDS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)


def _stopped(number: signal.Signals) -> int:
    _say(_WORDS[number])
    return 128 + number


def _code_of(error: Exception) -> int:
    """Return the exit code of an exception, after one line about it."""
    from ..errors import PerceptionError, one_line, printable, reason

    if isinstance(error, BrokenPipeError):
        # `| head` closed the pipe: no more output is possible, not even the flush at exit.
        _drop_output()
        return 1
    if isinstance(error, PerceptionError):
        _say(one_line(error))
    elif isinstance(error, OSError):
        # A full disk, or a file that was removed while it was read: a traceback would not help.
        where = f'{printable(error.filename)}: ' if error.filename else ''
        _say(f'{where}{reason(error)}')
    elif isinstance(error, MemoryError):
        # NumPy's message has the amount and the shape: usually --input-size or --size is too large.
        _say(f'out of memory: {one_line(error)}')
    elif isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        _say('no new thread can be started: allow this user more processes (ulimit -u, or the limit of the container)')
    else:
        from .unexpected import explanation

        _say(explanation(error))
        return UNEXPECTED
    return 1


def _say(text: str) -> None:
    try:
        print(f'trt_perception: {text}', file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # Nobody reads it.
        _drop_output()


def _finish(code: int) -> int:
    """Write the rest of the output. A reader that is gone, such as `head`, needs no message."""
    # What is left is the end of Python, where a signal would print a traceback.
    _default_signals()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        _drop_output()
        return code or 1
    return code


def _drop_output() -> None:
    """Send the rest of the output to nowhere. Python would try to write it again at its end, with a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


if __name__ == '__main__':
    sys.exit(main())
