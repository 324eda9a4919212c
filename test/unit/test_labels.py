# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json
import os
import resource
import socket
import subprocess
import sys

import pytest
from support.crafted_labels import CRAFTED
from support.subprocesses import python_environment

from trt_perception.errors import LabelsError
from trt_perception.model.labels import load_labels, names_from, shipped_labels


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_txt_keeps_order_spaces_inside_and_duplicates(tmp_path):
    path = write(tmp_path, 'a.txt', 'traffic light\ncrane\ncrane\n')
    assert load_labels(path) == ['traffic light', 'crane', 'crane']


@pytest.mark.parametrize('content', [
    b'\xef\xbb\xbfperson\r\ncar\r\n', b'person\rcar', b'person\ncar\n\n \n', b'  person\t\n car',
])
def test_txt_byte_order_mark_line_ends_and_trailing_blanks_do_not_matter(tmp_path, content):
    assert load_labels(write(tmp_path, 'a.txt', content)) == ['person', 'car']


def test_txt_hash_is_part_of_a_name_and_darknet_names_are_text(tmp_path):
    assert load_labels(write(tmp_path, 'coco.names', '#1 dad\ncup')) == ['#1 dad', 'cup']


def test_txt_line_separator_inside_a_name_does_not_split_it(tmp_path):
    assert load_labels(write(tmp_path, 'a.txt', 'a\u2028b\nc')) == ['a\u2028b', 'c']


def test_txt_blank_line_in_the_middle_is_refused_with_its_number(tmp_path):
    with pytest.raises(LabelsError, match='line 2 is blank'):
        load_labels(write(tmp_path, 'a.txt', 'person\n\ncar\n'))


@pytest.mark.parametrize('value', [
    ['a', 'b'], {'0': 'a', '1': 'b'}, {'1': 'b', '0': 'a'}, {'names': ['a', 'b']},
    {'names': {'0': 'a', '1': 'b'}}, {'0': ['n01440764', 'a'], '1': ['n01443537', 'b']},
])
def test_json_shapes(tmp_path, value):
    assert load_labels(write(tmp_path, 'a.json', json.dumps(value))) == ['a', 'b']


def test_json_indices_are_numbers_not_text(tmp_path):
    names = {str(index): f'name {index}' for index in reversed(range(12))}
    assert load_labels(write(tmp_path, 'a.json', json.dumps(names)))[10] == 'name 10'


@pytest.mark.parametrize('text', [
    'names: [a, b]', 'nc: 2\nnames:\n  0: a\n  1: b\n', 'train: x\nnames: {"1": b, "0": a}', '- a\n- b\n',
])
def test_yaml_shapes(tmp_path, text):
    pytest.importorskip('yaml')
    assert load_labels(write(tmp_path, 'data.yaml', text)) == ['a', 'b']


def test_yaml_numbers_are_names(tmp_path):
    pytest.importorskip('yaml')
    assert load_labels(write(tmp_path, 'digits.yml', 'names: [0, 1, 2]')) == ['0', '1', '2']


