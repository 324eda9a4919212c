# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages that docs/troubleshooting.md and the README quote are messages that this version prints."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'troubleshooting.md'
if not PAGE.is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)

# Messages of other programs (pip, ros2, Nav2, Fast DDS, ONNX Runtime), and one that is mostly values.
OTHERS = {
    'unknown option --conf: use --score', 'error: externally-managed-environment',
    "Package 'trt_perception' not found", 'Unable to Register SHM Transport',
    'Server detector was unable to be reached ... by bond', 'Unsupported model IR version'}
# Stands for a value in a message.
VALUE = '\0'


@cache
def messages():
    """Return the texts in the code; each value of an f-string is VALUE."""
    found = set()
    for path in (ROOT / 'trt_perception').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                found.add(''.join(
                    part.value if isinstance(part, ast.Constant) else VALUE for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    scripts = [path for path in (ROOT / 'scripts').rglob('*') if path.is_file()]
    return found | {path.read_text(encoding='utf-8', errors='ignore') for path in scripts}


def quoted(page, section):
    """Return the quotes in the first column of the tables of a section."""
    text = page.read_text(encoding='utf-8').partition(section)[2]
    cells = [re.split(r' \| ', line.strip('|'))[0] for line in text.splitlines() if line.startswith('| ')]
    return [quote for cell in cells for quote in re.findall('`([^`]+)`', cell) if ' ' in quote]


def printed(fragment):
    """Whether a message has the fragment, with other text in the places of values; half of it is text of the code."""
    words = re.findall('[A-Za-z_]{3,}', fragment)
    return not words or any(fragment in message for message in messages()) or any(
        2 * _literal(fragment, message) >= len(fragment)
        for message in messages() if VALUE in message and any(word in message for word in words))


def _literal(fragment, message):
    """Return how much of the fragment is text of the message, if values stand for the rest; -1 if it does not fit."""
    # matched[position]: the most text of the message that leads there; -1 if nothing does
    matched = [0] * (len(message) + 1)
    for letter in fragment:
        following = [-1] * (len(message) + 1)
        for position, sign in enumerate(message):
            if matched[position] < 0:
                continue
            if sign == VALUE:
                following[position] = max(following[position], matched[position])
                # A value may be empty, and it may end here.
                matched[position + 1] = max(matched[position + 1], matched[position])
            elif sign == letter:
                following[position + 1] = max(following[position + 1], matched[position] + 1)
        matched = following
    return max(matched)


QUOTES = [*quoted(PAGE, '## Installation'), *quoted(ROOT / 'README.md', '## Troubleshooting')]


def test_the_quotes_are_found():
    assert len(QUOTES) > 90


@pytest.mark.parametrize('quote', [quote for quote in dict.fromkeys(QUOTES) if quote not in OTHERS])
def test_a_quoted_message_is_a_message_of_the_code(quote):
    fragments = [fragment.strip(' ,:;') for fragment in quote.split('...')]
    for fragment in fragments:
        assert ' ' not in fragment or printed(fragment), fragment


@pytest.mark.parametrize('fragment', [
    'its masks are not used', 'TensorRT finds no kernel', 's from the clock', 'this is a video stream'])
def test_a_message_that_no_code_prints_is_noticed(fragment):
    assert not printed(fragment)
