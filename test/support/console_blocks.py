# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the commands of a page and runs them. The page is Markdown with two kinds of fenced blocks:

- `console`: lines that begin with `$ ` are commands for bash (a `\\` at the end continues one), and the lines after a
  command are its standard output. A line `...` stands for any number of lines, `...` in a line for any text, `~12.3`
  for any number, and a run of spaces for any run of spaces. A second word of the fence is a mark: why CI does not run
  the block.
- `python FILE`: the content of FILE, which is written into the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r'```(.*)')
_NUMBER = r'-?\d[\d.,]*(?:e[-+]?\d+)?'
_END = '==== end of step'
_AFTER = f'code=$?; printf "\\n{_END} %s\\n" $code; ((code == 0)) || exit 1'


@dataclass(frozen=True)
class Step:
    """A command, and the lines that it must print."""

    command: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A block of the page: commands, or the text of a file.

    line: of the fence, from 1
    mark: why CI does not run the commands, '' if it runs them
    before: the paragraph before the block
    file: name of the file, '' for commands
    """

    line: int
    mark: str
    before: str
    steps: tuple[Step, ...] = ()
    file: str = ''
    text: str = ''


def read_blocks(page: str) -> list[Block]:
    """Return the blocks in order. Raises ValueError for a block of another kind, so no command is overlooked."""
    blocks = []
    lines = iter(enumerate(page.splitlines(), 1))
    paragraph: list[str] = []
    ended = True
    for number, line in lines:
        fence = _FENCE.fullmatch(line)
        if not fence:
            if line.strip():
                paragraph = [line] if ended else [*paragraph, line]
            ended = not line.strip()
            continue
        content = list(_to_fence(lines, number))
        kind, _, rest = fence[1].partition(' ')
        # A block that follows another one has the same paragraph.
        before, ended = ' '.join(paragraph), True
        if kind == 'python' and rest:
            blocks.append(Block(number, '', before, file=rest, text='\n'.join(content) + '\n'))
        elif kind == 'console':
            blocks.append(Block(number, rest, before, steps=tuple(_steps(content, number))))
        else:
            raise ValueError(f'line {number}: expected a block `console` or `python FILE`, found `{fence[1]}`')
    return blocks


def _to_fence(lines: Iterator[tuple[int, str]], begin: int) -> Iterator[str]:
    for _, line in lines:
        if line == '```':
            return
        yield line
    raise ValueError(f'line {begin}: the block has no end')


def _steps(content: list[str], number: int) -> Iterator[Step]:
    if not content or not content[0].startswith('$ '):
        raise ValueError(f'line {number}: expected a block that begins with `$ `')
    command: list[str] = []
    expected: list[str] = []
    for line in content:
        if command and command[-1].endswith('\\'):
            command.append(line)
        elif line.startswith('$ '):
            if command:
                yield Step('\n'.join(command), tuple(expected))
            command, expected = [line[2:]], []
        else:
            expected.append(line)
    yield Step('\n'.join(command), tuple(expected))


def shown(expected: tuple[str, ...], printed: str) -> bool:
    """Return whether the output is what the page shows. An output that the page does not show counts too."""
    pattern = ''.join(r'(?:.*\n)*?' if line.strip() == '...' else _pattern(line) + r'\s*\n' for line in expected)
    return re.fullmatch(pattern, printed) is not None


def _pattern(line: str) -> str:
    parts = re.split(r'(\.\.\.|~-?\d[\d.,]*(?:e[-+]?\d+)?|[ \t]+)', line.rstrip())
    kinds = {'...': '.*', '~': _NUMBER, ' ': r'[ \t]+', '\t': r'[ \t]+'}
    return ''.join(kinds.get(part) or kinds.get(part[:1]) or re.escape(part) for part in parts)


def run_steps(steps: tuple[Step, ...], folder: Path, environment: Mapping[str, str], timeout: float) -> None:
    """Run the commands in one bash. Raises AssertionError if a command fails or prints something else.

    timeout: seconds for all of them; then they are ended. Processes in the background are ended in any case.
    """
    script = ''.join(f'{step.command}\n{_AFTER}\n' for step in steps)
    with tempfile.TemporaryFile('w+') as errors, subprocess.Popen(
            ['bash', '-c', script], cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=errors, start_new_session=True) as process:
        try:
            printed = process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired as late:
            errors.seek(0)
            raise AssertionError(f'not done after {timeout} s: {late.stdout!r} {errors.read()}') from late
        finally:
            _end_group(process.pid)
        errors.seek(0)
        complaints = errors.read()
    # Output, exit code, output, exit code, ...
    parts = re.split(rf'\n{_END} (\d+)\n', printed)
    for step, output, code in zip(steps, parts[::2], parts[1::2]):
        assert code == '0', f'{step.command}\nended with {code}:\n{output}{complaints}'
        output = output if not output or output.endswith('\n') else f'{output}\n'
        page = '\n'.join(step.expected)
        assert shown(step.expected, output), f'{step.command}\nprinted:\n{output}\nthe page shows:\n{page}'
    assert len(parts) == 2 * len(steps) + 1, f'bash ended: {printed}{complaints}'


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
