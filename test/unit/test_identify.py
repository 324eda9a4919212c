# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Identifies heads from output shapes of real exporters; the comments name the models."""

import pytest

from trt_perception.errors import ModelError
from trt_perception.model.heads.classification import ClassificationHead
from trt_perception.model.heads.evidence import HeadEvidence
from trt_perception.model.heads.identify import KNOWN_LAYOUTS, identify_head, rival_head
from trt_perception.model.heads.yolo import YoloHead


def evidence_of(*shapes, size=(640, 640), names=None, end_to_end=None, outputs=(), types=(), metadata=None):
    """Outputs are output0, output1, ... if `outputs` does not name them; `types` are their element types."""
    outputs = outputs or [f'output{i}' for i in range(len(shapes))]
    return HeadEvidence(
        tuple((name, tuple(shape)) for name, shape in zip(outputs, shapes)), size, names, end_to_end,
        dict(zip(outputs, types)), metadata or {})


def identify(*shapes, wanted='auto', **facts):
    return identify_head(evidence_of(*shapes, **facts), wanted)


def identify_named(described, names=None, metadata=None):
    """Identify outputs that are described as 'logits [1, 10], features [1, 64]'."""
    found = [part.replace(']', '').split(' [') for part in described.split('], ')]
    shapes = [[int(size) for size in shape.split(',')] for _, shape in found]
    return identify(*shapes, outputs=[name for name, _ in found], names=names, metadata=metadata)


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
    # Transposed YOLOv8: class names distinguish it from YOLOv6; without names the graph (test_onnx_columns.py)
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
    # Without the batch dimension; channels last
    ([1000], (224, 224), None, ClassificationHead('output0', 1000)),
    ([1, 1, 1, 1000], (224, 224), None, ClassificationHead('output0', 1000)),
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
    assert 'raw training-time outputs, which is not supported' in message
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


KNOWN = KNOWN_LAYOUTS


@pytest.mark.parametrize('shapes, reason', [
    # A classifier for batches of 4
    ([[4, 1000]], 'output0 [4, 1000]'),
    ([[1, 4, 8400]], 'output0 [1, 4, 8400]'),
    # A detector with one more output that is not known
    ([[1, 84, 8400], [1, 7, 3]], "if only 'output0' is the result, set output_name to it"),
    # YOLOv8 with its raw maps
    ([[1, 84, 8400], [1, 144, 80, 80], [1, 144, 40, 40], [1, 144, 20, 20]], "if only 'output0' is the result"),
    ([], 'found no outputs'),
])
def test_unknown_layouts_are_refused_with_shapes_and_known_layouts(shapes, reason):
    with pytest.raises(ModelError) as error:
        identify(*shapes)
    message = str(error.value)
    assert message.startswith('unknown output layout: found ')
    assert reason in message
    assert message.endswith(KNOWN)


YOLO = 'export a YOLO detector: yolo export model=yolo11n.pt format=onnx'


@pytest.mark.parametrize('outputs, names, family, advice', [
    ('dets [1, 100, 5], labels int64 [1, 100]', None, 'a detector of MMDetection as exported by MMDeploy', YOLO),
    ('dets [100, 5], labels int64 [100]', None, 'a detector of MMDetection as exported by MMDeploy', YOLO),
    ('multiclass_nms3_0.tmp_0 [0, 6], multiclass_nms3_0.tmp_2 int32 [1]', None, 'a detector of PaddleDetection', YOLO),
    ('output [1, 85, 25200]', None, 'YOLOv5 or v7, three boxes for each cell, with its last two axes exchanged',
     'without the Transpose'),
    ('output [1, 85, 25200]', 80, 'YOLOv5 or v7, three boxes for each cell', 'without the Transpose'),
    ('grid [1, 125, 13, 13]', None, 'YOLOv2 or YOLOv3 with its raw grid', YOLO),
    ('output [1, 112, 8400]', 48, 'YOLOv8 or later without box decoding', 'yolo export model=yolov8n.pt'),
    ('output [1, 21, 520, 520]', None, 'a network whose output is a picture', 'expected a detection or classification'),
    ('depth [1, 320, 320]', None, 'a network whose output is a picture', 'expected a detection or classification'),
    ('out [1, 3, 1280, 1280]', None, 'a network whose output is a picture', 'expected a detection or classification'),
    ('label int64 [1, 1]', None, 'a classifier that gives only the index of the best class', 'without ArgMax'),
    ('label int64 [1]', None, 'a classifier that gives only the index of the best class', 'without ArgMax'),
])
def test_models_of_other_families_are_refused_by_name_with_what_to_export(outputs, names, family, advice):
    found = [part.replace(']', '').split(' [') for part in outputs.split('], ')]
    shapes = [[int(size) for size in shape.split(',')] for _, shape in found]
    described = [name.split() for name, _ in found]
    with pytest.raises(ModelError) as error:
        identify(*shapes, names=names, outputs=[name[0] for name in described],
                 types=[[*name, 'float32'][1] for name in described])
    message = str(error.value)
    assert message.startswith(f'this looks like {family}')
    assert f'which is not supported: found {outputs}' in message
    assert advice in message
    assert message.endswith(KNOWN)


