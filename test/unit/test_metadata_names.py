# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from trt_perception.model.metadata_names import MetadataNames, read_metadata_names


def read(text):
    return read_metadata_names({'names': text})


@pytest.mark.parametrize('text', ['["a", "b"]', "['a', 'b']", "('a', 'b')", '{"0": "a", "1": "b"}', "{1: 'b', 0: 'a'}"])
def test_lists_and_mappings_of_json_and_python(text):
    assert read(text) == MetadataNames(('a', 'b'))


@pytest.mark.parametrize('text, names', [
    ('[0, 1]', ('0', '1')), ("{0: 7, 1: '8'}", ('7', '8')), ('["crane bird"]', ('crane bird',)),
    ("['it\\'s']", ("it's",)), ('["\\u00fc"]', ('ü',)), ("['a\\d']", ('a\\d',))])
def test_names_are_kept_as_they_are(text, names):
    assert read(text) == MetadataNames(names)


@pytest.mark.parametrize('text, names', [
    ('{"0": "person", "1": "bicycle"}', ('person', 'bicycle')),
    ("{0: 'person', 1: 'bicycle'}", ('person', 'bicycle')),
    ("{0: 'it\\'s', 1: \"o'clock\"}", ("it's", "o'clock")),
    ('["person", "bicycle"]', ('person', 'bicycle')),
    ("['person', 'bicycle']", ('person', 'bicycle')),
    # In order of the number, not of the entries or of the keys as text
    (json.dumps({str(i): f'c{i}' for i in reversed(range(12))}), tuple(f'c{i}' for i in range(12))),
    ('{"0": 7, "1": "seven"}', ('7', 'seven')),
    ('{"0": "Füßgänger"}', ('Füßgänger',)),
    # Unusable
    ('', ()), ('person, bicycle', ()), ('{"a": "person"}', ()), ('5', ()), ('"person"', ()), ('{', ()),
    ('None', ()), ('{}', ()),
    # A missing index would shift all later classes
    ('{"0": "person", "2": "car"}', ()), ('{"1": "person", "2": "car"}', ()),
])
def test_names_of_exporters(text, names):
    assert read(text).names == names


@pytest.mark.parametrize('metadata', [{}, {'names': ''}, {'names': ' '}, {'names': '{}'}, {'names': '[]'}])
def test_no_names(metadata):
    assert read_metadata_names(metadata) == MetadataNames()


@pytest.mark.parametrize('text, reason', [
    ("{0: 'a', 1: 'b'", 'neither JSON nor a Python literal'),
    ('a,b,c', 'neither JSON nor a Python literal'),
    ('person', 'neither JSON nor a Python literal'),
    ("{1: 'a', 2: 'b', 3: 'c'}", 'class 0 has no name, the indices are 1 to 3'),
    ("{0: 'a', 2: 'b'}", 'class 1 has no name, the indices are 0 to 2'),
    ("{'a': 0, 'b': 1}", 'its keys are not indices'),
    ("{0.5: 'a'}", 'its keys are not indices'),
    ("{True: 'a'}", 'its keys are not indices'),
    ('"a, b"', 'a value of type str'), ('3', 'a value of type int'),
    ("{0: ['n01440764', 'tench']}", 'the name of class 0 has the type list'),
    ('[null, "a"]', 'the name of class 0 has the type NoneType'),
    ('[' * 100_000, 'neither JSON nor a Python literal'),
    ('{' * 100_000, 'neither JSON nor a Python literal'),
    ('-' * 100_000 + '1', 'neither JSON nor a Python literal'),
    ("{0: 'a', 0x" + 'f' * 5000 + ": 'b'}", 'its keys are not indices'),
    ('[open("/etc/passwd")]', 'neither JSON nor a Python literal'),
])
def test_names_that_cannot_be_read_are_quoted_and_cut(text, reason):
    found = read(text)
    assert found.names == ()
    assert f"the file's class names cannot be read ({reason}" in found.problem
    assert f"found '{text[:80]}" in found.problem
    assert len(found.problem) < 400


def test_the_quotation_has_no_control_characters():
    problem = read("{0: 'a\n\x1b[31m', \u202e").problem
    assert "found '{0: 'a\\n\\x1b[31m', \\u202e'" in problem
    assert all(character.isprintable() for character in problem)


def test_odd_names():
    assert read("['a', 'b', 'a', ' ', 'c', 'c', '']") == MetadataNames(
        ('a', 'b', 'a', '3', 'c', 'c', '6'),
        "the file's class names have no name for class 3, 6, whose index is used and the same name 'a' for classes 0, "
        "2, 'c' for classes 4, 5; correct 'names' in its metadata")
    many = read(str(['a'] * 1000 + ['']))
    assert "'a' for classes 0, 1, 2 and 997 more" in many.problem
    assert len(many.problem) < 300


def test_long_names_do_not_hide_the_classes():
    problem = read(str(['x' * 300, 'x' * 300])).problem
    assert "...' for classes 0, 1" in problem
