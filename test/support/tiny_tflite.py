# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Real .tflite files of a few kB, for tests: the colour detector and the colour classifier of tiny_models.py.

They are written with the FlatBuffer schema in the package ai-edge-litert, so a test that writes one needs it.
"""

import io
import json
import zipfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from support.tiny_models import CELL, COEFFICIENTS, COLORS, cells

TYPES = {
    'float32': schema.TensorType.FLOAT32, 'int8': schema.TensorType.INT8, 'uint8': schema.TensorType.UINT8,
    'int32': schema.TensorType.INT32}
ULTRALYTICS = {'names': dict(enumerate(COLORS)), 'task': 'detect', 'stride': 8, 'author': 'Ultralytics'}


class Writer:
    """Builds a model of one subgraph. quantisation: (scale, zero point)."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = 'tiny'
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.name = 'main'
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, shape, dtype='float32', quantisation=None, value=None, signature=None):
        """Add a tensor, with a value if it is constant; return its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), TYPES[dtype], 0
        if signature is not None:
            tensor.shapeSignature = list(signature)
        if quantisation is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantisation[0]], [quantisation[1]]
        if value is not None:
            self.model.buffers.append(self.buffer(np.ascontiguousarray(value, dtype).tobytes()))
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def buffer(self, content):
        """Return a buffer of these bytes."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        return buffer

    def operator(self, kind, inputs, outputs, options=None, version=1):
        """Add an operator, such as 'RESHAPE'; options: the schema's object, such as ReshapeOptionsT."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            name = type(options).__name__[:-1]
            operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, name), options
        self.graph.operators.append(operator)

    def save(self, path, inputs, outputs, own=None, files=None):
        """Write the file. own: TensorFlow Lite's metadata; files: name -> text, appended as a ZIP archive."""
        self.graph.inputs, self.graph.outputs = inputs, outputs
        if own is not None:
            self.model.buffers.append(self.buffer(own))
            entry = schema.MetadataT()
            entry.name, entry.buffer = 'TFLITE_METADATA', len(self.model.buffers) - 1
            self.model.metadata = [entry]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b'TFL3')
        path.write_bytes(with_files(bytes(builder.Output()), files or {}))
        return path


def with_files(content, files):
    """Return the bytes of a model with files appended as a ZIP archive."""
    if not files:
        return content
    whole = io.BytesIO(content)
    with zipfile.ZipFile(whole, 'a') as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return whole.getvalue()


def pooling(width, height):
    """Options of an average pooling without padding."""
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideW = options.filterWidth = width
    options.strideH = options.filterHeight = height
    options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    return options


