# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the scores of a classifier that has several outputs with one number per class.

Such outputs are the logits of auxiliary classifiers (GoogLeNet, Inception), features or an embedding, and the same
scores once more before their softmax. Two classifications of different things are left to the user.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import ModelError, printable
from .classification import ClassificationHead
from .evidence import HeadEvidence

# The name of an output, in the metadata of the file.
METADATA_KEY = 'trt_perception.output_name'
# Words in the names of outputs. An embedding is no result, and an auxiliary classifier is for the training.
_AUXILIARY = frozenset({'aux', 'auxiliary'})
_FEATURES = frozenset({
    'feature', 'features', 'feat', 'feats', 'embedding', 'embeddings', 'embed', 'embeds', 'hidden', 'pool', 'pooled',
    'pooler', 'penultimate', 'latent', 'representation'})
# Of two equally good outputs the first of these counts: the scores are already in 0..1 there.
_SCORES = (
    frozenset({'prob', 'probs', 'probability', 'probabilities', 'softmax', 'sigmoid', 'score', 'scores'}),
    frozenset({'logit', 'logits', 'prediction', 'predictions', 'pred', 'preds'}),
    frozenset({'output', 'out', 'result'}))


def is_list(shape: tuple[int, ...]) -> bool:
    """Return whether it is one number per class: [1, C], [C], [1, C, 1, 1] or [1, 1, 1, C]."""
    return len(shape) in (1, 2, 4) and max(shape) > 1 and (len(shape) == 1 or shape[0] == 1) and (
        sum(size != 1 for size in shape) == 1)


def scores_among(heads: Sequence[ClassificationHead], evidence: HeadEvidence) -> ClassificationHead:
    """Return the head that reads the scores. Raises ModelError, which lists the outputs, if it is not clear.

    heads: those of the outputs with one number per class, at least two
    The file's metadata decide. Otherwise outputs named as auxiliary or as features are left out, then those whose size
    is not the number of class names, then those without the name of scores.
    """
    said = evidence.metadata.get(METADATA_KEY, '')
    if said:
        for head in heads:
            if head.output_name == said:
                return head
        raise _unclear(heads, evidence, f"the metadata {METADATA_KEY} names '{printable(said)}', which is none of them")
    left = [head for head in heads if not _words(head.output_name) & (_AUXILIARY | _FEATURES)] or list(heads)
    named = [head for head in left if head.num_classes == evidence.num_names]
    if evidence.num_names is not None and not named:
        raise _unclear(heads, evidence, f'none of them has the size {evidence.num_names}, the number of class names')
    left = named or left
    if len(left) == 1:
        return left[0]
    same_size = len({head.num_classes for head in left}) == 1
    found = [[head for head in left if _words(head.output_name) & words] for words in _SCORES]
    for group in found if same_size else [found[0] + found[1], found[2]]:
        if len(group) == 1:
            return group[0]
        if group:
            break
    raise _unclear(heads, evidence, 'their names and sizes do not show which one')


def further_lists(outputs: Sequence[tuple[str, tuple[int, ...]]], head: ClassificationHead) -> list[str]:
    """Return the names of the other outputs with one number per class."""
    return [name for name, shape in outputs if name != head.output_name and is_list(shape)]


def _words(name: str) -> frozenset[str]:
    """Return the words of a name such as 'InceptionV3/AuxLogits:0': inception, v, aux, logits."""
    return frozenset(word.lower() for word in re.findall(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+', name))


def _unclear(heads: Sequence[ClassificationHead], evidence: HeadEvidence, reason: str) -> ModelError:
    shapes = dict(evidence.outputs)
    listed = ', '.join(f'{printable(head.output_name)} {list(shapes[head.output_name])}' for head in heads)
    names = ', '.join(printable(head.output_name) for head in heads)
    return ModelError(
        f'{len(heads)} outputs could be the scores of a classifier: {listed}; {reason}: set output_name to one of '
        f'{names}, or write it into the metadata {METADATA_KEY}')
