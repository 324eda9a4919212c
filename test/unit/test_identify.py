# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Identifies heads from output shapes of real exporters; the comments name the models."""

import pytest

from trt_perception.errors import ModelError
from trt_perception.model.heads.classification import ClassificationHead
from trt_perception.model.heads.identify import HeadEvidence, identify_head
from trt_perception.model.heads.yolo import YoloHead


def identify(*shapes, size=(640, 640), names=None, end_to_end=None, wanted='auto'):
    outputs = tuple((f'output{i}', tuple(shape)) for i, shape in enumerate(shapes))
    return identify_head(HeadEvidence(outputs, size, names, end_to_end), wanted)


def yolo(kind, num_classes, transposed=False, output='output0'):
    return YoloHead(kind, output, num_classes, transposed)


@pytest.mark.parametrize('shape, size, names, expected', [
    # YOLOv5n, COCO
    ([1, 25200, 85], (640, 640), 80, yolo('yolov5', 80)),
    ([1, 25200, 85], (640, 640), None, yolo('yolov5', 80)),
    # YOLOv5n at 320 and at 1280x736
    ([1, 6300, 85], (320, 320), None, yolo('yolov5', 80)),
    ([1, 57960, 85], (1280, 736), None, yolo('yolov5', 80)),
    # YOLOv5n6, strides 8 to 64
    ([1, 102000, 85], (1280, 1280), 80, yolo('yolov5', 80)),
    # YOLOv5 with one and with two classes
    ([1, 25200, 6], (640, 640), 1, yolo('yolov5', 1)),
    ([1, 25200, 6], (640, 640), None, yolo('yolov5', 1)),
    ([1, 25200, 7], (640, 640), 2, yolo('yolov5', 2)),
    # YOLOv8n, YOLO11n, YOLO12n
    ([1, 84, 8400], (640, 640), 80, yolo('yolov8', 80)),
    ([1, 84, 8400], (640, 640), None, yolo('yolov8', 80)),
    # YOLOv8 with one and with two classes
    ([1, 5, 8400], (640, 640), 1, yolo('yolov8', 1)),
    ([1, 5, 8400], (640, 640), None, yolo('yolov8', 1)),
    ([1, 6, 8400], (640, 640), 2, yolo('yolov8', 2)),
    # YOLOv8 of Open Images V7, 601 classes: more rows than candidates at 160 pixels (20*20 + 10*10 + 5*5 = 525)
    ([1, 605, 525], (160, 160), 601, yolo('yolov8', 601)),
    ([1, 605, 525], (160, 160), None, yolo('yolov8', 601)),
    # YOLOv8n at 64 pixels: 8*8 + 4*4 + 2*2 = 84 candidates and 84 rows
    ([1, 84, 84], (64, 64), 80, yolo('yolov8', 80)),
    # YOLOv8n at 32 pixels: 21 candidates
    ([1, 84, 21], (32, 32), 80, yolo('yolov8', 80)),
    ([1, 84, 21], (32, 32), None, yolo('yolov8', 80)),
    # YOLOv5 with 1000 classes at 64 pixels: 252 candidates
    ([1, 252, 1005], (64, 64), None, yolo('yolov5', 1000)),
    # YOLOv8 of COCO with a P2 head, strides 4 to 32
    ([1, 84, 34000], (640, 640), None, yolo('yolov8', 80)),
    # Transposed YOLOv8: only class names distinguish it from YOLOv5
    ([1, 8400, 84], (640, 640), 80, yolo('yolov8', 80, transposed=True)),
    ([1, 8400, 84], (640, 640), None, yolo('yolov5', 79)),
    ([1, 8400, 6], (640, 640), 2, yolo('yolov8', 2, transposed=True)),
    # YOLOv6, decoded YOLOX
    ([1, 8400, 85], (640, 640), 80, yolo('yolov5', 80)),
    ([1, 8400, 85], (640, 640), None, yolo('yolov5', 80)),
    ([1, 8400, 6], (640, 640), 1, yolo('yolov5', 1)),
    ([1, 3549, 85], (416, 416), None, yolo('yolov5', 80)),
    # yolov3-tiny, strides 16 and 32
    ([1, 2535, 85], (416, 416), 80, yolo('yolov5', 80)),
    ([1, 2535, 85], (416, 416), None, yolo('yolov5', 80)),
    ([1, 2535, 6], (416, 416), 1, yolo('yolov5', 1)),
    # YOLOv10 and YOLO11 with nms=True: only names give the number of classes
    ([1, 300, 6], (640, 640), 80, yolo('end_to_end', 80)),
    ([1, 300, 6], (640, 640), None, yolo('end_to_end', 0)),
    ([1, 300, 6], (640, 640), 1, yolo('end_to_end', 1)),
    ([1, 300, 6], (640, 640), 2, yolo('end_to_end', 2)),
    ([1, 100, 6], (416, 416), None, yolo('end_to_end', 0)),
    # torchvision, YOLOv5-cls, YOLOv8-cls; MobileNet's with 1x1 maps; cat or dog
    ([1, 1000], (224, 224), None, ClassificationHead('output0', 1000)),
    ([1, 1000], (224, 224), 1000, ClassificationHead('output0', 1000)),
    ([1, 1000, 1, 1], (224, 224), None, ClassificationHead('output0', 1000)),
    ([1, 2], (224, 224), None, ClassificationHead('output0', 2)),
])
def test_layouts(shape, size, names, expected):
    assert identify(shape, size=size, names=names) == expected