@pytest.mark.parametrize('columns', [38, 57, 7])  # YOLO11-seg, -pose and -obb with nms=True
def test_other_columns_after_nms_are_refused(columns):
    with pytest.raises(ModelError, match=r'a model with NMS and further columns: .*\[1, 300, \d+\].*detection variant'):
        identify([1, 300, columns], names=1, end_to_end=True)


@pytest.mark.parametrize('metadata, shape, names, end_to_end, family', [
    ({'head': 'Pose26'}, [1, 56, 8400], 1, False, r'a pose model of Ultralytics \(head: Pose26 in its metadata\)'),
    ({'head': 'OBB'}, [1, 20, 8400], 15, False, 'an oriented-box model of Ultralytics'),
    ({'head': 'Segment'}, [1, 116, 8400], None, None, 'a segmentation model of Ultralytics'),
])
def test_metadata_names_the_family(metadata, shape, names, end_to_end, family):
    with pytest.raises(ModelError, match=f'this looks like {family}.*which is not supported: found output0'):
        identify(shape, names=names, end_to_end=end_to_end, metadata=metadata)


@pytest.mark.parametrize('head', ['Detect', 'v10Detect', 'WorldDetect', 'Classify'])
def test_metadata_of_known_heads_is_accepted(head):
    assert identify([1, 84, 8400], names=80, end_to_end=False, metadata={'head': head}) == yolo('yolov8', 80)


def test_text_of_the_file_cannot_forge_lines():
    with pytest.raises(ModelError) as error:
        identify([7, 3], outputs=['a\n\x1b[31mERROR'])
    assert '\n' not in str(error.value) and '\x1b' not in str(error.value)


# Element types


@pytest.mark.parametrize('shape, kind, remedy', [
    ([1, 84, 8400], 'uint8',
     'quantised values, and neither the graph nor the metadata say what they stand for: write scale and zero point'),
    ([1, 84, 8400], 'int8', 'these are quantised values'),
    ([1, 1000], 'int8', 'these are quantised values'),
    ([1, 1000], 'int64', 'without ArgMax'),
    ([1, 300, 6], 'int32', 'expected float32 or float16'),
    ([1, 84, 8400], 'bfloat16', 'expected float32 or float16'),
])
def test_element_types_that_no_head_reads_are_refused(shape, kind, remedy):
    with pytest.raises(ModelError) as error:
        identify(shape, types=[kind])
    assert str(error.value).startswith(f"output 'output0' {shape} has the element type {kind}: expected float32")
    assert remedy in str(error.value)


def test_a_label_beside_the_probabilities_is_not_the_result():
    assert identify([1], [1, 10], types=['int64', 'float32']) == ClassificationHead('output1', 10)


# Two heads that fit


@pytest.mark.parametrize('shape, size, names, end_to_end, rival', [
    # 320x192: 1260 / 4.2 = 300 cells of the strides 16 and 32
    ([1, 300, 6], (320, 192), None, None, yolo('end_to_end', 0)),
    ([1, 300, 6], (320, 192), 1, None, yolo('end_to_end', 1)),
    ([1, 300, 6], (320, 192), 2, None, yolo('end_to_end', 2)),
    ([1, 84, 6], (64, 64), None, None, yolo('end_to_end', 0)),
    # The metadata decides, the names decide, the number of rows decides.
    ([1, 300, 6], (320, 192), 1, False, None),
    ([1, 300, 6], (320, 192), 80, None, None),
    ([1, 25200, 6], (640, 640), None, None, None),
    ([1, 300, 6], (640, 640), None, None, None),
    ([1, 84, 84], (64, 64), None, None, None),
    ([1, 1000], (224, 224), None, None, None),
])
def test_the_head_that_fits_as_well(shape, size, names, end_to_end, rival):
    evidence = evidence_of(shape, size=size, names=names, end_to_end=end_to_end)
    assert rival_head(identify_head(evidence), evidence) == rival
    assert rival_head(identify_head(evidence), evidence, 'yolov5') is None


