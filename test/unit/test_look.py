# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception inspect` with --graph, --fusion, --picture and --view."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import helper
from support.tiny_models import FLOAT, fixed_outputs, save

from trt_perception.backends.tensorrt.library.inspector import parse_layers
from trt_perception.cli.engine_picture import engine_picture
from trt_perception.cli.main import main
from trt_perception.look.layout import place

ort = pytest.importorskip('onnxruntime')
ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / 'test' / 'data' / 'tensorrt_inspector'
ALEXNET = Path(onnx.__file__).parent / 'backend' / 'test' / 'data' / 'light' / 'light_bvlc_alexnet.onnx'
needs_alexnet = pytest.mark.skipif(not ALEXNET.is_file(), reason=f'this onnx has no {ALEXNET.name}')
SVG = '{http://www.w3.org/2000/svg}'


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def convolutions(path, size=(16, 16)):
    """conv -> relu -> two branches -> add; a Dropout, and a shape that is computed from a constant."""
    weights = np.ones((3, 3, 3, 3), np.float32)
    return save(
        path,
        [helper.make_node('Conv', ['images', 'w'], ['a'], 'first', pads=[1, 1, 1, 1]),
         helper.make_node('Relu', ['a'], ['b'], 'active'),
         helper.make_node('Dropout', ['b'], ['c'], 'idle'),
         helper.make_node('Conv', ['c', 'w'], ['d'], 'second', pads=[1, 1, 1, 1], strides=[1, 1]),
         helper.make_node('Mul', ['w', 'two'], ['w2'], 'folded'),
         helper.make_node('Conv', ['c', 'w2'], ['e'], 'third', pads=[1, 1, 1, 1]),
         helper.make_node('Sub', ['d', 'e'], ['out'], 'difference')],
        {'images': (FLOAT, [1, 3, *size])}, {'out': (FLOAT, [1, 3, *size])},
        {'w': weights, 'two': np.array(2, np.float32)})


def words(svg):
    return [''.join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f'{SVG}text')]


# --graph


def test_the_nodes_with_shapes_and_constants(capsys, tmp_path):
    code, out, err = run(capsys, 'inspect', convolutions(tmp_path / 'm.onnx'), '--graph')
    lines = [line.strip() for line in out.splitlines()]
    assert (code, err) == (0, '')
    assert lines[:4] == [
        f'file: {tmp_path / "m.onnx"}', 'input   images  float32 [1, 3, 16, 16]',
        '0  Conv     first  images -> a float32 [1, 3, 16, 16]', 'pad 1, w float32 [3, 3, 3, 3]']
    assert lines[-2:] == ['output  out  float32 [1, 3, 16, 16]', 'not shown: 1 nodes that compute constants (Mul 1)']
    assert 'w2 float32 [3, 3, 3, 3]' in out and 'folded' not in out


def test_open_sizes_keep_their_names_or_get_the_given_size(capsys, tmp_path):
    path = convolutions(tmp_path / 'm.onnx', ('height', 'width'))
    out = run(capsys, 'inspect', path, '--graph')[1]
    assert 'input   images  float32 [1, 3, height, width]' in out and 'images -> a float32 [1, 3, ?, ?]' in out
    graph = json.loads(run(capsys, 'inspect', path, '--graph', '--json', '--input-size', 32, 24)[1])['graph']
    assert graph['nodes'][0]['outputs'] == [{'name': 'a', 'type': 'float32', 'shape': [1, 3, 24, 32]}]
    assert graph['constant_nodes'] == {'Mul': 1}


def test_a_model_that_is_refused_is_shown(capsys, tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 21, 8, 8)))
    assert run(capsys, 'inspect', path)[0] == 1
    code, out, err = run(capsys, 'inspect', path, '--graph')
    assert (code, err) == (0, '') and '[1, 21, 8, 8]' in out