def color_detector(path, width=64, height=64, quantised=False, fractions=True, files='ultralytics', own=None):
    """The colour detector, NHWC, in the layout of YOLOv8, [1, 7, cells].

    quantised: int8 input and output; fractions: boxes as fractions of the input, as Ultralytics writes them
    """
    count = (width // CELL) * (height // CELL)
    boxes = cells(width, height)[np.newaxis]
    if fractions:
        boxes = boxes / np.array([width, height, width, height], np.float32)[:, np.newaxis]
    # Scores are fractions too. Boxes in pixels have no scale in common with them, so those are not quantised here.
    kind, scale = ('int8', (1 / 255, -128)) if quantised else ('float32', None)
    stored = np.clip(np.rint(boxes * 255) - 128, -128, 127) if quantised else boxes
    writer = Writer()
    image = writer.tensor('images', [1, height, width, 3], kind, scale)
    means = writer.tensor('means', [1, height // CELL, width // CELL, 3], kind, scale)
    writer.operator('AVERAGE_POOL_2D', [image], [means], pooling(CELL, CELL), 2 if quantised else 1)
    flat = writer.tensor('flat', [1, count, 3], kind, scale)
    shape = writer.tensor('shape', [3], 'int32', value=[1, count, 3])
    reshape = schema.ReshapeOptionsT()
    reshape.newShape = [1, count, 3]
    writer.operator('RESHAPE', [means, shape], [flat], reshape)
    scores = writer.tensor('scores', [1, 3, count], kind, scale)
    order = writer.tensor('order', [3], 'int32', value=[0, 2, 1])
    writer.operator('TRANSPOSE', [flat, order], [scores], schema.TransposeOptionsT(), 2 if quantised else 1)
    constant = writer.tensor('boxes', [1, 4, count], kind, scale, stored)
    output = writer.tensor('output0', [1, 7, count], kind, scale)
    concatenation = schema.ConcatenationOptionsT()
    concatenation.axis = 1
    writer.operator('CONCATENATION', [constant, scores], [output], concatenation, 2 if quantised else 1)
    if files == 'ultralytics':
        files = {'metadata.json': json.dumps({**ULTRALYTICS, 'imgsz': [height, width]})}
    return writer.save(path, [image], [output], own, files)


def three_prototypes(path, width=64, height=64, head='yolov8', channels_last=True, fractions=True, task='segment'):
    """tiny_models.three_prototypes, NHWC, as Ultralytics and YOLOv5 export it.

    Ultralytics: prototypes first, [1, h, w, 3], then the candidates, [1, 4 + 3 + 3, cells]. YOLOv5 (head 'yolov5'): the
    candidates, [1, cells, 5 + 3 + 3], then the prototypes, turned to [1, 3, h, w] (channels_last False).
    """
    count = (width // CELL) * (height // CELL)
    boxes = cells(width, height).T[np.newaxis]
    if fractions:
        boxes = boxes / np.array([width, height, width, height], np.float32)
    if head == 'yolov5':
        boxes = np.concatenate([boxes, np.ones((1, count, 1), np.float32)], axis=2)
    writer = Writer()
    image = writer.tensor('images', [1, height, width, 3])
    means = writer.tensor('means', [1, height // CELL, width // CELL, 3])
    writer.operator('AVERAGE_POOL_2D', [image], [means], pooling(CELL, CELL))
    flat = writer.tensor('flat', [1, count, 3])
    shape = writer.tensor('shape', [3], 'int32', value=[1, count, 3])
    reshape = schema.ReshapeOptionsT()
    reshape.newShape = [1, count, 3]
    writer.operator('RESHAPE', [means, shape], [flat], reshape)
    boxes = writer.tensor('boxes', boxes.shape, value=boxes)
    coefficients = writer.tensor(
        'coefficients', [1, count, 3], value=np.tile(np.float32(COEFFICIENTS), (1, count, 1)))
    columns = 11 if head == 'yolov5' else 10
    rows = writer.tensor('StatefulPartitionedCall:0' if head == 'yolov5' else 'rows', [1, count, columns])
    concatenation = schema.ConcatenationOptionsT()
    concatenation.axis = 2
    writer.operator('CONCATENATION', [boxes, flat, coefficients], [rows], concatenation)
    small = writer.tensor('small', [1, height // 4, width // 4, 3])
    writer.operator('AVERAGE_POOL_2D', [image], [small], pooling(4, 4))
    limit = writer.tensor('limit', [1], value=[0.1])
    prototypes = writer.tensor('PartitionedCall:1', [1, height // 4, width // 4, 3])
    writer.operator('SUB', [small, limit], [prototypes], schema.SubOptionsT())
    if not channels_last:
        turned = writer.tensor('StatefulPartitionedCall:1', [1, 3, height // 4, width // 4])
        order = writer.tensor('order', [4], 'int32', value=[0, 3, 1, 2])
        writer.operator('TRANSPOSE', [prototypes, order], [turned], schema.TransposeOptionsT())
        prototypes = turned
    outputs = [rows, prototypes]
    if head != 'yolov5':
        candidates = writer.tensor('PartitionedCall:0', [1, columns, count])
        across = writer.tensor('across', [3], 'int32', value=[0, 2, 1])
        writer.operator('TRANSPOSE', [rows, across], [candidates], schema.TransposeOptionsT())
        outputs = [prototypes, candidates]
    metadata = {**ULTRALYTICS, 'task': task, 'imgsz': [height, width]}
    if head == 'yolov5':
        # YOLOv5 writes these two alone, as a Python dict.
        values = {'stride': 8, 'names': ULTRALYTICS['names']}
        return writer.save(path, [image], outputs, files={'temp_meta.txt': repr(values)})
    return writer.save(path, [image], outputs, files={'metadata.json': json.dumps(metadata)})


def color_classifier(path, size=(16, 16), dtype='float32', quantisation=None, own=None, files=None):
    """The mean of each channel as [1, 3]; size: height, width."""
    writer = Writer()
    image = writer.tensor('images', [1, *size, 3], dtype, quantisation)
    means = writer.tensor('means', [1, 1, 1, 3], dtype, quantisation)
    writer.operator('AVERAGE_POOL_2D', [image], [means], pooling(size[1], size[0]), 2 if dtype == 'int8' else 1)
    logits = writer.tensor('logits', [1, 3], dtype, quantisation)
    shape = writer.tensor('shape', [2], 'int32', value=[1, 3])
    reshape = schema.ReshapeOptionsT()
    reshape.newShape = [1, 3]
    writer.operator('RESHAPE', [means, shape], [logits], reshape)
    return writer.save(path, [image], [logits], own, files)


def own_metadata(mean=(), std=(), labels='', labels_type=2):
    """TensorFlow Lite's metadata: the normalisation of the input and the name of the label file of the output."""
    b = flatbuffers.Builder(256)

    def table(**fields):
        b.StartObject(8)
        for name, value in fields.items():
            slot = int(name[1:])
            (b.PrependUOffsetTRelativeSlot if name[0] == 'o' else b.PrependUint8Slot)(slot, value, 0)
        return b.EndObject()

    def tables(*offsets):
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    fields = {}
    if mean:
        means, stds = (b.CreateNumpyVector(np.asarray(values, np.float32)) for values in (mean, std))
        unit = table(u0=1, o1=table(o0=means, o1=stds))
        fields['o2'] = tables(table(o4=tables(unit)))
    if labels:
        name = b.CreateString(labels)
        fields['o3'] = tables(table(o6=tables(table(o0=name, u2=labels_type))))
    root = table(o3=tables(table(**fields)))
    b.Finish(root, b'M001')
    return bytes(b.Output())