@pytest.mark.parametrize('name, text, message', [
    ('a.json', '{"0": "a", "2": "c"}',
     'expected the indices 0 to 1 for 2 names, but class 1 has no name and the highest index is 2'),
    ('a.json', '{"1": "a", "2": "c"}', 'class 0 has no name'),
    ('a.json', '{"person": 0}', "found 'person'"),
    ('a.json', '{"0": "a", "0": "b"}', "'0' appears twice"),
    ('a.json', '{"0": "a", "00": "b"}', 'class 0 has two names'),
    ('a.json', '"person"', 'expected a list of names'),
    ('a.json', '[]', 'found none'),
    ('a.json', '["a", ""]', 'class 1: expected a name, found an empty one'),
    ('a.json', '["a", 1.5]', 'class 1: expected a name, found float'),
    ('a.json', '[', 'not valid JSON'),
    ('a.yaml', 'names: [yes, maybe]', 'class 0: expected a name, found bool True.*quotes'),
    ('a.yaml', 'names: [~]', 'found NoneType'),
    ('a.yaml', 'nc: 3\nnames: [a, b]', 'nc: is 3, but names: has 2 names'),
    ('a.yaml', 'train: images', 'expected the key names:, found train'),
    ('a.yaml', 'names: {0: a, 5: b}', 'class 1 has no name'),
    ('a.yaml', 'names: [', 'not valid YAML'),
    ('a.yaml', '', 'found NoneType None'),
    ('a.txt', '', 'empty file'),
    ('a.txt', b'caf\xe9\n', 'expected UTF-8 text, found byte 0xe9 at offset 3'),
    ('a.csv', 'a,b', "found the suffix '.csv'"),
])
def test_malformed_files_say_what_is_wrong(tmp_path, name, text, message):
    if name.endswith('.yaml'):
        pytest.importorskip('yaml')
    path = write(tmp_path, name, text)
    with pytest.raises(LabelsError, match=message) as caught:
        load_labels(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(LabelsError, match='No such file'):
        load_labels(tmp_path / 'none.txt')
    (tmp_path / 'folder.txt').mkdir()
    with pytest.raises(LabelsError, match='expected a file, found a folder'):
        load_labels(tmp_path / 'folder.txt')


@pytest.mark.parametrize('name', CRAFTED)
def test_crafted_files_are_refused_in_one_short_line(tmp_path, name):
    if name.endswith('.yaml'):
        pytest.importorskip('yaml')
    content, message = CRAFTED[name]
    path = write(tmp_path, name, content)
    with pytest.raises(LabelsError, match=message) as caught:
        load_labels(path)
    text = str(caught.value)
    assert '\n' not in text and len(text) < len(str(path)) + 300


_LIMITED = (
    'import resource, sys\n'
    'from trt_perception.errors import LabelsError\n'
    'from trt_perception.model.labels import load_labels\n'
    'resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n'
    'for path in sys.argv[1:]:\n'
    '    try:\n'
    '        load_labels(path)\n'
    '    except LabelsError:\n'
    '        print("refused")\n')


def test_no_file_takes_long_or_much_memory(tmp_path):
    """A few hundred bytes of nested aliases made a node deaf for 15 s: the message showed the whole value."""
    pytest.importorskip('yaml')
    paths = [write(tmp_path, name, content) for name, (content, _) in CRAFTED.items()]
    done = subprocess.run(
        [sys.executable, '-c', _LIMITED, *map(str, paths)], env=python_environment(), capture_output=True, text=True,
        check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)))
    assert (done.returncode, done.stdout.split()) == (0, ['refused'] * len(CRAFTED)), done.stderr


def test_what_is_not_a_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe.txt')
    (tmp_path / 'endless.txt').symlink_to('/dev/zero')
    (tmp_path / 'null.yaml').symlink_to('/dev/null')
    (tmp_path / 'folder.json').mkdir()
    (tmp_path / 'loop.txt').symlink_to('loop.txt')
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / 'socket.txt'))
        for name, found in (
                ('pipe.txt', 'found a pipe'), ('endless.txt', 'found a device'), ('null.yaml', 'found a device'),
                ('folder.json', 'found a folder'), ('loop.txt', 'Too many levels'), ('socket.txt', 'No such device')):
            with pytest.raises(LabelsError, match=found):
                load_labels(tmp_path / name)
    with pytest.raises(LabelsError, match='the name cannot be used: embedded null byte'):
        load_labels('a\0.txt')


def test_the_largest_lists_of_class_names_fit(tmp_path):
    """ImageNet has 21,841 classes."""
    pytest.importorskip('yaml')
    names = [f'the name of class number {index}, and another name' for index in range(21_841)]
    assert load_labels(write(tmp_path, 'a.txt', '\n'.join(names))) == names
    assert load_labels(write(tmp_path, 'a.json', json.dumps(names))) == names
    text = 'names:\n' + ''.join(f'  {index}: "{name}"\n' for index, name in enumerate(names))
    assert load_labels(write(tmp_path, 'a.yaml', text)) == names


def test_aliases_and_merge_keys_of_an_honest_file_work(tmp_path):
    pytest.importorskip('yaml')
    text = 'base: &base {nc: 2, path: x}\nroad: &road [car, bus]\n<<: *base\nnames: *road\n'
    assert load_labels(write(tmp_path, 'data.yaml', text)) == ['car', 'bus']


def test_names_from_names_its_origin():
    assert names_from({0: 'a', 1: 'b'}, 'metadata') == ['a', 'b']
    with pytest.raises(LabelsError, match=r'^metadata: '):
        names_from({True: 'a'}, 'metadata')


def test_shipped_coco_is_ultralytics_spelling_and_order():
    names = shipped_labels('coco')
    assert len(names) == len(set(names)) == 80
    assert [names[index] for index in (0, 3, 4, 57, 58, 60, 62, 79)] == [
        'person', 'motorcycle', 'airplane', 'couch', 'potted plant', 'dining table', 'tv', 'toothbrush']


def test_shipped_imagenet_names_are_torchvisions_and_unique():
    names = shipped_labels('imagenet')
    assert len(names) == len(set(names)) == 1000
    assert [names[index] for index in (0, 134, 281, 517, 638, 639, 967, 999)] == [
        'tench', 'crane bird', 'tabby', 'crane', 'maillot', 'maillot tank suit', 'espresso', 'toilet tissue']


def test_unknown_shipped_list():
    with pytest.raises(LabelsError, match="'voc': expected one of coco, imagenet"):
        shipped_labels('voc')
