# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The lines and records of echo, and the rows of top."""

import json

import pytest

pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    Classification,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
    VisionInfo,
)

from trt_perception.cli.message_lines import RECORDS, json_line, line
from trt_perception.cli.node_reports import Reports, record, rows

HEADER = Header(stamp=Time(sec=12, nanosec=345_678_901), frame_id='cam')


def hypothesis(name, score):
    return ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=name, score=score))


def records(message):
    module, name = type(message).__module__.split('.')[0], type(message).__name__
    return list(RECORDS[f'{module}/msg/{name}'](message))


def detection(x, y, width, height, *results, identity=''):
    found = Detection2D(header=HEADER, results=list(results), id=identity)
    found.bbox.center.position.x, found.bbox.center.position.y = x, y
    found.bbox.size_x, found.bbox.size_y = width, height
    return found


def test_detections():
    message = Detection2DArray(header=HEADER, detections=[
        detection(60.0, 115.0, 100.0, 190.0, hypothesis('dog', 0.25), hypothesis('person', 0.5), identity='7'),
        detection(1.0, 1.0, 2.0, 2.0)])
    one, = records(message)
    assert one == {'stamp_ns': 12_345_678_901, 'frame_id': 'cam', 'detections': [
        {'class_id': 'person', 'score': 0.5, 'id': '7', 'bbox': [10.0, 20.0, 110.0, 210.0]},
        {'bbox': [0.0, 0.0, 2.0, 2.0]}]}
    assert line(one) == '12.345 cam  2 objects: person #7 0.50 [10 20 110 210]; ? [0 0 2 2]'
    assert line(records(Detection2DArray(header=HEADER))[0]) == '12.345 cam  0 objects'


def test_numbers_that_json_lacks_are_null():
    message = Detection2DArray(header=HEADER, detections=[
        detection(float('nan'), 8.0, float('inf'), 4.0, hypothesis('dog', float('nan')))])
    one, = records(message)
    assert json.loads(json_line(one), parse_constant=pytest.fail) == {
        'stamp_ns': 12_345_678_901, 'frame_id': 'cam',
        'detections': [{'class_id': 'dog', 'score': None, 'bbox': [None, 6.0, None, 10.0]}]}
    assert line(one) == '12.345 cam  1 object: dog nan [nan 6 nan 10]'


def test_detections_in_space():
    found = Detection3D(header=HEADER, results=[hypothesis('cup', 0.75)])
    found.bbox.center.position.x, found.bbox.center.position.z = 0.125, 1.5
    found.bbox.size.y = 0.25
    one, = records(Detection3DArray(header=HEADER, detections=[found]))
    assert one['detections'] == [
        {'class_id': 'cup', 'score': 0.75, 'center': [0.125, 0.0, 1.5], 'size': [0.0, 0.25, 0.0]}]
    assert line(one) == '12.345 cam  1 object: cup 0.75 at [0.12 0.00 1.50]'


def test_other_messages():
    assert line(records(Classification(header=HEADER, results=[
        ObjectHypothesis(class_id='cat', score=0.5)]))[0]) == '12.345 cam  cat 0.50'
    labels = LabelInfo(header=HEADER, threshold=0.25, class_map=[
        VisionClass(class_id=index, class_name=f'c{index}') for index in range(12)])
    one, = records(labels)
    assert one['classes']['11'] == 'c11'
    assert line(one) == '12.345 cam  threshold 0.25: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, ... (12 classes)'
    info = VisionInfo(header=Header(stamp=HEADER.stamp), method='m.onnx sha256:0', database_location='/label_info')
    assert line(records(info)[0]) == '12.345 -  method m.onnx sha256:0, database_location /label_info'
    image = Image(header=HEADER, width=4, height=2, encoding='mono8', data=[0] * 8)
    assert line(records(image)[0]) == '12.345 cam  4x2 mono8, 8 bytes'
    packed = CompressedImage(header=HEADER, format='jpeg', data=[1, 2])
    assert line(records(packed)[0]) == '12.345 cam  format jpeg, bytes 2'


def status(level, message='fine', name='front/detector: perception', **values):
    values = {'rate_out_hz': '29.5', 'state': 'active', **{key: str(value) for key, value in values.items()}}
    return DiagnosticStatus(level=level, name=name, message=message, values=[
        KeyValue(key=key, value=value) for key, value in values.items()])


def test_diagnostics():
    one, = records(DiagnosticArray(header=HEADER, status=[status(DiagnosticStatus.ERROR, 'bad')]))
    assert one['values'] == {'rate_out_hz': '29.5', 'state': 'active'}
    assert line(one) == 'ERROR front/detector: perception: bad'


def test_a_camera_that_is_configured_no_more_leaves_top():
    reports = Reports(lambda: 0.0)

    def heard(*names):
        reports.add(DiagnosticArray(status=[status(DiagnosticStatus.OK, name=name) for name in names]))
        return [(report.of, report.camera) for report in reports.now()]

    both = ('a/node: perception', 'a/node: perception /front', 'a/node: perception /rear')
    assert heard(*both) == [('a/node', ''), ('a/node', '/front'), ('a/node', '/rear')]
    # Another node, and another that has the same beginning.
    assert len(heard('a/nod: perception', 'a/node2: perception', 'a/node2: perception /front')) == 6
    assert heard(*both[:2]) == [
        ('a/nod', ''), ('a/node', ''), ('a/node', '/front'), ('a/node2', ''), ('a/node2', '/front')]
    assert heard(both[0])[:2] == [('a/nod', ''), ('a/node', '')]


def test_detections_without_depth_image_are_dropped_in_top():
    reports = Reports(lambda: 0.0)
    reports.add(DiagnosticArray(status=[
        status(DiagnosticStatus.OK, name='boxes: detections_3d', replaced=1, unmatched=4, bad=2)]))
    assert reports.now()[0].dropped == 7


def test_rows_of_top():
    now = [100.0]
    reports = Reports(lambda: now[0])
    reports.add(DiagnosticArray(status=[
        status(DiagnosticStatus.WARN, 'late', state='active', rate_in_hz=30, replaced=2, stale=1, bad=0, failed=0,
               missing_fraction='0.125', stamp_to_publish_ms_p50='12.34', stamp_to_publish_ms_p99='50',
               backend='litert'),
        status(DiagnosticStatus.OK, name='alone: perception rear'),
        status(DiagnosticStatus.OK, name='boxes: detections_3d'),
        status(DiagnosticStatus.OK, name='motor: temperature'),
        DiagnosticStatus(name='motor: perception', level=DiagnosticStatus.OK)]))
    _, alone, boxes, front = rows(reports.now())
    assert boxes[0] == 'boxes'
    assert front == (
        'front/detector', 'WARN', 'active', '30.0', '29.5', '12.3 ms', '50.0 ms', '-', '3', '12%', 'litert', 'late')
    assert alone[:2] == ('alone rear', 'OK') and alone[8] == '-'
    now[0] = 104.0
    reports.add(DiagnosticArray(status=[status(DiagnosticStatus.OK)]))
    # The period of the node is 4 s: it is stale after 12 s, the other one after 5 s.
    now[0] = 110.0
    assert [report.level for report in reports.now()] == ['STALE', 'STALE', 'OK']
    now[0] = 117.0
    last = reports.now()[2]
    assert (last.level, last.reason) == ('STALE', 'nothing heard for 13 s; the last was OK: fine')
    assert record(last, 13.0)['silent_s'] == 13.0
