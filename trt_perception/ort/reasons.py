# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's error messages: the reason without C++ noise, and what the user can do.

A message looks like this, on one line:

    [ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:256
    onnxruntime::Model::Model(onnx::ModelProto&&, const PathString&, ...) Unsupported model IR version: 99, max ...

The place in the source and the signature may be longer than the reason, which comes last.
"""

from __future__ import annotations

import re

from ..errors import one_line, printable

_STATUS = re.compile(r'\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ')
_LOADING = re.compile(r'^Load model from .*? failed:')
_PLACE = re.compile(r'(?:[\w.+\-/]*/)?[\w\-]+\.(?:cc|cpp|cu|h|hpp):\d+ ')
# The name of a function, after its return type if there is one, up to the parenthesis of its parameters.
_SIGNATURE = re.compile(r'(?:[\w:<>,&*~]+ )*?[\w:<>,&*~]*::[\w:<>,&*~=+\-\[\]]+(?= ?\()')
_AFTER_PARAMETERS = re.compile(r'(?: (?:const|noexcept|override)\b|::<lambda|::operator\b| \[with )')
_NAME = re.compile(r'\w+(?: |$)')
# Longer texts are cut in the middle: the first words name the node, the last ones the fault.
_MOST, _END = 500, 300
# A model may have names of any length.
_READ = 20_000

_IR = re.compile(r'Unsupported model IR version: (\d+), max supported IR version: (\d+)')
_OPSET = re.compile(r'Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)')
_UNKNOWN = re.compile(r'is not a registered function/op|No Op registered for')
_PLUGIN = re.compile(r'\b\w+_TRT\b')
_NO_KERNEL = re.compile(r'Could not find an implementation for (\w+)')

# The first version of the onnxruntime package that reads an IR version and an opset; each was loaded with PyPI's
# wheels of 1.16 to 1.32.
_TESTED = '1.32'
_IR_SINCE = ((9, '1.16'), (10, '1.18'), (11, '1.23'), (13, '1.24'), (14, '1.32'))
_OPSET_SINCE = {
    'ai.onnx': (
        (19, '1.16'), (20, '1.17'), (21, '1.18'), (22, '1.21'), (23, '1.23'), (25, '1.24'), (26, '1.25'), (28, '1.32')),
    'ai.onnx.ml': ((3, '1.16'), (4, '1.17'), (5, '1.18')),
    'com.microsoft': ((1, '1.16'),)}
# The first version of the onnx package that writes an IR version (onnx.helper.VERSION_TABLE).
_ONNX_OF_IR = ((8, '1.10'), (9, '1.14'), (10, '1.16'), (11, '1.18'), (12, '1.19'), (13, '1.20'), (14, '1.23'))


def reason_of(error: object) -> str:
    """Return the reason in a message of ONNX Runtime, on one line and of at most about 500 characters."""
    text = _LOADING.sub('', _STATUS.sub('', _short(printable(one_line(error)), _READ)).strip(), count=1)
    text = _without_places(text).strip() or type(error).__name__
    opset = _OPSET.search(text)
    if opset:
        # The official text has 50 words about support that do not help.
        return f'opset {opset[1]} of {opset[2]} is too new, official support for {opset[2]} is till opset {opset[3]}'
    return _short(text, _MOST)


def remedy_of(error: object) -> str:
    """Return what the user can do about a model that ONNX Runtime does not load: '. Do this', or '' if unknown."""
    text = _short(one_line(error), _READ)
    found = _IR.search(text)
    if found:
        ir, most = int(found[1]), int(found[2])
        newer = _newer(_IR_SINCE, ir, f'IR version {ir}')
        return f'. {newer}{_older_onnx(most)}, or write IR version {most} into the file (see models/README.md)'
    found = _OPSET.search(text)
    if found:
        opset, domain, most = int(found[1]), found[2], int(found[3])
        newer = _newer(_OPSET_SINCE.get(domain, ()), opset, f'opset {opset} of {domain}')
        if domain == 'ai.onnx':
            return (
                f'. {newer}, or export the model with opset {most} or lower (Ultralytics: opset={min(most, 17)}; '
                f'torch.onnx.export: opset_version={min(most, 17)})')
        return f'. {newer}, or export the model with opset {most} of {domain} or lower'
    found = _NO_KERNEL.search(text)
    if _PLUGIN.search(text):
        # Usually EfficientNMS_TRT, from --end2end of YOLOv6 and YOLOv7.
        return (
            '. That operator is a plugin of TensorRT: set backend to tensorrt, or export without it (for NMS in the '
            'network: no --end2end)')
    if _UNKNOWN.search(text):
        return (
            '. That operator is not part of ONNX: export without it, or with a newer opset if it is an operator of '
            'ONNX')
    if found:
        return (
            '. The CPU has no code for that operator in this version or for these types: export the model in float32, '
            'with opset 13 or newer')
    return ''


def _newer(since: tuple[tuple[int, str], ...], wanted: int, what: str) -> str:
    version = next((version for number, version in since if number >= wanted), None)
    if version is None:
        return f'No version of onnxruntime up to {_TESTED} reads {what}: install a newer one if there is one'
    return f'Install onnxruntime {version} or newer, which reads {what}'


def _older_onnx(ir: int) -> str:
    version = next((version for number, version in _ONNX_OF_IR if number > ir), None)
    return '' if version is None else f", or export the model with an older onnx package (pip install 'onnx<{version}')"


def _short(text: str, most: int) -> str:
    """Return a text of at most about `most` characters, without its middle if it is longer."""
    end = most * _END // _MOST
    return text if len(text) <= most else f'{text[:most - end]} ... {text[-end:]}'


def _without_places(text: str) -> str:
    """Remove each place in the source, with the function that follows it."""
    kept, at = [], 0
    while found := _PLACE.search(text, at):
        kept.append(text[at:found.start()])
        at = _after_function(text, found.end())
    kept.append(text[at:])
    return ' '.join(part.strip() for part in kept if part.strip())


def _after_function(text: str, at: int) -> int:
    """Return where the function at `at` ends: a signature, a plain name, or nothing if there is no function."""
    signature = _SIGNATURE.match(text, at)
    if signature is None:
        name = _NAME.match(text, at)
        return name.end() if name else at
    end = _after_brackets(text, signature.end())
    while end is not None and (more := _AFTER_PARAMETERS.match(text, end)):
        # Brackets follow a lambda inside the function and the types of a template.
        end = _after_brackets(text, more.start()) if more[0][:2] in ('::', ' [') else more.end()
        if end is not None and text[end:].startswith('>'):
            end += 1
    return at if end is None else end


def _after_brackets(text: str, at: int) -> int | None:
    """Return where the bracket that opens at or after `at` is closed; None if it is not."""
    opening = next((index for index in range(at, len(text)) if text[index] in '(['), None)
    if opening is None:
        return None
    pair = {'(': ')', '[': ']'}[text[opening]]
    depth = 0
    for index in range(opening, len(text)):
        depth += (text[index] == text[opening]) - (text[index] == pair)
        if depth == 0:
            return index + 1
    return None