@pytest.mark.parametrize('shape, names, end_to_end, expected', [
    # Metadata can make [1, 300, 6] dense and [1, 25200, 6] end-to-end
    ([1, 300, 6], 1, False, yolo('yolov5', 1)),
    ([1, 25200, 6], 1, True, yolo('end_to_end', 1)),
    ([1, 25200, 6], None, True, yolo('end_to_end', 0)),
    ([1, 25200, 6], 1, False, yolo('yolov5', 1)),
])
def test_metadata_settles_one_class_or_end_to_end(shape, names, end_to_end, expected):
    assert identify(shape, names=names, end_to_end=end_to_end) == expected


@pytest.mark.parametrize('shape, wanted, names, expected', [
    ([1, 8400, 84], 'yolov8', None, yolo('yolov8', 80, transposed=True)),
    ([1, 84, 8400], 'yolov8', None, yolo('yolov8', 80)),
    ([1, 8400, 85], 'yolov5', None, yolo('yolov5', 80)),
    ([1, 8400, 85], 'yolov5', 3, yolo('yolov5', 80)),
    ([1, 25200, 6], 'end_to_end', None, yolo('end_to_end', 0)),
    ([1, 300, 6], 'yolov5', None, yolo('yolov5', 1)),
    ([1, 1000], 'classification', None, ClassificationHead('output0', 1000)),
])
def test_the_user_settles_it(shape, wanted, names, expected):
    assert identify(shape, wanted=wanted, names=names) == expected


RAW = [[1, 3, 80, 80, 85], [1, 3, 40, 40, 85], [1, 3, 20, 20, 85]]


@pytest.mark.parametrize('shapes', [
    RAW,
    [[*shape[:4], 6] for shape in RAW],  # one class
    [[1, 255, 80, 80], [1, 255, 40, 40], [1, 255, 20, 20]],  # before the reshape
    [[1, 255, 13, 13], [1, 255, 26, 26]],  # darknet's yolov3-tiny
    [[1, 144, 80, 80], [1, 144, 40, 40], [1, 144, 20, 20]],  # YOLOv8: 64 for the box, 80 classes
])
def test_raw_training_outputs_are_refused_with_the_command(shapes):
    with pytest.raises(ModelError) as error:
        identify(*shapes)
    message = str(error.value)
    assert 'raw training-time outputs' in message
    assert f'output1 {shapes[1]}' in message
    assert 'expected one decoded output [1, N, 5+C]' in message
    assert 'python export.py --weights yolov5s.pt --include onnx' in message
    # Maps with four dimensions may come from either.
    assert ('yolo export model=yolov8n.pt format=onnx' in message) == (len(shapes[0]) == 4)


