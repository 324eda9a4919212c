# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import pytest

from trt_perception.errors import ModelError, one_line, printable


@pytest.mark.parametrize('what, most, line', [
    (ModelError('first\n  second\r\n\tthird '), 0, 'first second third'),
    ('', 5, ''),
    ('12345', 5, '12345'),
    ('123456', 5, '12345 ...'),
    ('1\n\n\n5', 3, '1 5')])
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