def test_a_single_score_is_refused_with_the_reason():
    with pytest.raises(ModelError, match=r'output \[1, 1\] is only one number: .* set head to binary'):
        identify([1, 1])


@pytest.mark.parametrize('outputs, names, expected', [
    # Auxiliary classifiers, as exporters name them.
    ('logits [1, 1000], aux_logits1 [1, 1000], aux_logits2 [1, 1000]', None, 'logits'),
    ('loss1/aux [1, 1000], loss3/classifier [1, 1000]', 1000, 'loss3/classifier'),
    ('InceptionV3/AuxLogits/SpatialSqueeze:0 [1, 1001], InceptionV3/Predictions/Reshape_1:0 [1, 1001]', None,
     'InceptionV3/Predictions/Reshape_1:0'),
    # Features and embeddings, also of the size of the scores.
    ('495 [1, 1000], features [1, 2048]', None, '495'),
    ('pooler_output [1, 768], logits [1, 768]', None, 'logits'),
    ('embedding [1, 128, 1, 1], out_cls [1, 10]', None, 'out_cls'),
    ('probabilities [1, 10], 77 [1, 10]', None, 'probabilities'),
    ('77 [1, 64], output [1, 10]', None, 'output'),
    # The same scores before and after their softmax.
    ('logits [1, 10], probs [1, 10]', None, 'probs'),
    ('output_1 [1, 10], logits [1, 10]', None, 'logits'),
    # The number of class names decides if words do not.
    ('color [1, 12], type [1, 11]', 11, 'type'),
    ('aux_type [1, 11], color [1, 12], type [1, 11]', 11, 'type'),
    ('scores [1, 12], 80 [1, 11]', 11, '80')])
def test_the_scores_of_a_classifier_with_several_outputs(outputs, names, expected):
    assert identify_named(outputs, names).output_name == expected


@pytest.mark.parametrize('outputs, names, reason', [
    # GoogLeNet with its auxiliary outputs, without names
    ('1 [1, 1000], 2 [1, 1000]', None, 'their names and sizes do not show which one: set output_name to one of 1, 2'),
    ('color [1, 12], type [1, 11]', None, 'do not show which one'),
    ('color_logits [1, 12], type_logits [1, 11]', None, 'do not show which one'),
    ('logits_a [1, 12], probs_b [1, 11]', None, 'do not show which one'),
    ('color [1, 11], type [1, 11]', 11, 'do not show which one'),
    ('color [1, 12], type [1, 11]', 5, 'none of them has the size 5, the number of class names')])
def test_outputs_that_do_not_show_which_one_holds_the_scores(outputs, names, reason):
    with pytest.raises(ModelError) as error:
        identify_named(outputs, names)
    assert str(error.value).startswith(f'2 outputs could be the scores of a classifier: {outputs}; ')
    assert reason in str(error.value)


def test_the_metadata_name_the_output_of_a_classifier():
    outputs = 'color [1, 12], type [1, 11], size [1, 3]'
    assert identify_named(outputs, metadata={'trt_perception.output_name': 'type'}).output_name == 'type'
    with pytest.raises(ModelError, match="names 'kind', which is none of them: set output_name to one of color, type"):
        identify_named(outputs, metadata={'trt_perception.output_name': 'kind'})


def test_a_classifier_may_have_feature_maps_beside():
    assert identify([1, 512, 7, 7], [1, 1000]) == ClassificationHead('output1', 1000)


@pytest.mark.parametrize('shape, wanted', [
    ([1, 1000], 'yolov5'), ([1, 1000], 'yolov8'), ([1, 84, 8400], 'classification'), ([1, 84, 8400], 'end_to_end')])
def test_a_head_that_does_not_fit_is_refused(shape, wanted):
    with pytest.raises(ModelError, match=f"head is set to '{wanted}'; known layouts"):
        identify(shape, wanted=wanted)


def test_an_unknown_head_names_the_known_ones():
    with pytest.raises(
            ModelError, match="head is 'ssd': expected one of auto, classification, binary, yolov5, yolov8,"):
        identify([1, 1000], wanted='ssd')