@pytest.mark.parametrize('place', [0, 1, 3])
@pytest.mark.parametrize('classes', [80, 1])
def test_of_decoded_and_raw_outputs_the_decoded_one_counts(place, classes):
    # YOLOv5 before 6.2, YOLOv7 with --grid
    shapes = [[*shape[:4], 5 + classes] for shape in RAW]
    shapes.insert(place, [1, 25200, 5 + classes])
    assert identify(*shapes) == yolo('yolov5', classes, output=f'output{place}')


@pytest.mark.parametrize('shapes, size', [
    ([[1, 116, 8400], [1, 32, 160, 160]], (640, 640)),  # YOLOv8n-seg
    ([[1, 25200, 117], [1, 32, 160, 160]], (640, 640)),  # YOLOv5n-seg
    ([[1, 32, 160, 160], [1, 116, 8400]], (640, 640)),
])
@pytest.mark.parametrize('names', [None, 80])
def test_segmentation_is_refused(shapes, size, names):
    with pytest.raises(ModelError, match='segmentation model with mask prototypes in addition to boxes') as error:
        identify(*shapes, size=size, names=names)
    assert 'export the detection variant' in str(error.value)


@pytest.mark.parametrize('shapes, names, reason', [
    # DETR: logits and boxes
    ([[1, 100, 92], [1, 100, 4]], None, 'output0 [1, 100, 92], output1 [1, 100, 4]'),
    # RT-DETR from Ultralytics: boxes as fractions of the image
    ([[1, 300, 84]], 80, 'output0 [1, 300, 84] and 80 class names'),
    # torchvision's detectors, with any number of boxes
    ([[0, 4], [0], [0]], None, 'output0 [0, 4], output1 [0], output2 [0]'),
    # EfficientNMS_TRT
    ([[1, 1], [1, 100, 4], [1, 100], [1, 100]], None, 'more than one output could be the result'),
    # YOLOv7 with --end2end for ONNX Runtime
    ([[7, 7]], None, 'output0 [7, 7]'),
    # GoogLeNet with its auxiliary outputs
    ([[1, 1000], [1, 1000], [1, 1000]], None, 'more than one output could be the result'),
    # Semantic segmentation
    ([[1, 21, 520, 520]], None, 'output0 [1, 21, 520, 520]'),
    # A classifier for batches of 4
    ([[4, 1000]], None, 'output0 [4, 1000]'),
    ([[1000]], None, 'output0 [1000]'),
    ([[1, 4, 8400]], None, 'output0 [1, 4, 8400]'),
    ([], None, 'found no outputs'),
])
def test_unknown_layouts_are_refused_with_shapes_and_known_layouts(shapes, names, reason):
    with pytest.raises(ModelError) as error:
        identify(*shapes, names=names)
    message = str(error.value)
    assert reason in message
    assert message.endswith(
        'known layouts: classification [1, C]; YOLOv5 decoded [1, N, 5+C]; YOLOv8/11 [1, 4+C, N]; '
        'end-to-end [1, N, 6]')


@pytest.mark.parametrize('shape', [
    [1, 300, 38],  # YOLO11-seg with nms=True
    [1, 300, 57],  # YOLO11-pose with nms=True
    [1, 300, 7],  # YOLO11-obb with nms=True
])
def test_other_columns_after_nms_are_refused(shape):
    with pytest.raises(ModelError, match='unknown output layout: found'):
        identify(shape, names=1, end_to_end=True)


def test_a_single_score_is_refused_with_the_reason():
    with pytest.raises(ModelError, match=r'output \[1, 1\] is only one score, export the model with one'):
        identify([1, 1])


def test_a_classifier_may_have_feature_maps_beside():
    assert identify([1, 512, 7, 7], [1, 1000]) == ClassificationHead('output1', 1000)


@pytest.mark.parametrize('shape, wanted', [
    ([1, 1000], 'yolov5'), ([1, 1000], 'yolov8'), ([1, 84, 8400], 'classification'), ([1, 84, 8400], 'end_to_end')])
def test_a_head_that_does_not_fit_is_refused(shape, wanted):
    with pytest.raises(ModelError, match=f"head is set to '{wanted}'; known layouts"):
        identify(shape, wanted=wanted)


def test_an_unknown_head_names_the_known_ones():
    with pytest.raises(
            ModelError, match="head is 'ssd': expected one of auto, classification, yolov5, yolov8, end_to_end"):
        identify([1, 1000], wanted='ssd')
