# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import errno
import re
from pathlib import Path

import pytest

import trt_perception
from trt_perception.errors import EngineError, ModelError, SourceError, one_line, printable, reason


@pytest.mark.parametrize('what, most, line', [
    (ModelError('first\n  second\r\n\tthird '), 0, 'first second third'),
    ('', 5, ''),
    ('12345', 5, '12345'),
    ('123456', 5, '12345 ...'),
    ('1\n\n\n5', 3, '1 5'),
    ('a\x1b[31mred\x07\u202e \x9b2J', 0, 'a\\x1b[31mred\\x07\\u202e \\x9b2J')])
def test_one_line(what, most, line):
    assert one_line(what, most) == line


@pytest.mark.parametrize('text, shown', [
    ('a  model.onnx', 'a  model.onnx'), ('modèle 型.onnx', 'modèle 型.onnx'),
    ('a\nb\r\t\x1b[2J', 'a\\nb\\r\\t\\x1b[2J'),
    ('a\u2028b\x85', 'a\\u2028b\\x85'), (b'\xff.onnx'.decode(errors='surrogateescape'), '\\udcff.onnx')])
def test_printable(text, shown):
    assert printable(text) == shown
    assert len(printable(text).splitlines()) == 1
    printable(text).encode()


@pytest.mark.parametrize('kind', [ModelError, SourceError, EngineError])
def test_the_text_of_an_error_is_one_line_without_control_characters(kind):
    """Messages quote class names, topics and file names of others."""
    error = kind("no class 'cat\n\x1b]0;title\x07dog\r'")
    assert str(error) == "no class 'cat \\x1b]0;title\\x07dog '"
    assert str(kind('a  b.onnx\n    at line 3\n')) == 'a  b.onnx at line 3'
    assert f'{error}' == str(error)
    assert error.args == ("no class 'cat\n\x1b]0;title\x07dog\r'",)


@pytest.mark.parametrize('error, text', [
    (FileNotFoundError(errno.ENOENT, 'No such file or directory', 'a/b.npz'), 'No such file or directory'),
    (OSError('expected a file'), 'expected a file'), (ValueError('two\nlines'), 'two lines')])
def test_the_reason_of_an_error_has_neither_number_nor_path(error, text):
    assert reason(error) == text


def test_no_character_of_a_name_reaches_a_terminal_raw():
    everything = ''.join(map(chr, range(0x110000)))
    shown = printable(everything)
    assert shown.isprintable()
    shown.encode()
    for control in (*range(32), 0x7f, *range(0x80, 0xa0), 0x2028, 0x2029, 0x202e, 0x2066, 0xfeff):
        assert chr(control) not in shown
        assert chr(control) not in one_line(f'a{chr(control)}b')


def test_the_words_of_a_system_error_come_from_one_function():
    """An OSError may have no strerror, so a message said None."""
    package = Path(trt_perception.__file__).parent
    own = {'errors.py', 'unfinished.py', 'catalogue/download/npm.py'}
    found = {
        str(path.relative_to(package)) for path in package.rglob('*.py')
        if re.search(r"\.strerror|'strerror'", path.read_text(encoding='utf-8'))}
    assert found == own
