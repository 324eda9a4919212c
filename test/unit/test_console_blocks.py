# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The reader of pages with commands: what it takes for shown, and that it notices a command that fails."""

import os

import pytest
from support.console_blocks import Step, read_blocks, run_steps, shown

PAGE = """# Page

Some text
in two lines.

```python make.py
print(3)
```

**Needs** a GPU.

```console needs-gpu
$ build
```

```console
$ one --option \\
    more
first
...
$ two
```
"""


def test_blocks_have_their_commands_output_marks_and_files():
    file, marked, plain = read_blocks(PAGE)
    assert (file.line, file.file, file.text, file.before) == (6, 'make.py', 'print(3)\n', 'Some text in two lines.')
    assert (marked.mark, marked.before, marked.steps) == ('needs-gpu', '**Needs** a GPU.', (Step('build', ()),))
    assert plain.mark == '' and plain.steps == (
        Step('one --option \\\n    more', ('first', '...')), Step('two', ()))


@pytest.mark.parametrize('page, message', [
    ('```sh\n$ a\n```\n', 'line 1: expected a block `console` or `python FILE`, found `sh`'),
    ('```\n$ a\n```\n', 'found ``'),
    ('\n```console\n$ a\n', 'line 2: the block has no end'),
    ('```console\na\n```\n', 'line 1: expected a block that begins with `\\$ `')])
def test_a_command_cannot_be_overlooked(page, message):
    with pytest.raises(ValueError, match=message):
        read_blocks(page)


@pytest.mark.parametrize('expected, printed, same', [
    (('a  b',), 'a b\n', True),
    (('a',), 'a\nb\n', False),
    (('a', '...'), 'a\nb\nc\n', True),
    (('a', '...'), 'a\n', True),
    (('...', 'c'), 'a\nb\nc\n', True),
    (('...', 'd'), 'a\nb\nc\n', False),
    (('a', '...', 'c'), 'b\nc\n', False),
    (('took ~12.3 ms',), 'took 7e-09 ms\n', True),
    (('took ~12.3 ms',), 'took long ms\n', False),
    (('took 12.3 ms',), 'took 7 ms\n', False),
    (('a ... z',), 'a b c z\n', True),
    (('a ... z',), 'a b c\nz\n', False),
    ((), '', True),
    ((), 'a\n', False)])
def test_what_counts_as_shown(expected, printed, same):
    assert shown(expected, printed) is same


def test_the_commands_of_a_block_share_a_shell(tmp_path):
    run_steps((
        Step('x=3; echo no >&2', ()), Step('sleep 60 &', ()), Step('echo $x > file; printf "%s" $x', ('3',)),
        Step('kill %1', ())), tmp_path, os.environ, 30)
    assert (tmp_path / 'file').read_text() == '3\n'


@pytest.mark.parametrize('steps, message', [
    ((Step('true', ()), Step('echo why >&2; false', ()), Step('true', ())), 'false\nended with 1:\nwhy\n'),
    ((Step('echo a', ('b',)),), 'echo a\nprinted:\na\n\nthe page shows:\nb'),
    ((Step('exit 0', ()), Step('true', ())), 'bash ended'),
    ((Step('sleep 60', ()),), 'not done after 1 s')])
def test_a_failure_is_reported_with_its_output(tmp_path, steps, message):
    with pytest.raises(AssertionError) as failure:
        run_steps(steps, tmp_path, os.environ, 1 if 'sleep' in steps[0].command else 30)
    assert message in str(failure.value)