def test_names_do_not_move_the_cursor(capsys, tmp_path):
    path = convolutions(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    model.graph.node[0].name = '\x1b[2Jfirst\nsecond'
    onnx.save(model, str(path))
    out = run(capsys, 'inspect', path, '--graph', '--fusion', '--picture', tmp_path / 'p.svg')[1]
    assert '\x1b' not in out and '\\x1b[2Jfirst\\nsecond' in out


# --fusion


def test_what_onnx_runtime_fuses(capsys, tmp_path):
    path = convolutions(tmp_path / 'm.onnx')
    code, out, _ = run(capsys, 'inspect', path, '--fusion', '--json')
    fusion = json.loads(out)['fusion']
    assert code == 0
    assert (fusion['nodes_before'], fusion['nodes_after']) == (6, 4)
    changed = [([node['name'] for node in group['before']], group['after'][0]['operator'])
               for group in fusion['groups'] if group['changed']]
    assert (['first', 'active'], 'FusedConv') in [(names[:2], operator) for names, operator in changed]
    assert sorted(node['name'] for group in fusion['groups'] for node in group['before']) == sorted(
        ['first', 'active', 'idle', 'second', 'third', 'difference'])
    assert fusion['folded'] == []
    assert fusion['runtime'] == f'ONNX Runtime {ort.__version__}'


@needs_alexnet
def test_alexnet(capsys, tmp_path):
    code, out, err = run(capsys, 'inspect', ALEXNET, '--fusion', '--picture', tmp_path / 'a.svg')
    assert (code, err) == (0, '')
    assert '24 nodes became 15, as ONNX Runtime' in out
    assert '5 x  Conv + Relu -> FusedConv' in out
    assert 'Dropout n18 + Gemm n19 + Relu n20 -> FusedGemm' in out
    assert '(n18 does nothing at inference)' in out
    shown = words((tmp_path / 'a.svg').read_text())
    assert shown.count('FusedConv 3x3') == 3 and 'FusedConv 11x11 /4' in shown
    # In the left panel, and in the right one as what it was made from.
    assert shown.count('Relu') == 7 and shown.count('Conv + Relu') == 5


def test_onnx_runtime_refuses_the_model_in_one_line(capsys, tmp_path):
    path = convolutions(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    model.graph.node[1].op_type = 'Whirl'
    onnx.save(model, str(path))
    code, _, err = run(capsys, 'inspect', path, '--fusion')
    assert code == 1 and 'Whirl' in err and err.count('\n') == 1


# --picture


def test_the_picture_of_yolov5n(capsys, tmp_path):
    pytest.importorskip('cv2')
    done = subprocess.run(
        [sys.executable, 'yolov5n_sized.py', str(tmp_path / 'y.onnx'), '320'], cwd=ROOT / 'test' / 'benchmarks',
        env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'test')])}, check=False,
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert run(capsys, 'inspect', tmp_path / 'y.onnx', '--picture', tmp_path / 'y.svg')[0] == 0
    svg = ElementTree.fromstring((tmp_path / 'y.svg').read_text())
    assert 'y.onnx: 236 nodes' in words((tmp_path / 'y.svg').read_text())
    # No two boxes of a panel overlap; those inside the frame of a fused group are of class n.
    for panel in svg.iter(f'{SVG}g'):
        boxes = [[float(box.get(key)) for key in ('x', 'y', 'width', 'height')]
                 for box in panel.iter(f'{SVG}rect') if box.get('class') != 'n']
        assert len(boxes) > 100
        for index, (x, y, w, h) in enumerate(boxes):
            for other_x, other_y, other_w, other_h in boxes[:index]:
                assert (x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y)


@pytest.mark.parametrize('name, message', [
    ('p.png', 'expected a name that ends in .svg'), ('none/p.svg', 'there is no folder'), ('m.svg', 'choose another')])
def test_a_picture_that_cannot_be_written(capsys, tmp_path, name, message):
    path = convolutions(tmp_path / 'm.svg')
    before = path.read_bytes()
    code, out, err = run(capsys, 'inspect', path, '--picture', tmp_path / name)
    assert (code, out) == (1, '') and message in err and err.count('\n') == 1
    assert path.read_bytes() == before


def test_long_edges_are_straight_and_cells_apart():
    layout = place([(100, 20)] * 5, [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)])
    tops = [top for _, top in layout.cells]
    assert tops == sorted(tops) and len(set(tops)) == 5
    # The edge from 0 to 3 passes 1 and 2 beside them.
    for left, top in layout.cells[1:3]:
        assert all(not left < x < left + 100 for x, y in layout.paths[3] if top <= y <= top + 20)


@pytest.mark.parametrize('name, layers, fused', [
    ('fp32', 13, 'Sub_8 + Mul_9 + Add_10'), ('fp16', 18, 'Conv_0 + Relu_1'), ('all_fp16', 13, 'Conv_4 + Sigmoid_5')])
def test_the_picture_of_a_recorded_engine(name, layers, fused):
    recorded = parse_layers((RECORDINGS / f'8.6.0-{name}.json').read_text())
    shown = words(engine_picture(recorded, 'm.plan', 'tensorrt 8.6.0'))
    assert f'{layers} layers' in shown
    if name == 'fp32':
        fused = 'node_of_centred + node_of_moved + node_of_centres'
    assert fused in shown
    assert sum(text.startswith('CaskConvolution fp') for text in shown) == 3


@pytest.mark.parametrize('option', ['--graph', '--view'])
def test_an_engine_has_no_onnx_graph(capsys, tmp_path, option):
    code, out, err = run(capsys, 'inspect', tmp_path / 'm.plan', option)
    assert (code, out) == (1, '') and f'{option} shows an ONNX file, found the engine' in err


# --view


@pytest.mark.skipif(importlib.util.find_spec('netron') is not None, reason='netron is installed')
def test_without_netron_one_line_says_how_to_get_it(capsys, tmp_path):
    code, _, err = run(capsys, 'inspect', convolutions(tmp_path / 'm.onnx'), '--view')
    assert code == 1 and 'pip install netron' in err and err.count('\n') == 1


def test_netron_shows_the_model_to_this_machine_only(tmp_path):
    pytest.importorskip('netron', reason='netron is not installed (pip install netron)')
    path = convolutions(tmp_path / 'm.onnx')
    environment = {key: value for key, value in os.environ.items() if key not in ('DISPLAY', 'WAYLAND_DISPLAY')}
    process = subprocess.Popen(
        [sys.executable, '-m', 'trt_perception.cli.main', 'inspect', str(path), '--view'], text=True, cwd=ROOT,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.stdout.readline()
        url = process.stdout.readline().split(' at ')[1].split()[0]
        assert url.startswith('http://127.0.0.1:')
        with urllib.request.urlopen(url, timeout=300) as page:
            assert "connect-src 'self'" in page.headers['Content-Security-Policy']
            assert b'/data/m.onnx' in page.read()
        with urllib.request.urlopen(f'{url}/data/m.onnx', timeout=300) as model:
            assert model.read() == path.read_bytes()
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (130, 'trt_perception: interrupted\n')
