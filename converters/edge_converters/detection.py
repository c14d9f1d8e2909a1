"""Mean average precision of a detector at IoU 0.5, from its boxes and scores before suppression. Pure.

M. Everingham et al., "The PASCAL Visual Object Classes Challenge", International Journal of Computer Vision 88, 2010,
303-338, with the area under every step of the precision. Simple on purpose: no crowds, no difficult objects, no sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SAME: Final = 0.5
"""Boxes with at least this intersection over union are one object: for suppression and against truth."""
LEAST_SCORE: Final = 0.05
"""Lower ones move the area by next to nothing and take most of the time."""
MOST_BOXES: Final = 200
"""In one picture, of one class, the best by score."""


@dataclass(frozen=True)
class Found:
    """What was found in one picture. `scores` [k], their `classes` [k], whether each `hit` [k]; `objects` by class."""

    scores: Array
    classes: Array
    hit: Array
    objects: Array


def find(scores: Array, boxes: Array, truth: Array) -> Found:
    """In one picture: `scores` [anchors, classes], `boxes` [anchors, 4] as left, top, right, bottom in truth's unit.

    `truth` [m, 5] holds class, left, top, right, bottom; a class below 0 is no object.
    """
    true = truth[truth[:, 0] >= 0]
    parts = []
    for label in range(scores.shape[1]):
        column = scores[:, label]
        order = np.argsort(-column, kind="stable")[:MOST_BOXES]
        kept = suppress(boxes[order[column[order] >= LEAST_SCORE]])
        best = order[kept]
        hit = _match(boxes[best], true[true[:, 0] == label, 1:])
        parts.append((column[best], np.full(len(best), label), hit))
    told, labels, hits = (np.concatenate(each) for each in zip(*parts, strict=True))
    objects = np.bincount(true[:, 0].astype(np.intp), minlength=scores.shape[1])
    return Found(told, labels, hits, objects)


def mean_average_precision(pictures: Sequence[Found]) -> float:
    """The mean over the classes that occur in truth; without any object, 1 less the share of pictures with a find."""
    objects = np.sum([each.objects for each in pictures], axis=0)
    scores, classes, hit = (
        np.concatenate([getattr(each, name) for each in pictures]) for name in ("scores", "classes", "hit")
    )
    if not objects.any():
        return 1 - float(np.mean([(each.scores >= 0.5).any() for each in pictures]))
    present = np.flatnonzero(objects)
    return float(np.mean([_average(scores[classes == k], hit[classes == k], int(objects[k])) for k in present]))


def suppress(boxes: Array) -> Array:
    """The places of boxes [k, 4], best first, that overlap none kept before them."""
    overlaps = overlap(boxes, boxes)
    kept = np.zeros(len(boxes), np.bool_)
    for place in range(len(boxes)):
        kept[place] = not (overlaps[place, kept] > SAME).any()
    return np.flatnonzero(kept)


def overlap(one: Array, other: Array) -> Array:
    """Intersection over union of each box with each, [k, m]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(each[:, 2:] - each[:, :2], 0, None).prod(axis=1) for each in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    shares: Array = np.divide(shared, union, out=np.zeros_like(shared, np.float64), where=union > 0)
    return shares


def _match(boxes: Array, true: Array) -> Array:
    """Whether each box, best first, is the first on an object."""
    overlaps = overlap(boxes, true)
    hit = np.zeros(len(boxes), np.bool_)
    for place in range(len(boxes)) if len(true) else ():
        best = int(overlaps[place].argmax())
        if overlaps[place, best] >= SAME:
            hit[place] = True
            overlaps[:, best] = 0
    return hit


def _average(scores: Array, hit: Array, objects: int) -> float:
    right = hit[np.argsort(-scores, kind="stable")].cumsum()
    precision = right / np.arange(1, len(right) + 1)
    recall = np.r_[0.0, right / objects]
    ceiling = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * ceiling).sum())
