"""A base and refiners in a file of a user's own, for the tests of ``--base``."""

from __future__ import annotations

CODE = """
from dataclasses import replace
from pathlib import Path

import numpy as np
from crowdbench.card import Card, Option
from crowdbench.errors import UsageError
from crowdbench.merging import Merging
from crowdbench.predictor import Predictor, Settings, poses_of
from crowdbench.refiner import Refiner


class Base(Predictor):
    '''The truth of each box, moved, twice.'''

    card = Card(
        "made", "", skeletons=("coco-17",), needs_images=False, images_per_shard=3,
        needs_weights=True, options=(Option("move", ("N",), "By.", ("0", "4")),),
    )

    def __init__(self, request):
        self.by = int(request.options.get("move", "0"))
        self.settings = Settings(
            request.boxes.source, "box", Merging("oks-nms", 0.9), "box",
            precision=request.precision, options={"move": str(self.by)},
        )

    def load(self, device, weights):
        with open("loads.txt", "a") as file:
            print("made", weights, file=file)

    def predict(self, batch):
        boxes, truth = batch.boxes, batch.split.truth
        if batch.images[0] >= 6 and Path("interrupt").exists():
            raise KeyboardInterrupt
        rows = np.repeat(np.arange(len(boxes.scores)), 2)
        points = truth.keypoints[_persons(truth, boxes)][rows, :, :2] + self.by
        second = np.arange(len(rows)) % 2
        return poses_of(
            boxes, points + 1e-3 * second[:, None, None], np.ones(points.shape[:2]),
            boxes.scores[rows] - 0.01 * second, rows=rows, areas=np.full(len(rows), 1e4),
        )


def _persons(truth, boxes):
    gaps = np.abs(truth.boxes - boxes.boxes[:, None]).sum(2)
    other = truth.image_index != boxes.image_index[:, None]
    return np.where(other, np.inf, gaps).argmin(1)


class Shift(Refiner):
    '''Moves everybody to the right, by the more the more persons there are.'''

    card = Card(
        "shift", "to the right", skeletons=("coco-17", "mupots-17"), needs_images=False,
        needs_boxes=False, refines=True, options=(Option("by", ("N",), "Px.", ("1", "8")),),
    )

    def __init__(self, request):
        self.by = request.options.get("by", "1")
        if not self.by.isdecimal():
            raise UsageError(f"by is {self.by!r}, expected a number")
        super().__init__(request, options={"by": self.by})

    def refine(self, split, poses):
        n = np.bincount(poses.image_index)[poses.image_index]
        move = (int(self.by) * n)[:, None]
        points, joints = poses.keypoints.copy(), poses.joints_mm
        points[..., 0] += move
        if joints is not None:
            joints = joints.copy()
            joints[:, :5, 0] += move
        return replace(poses, keypoints=points, joints_mm=joints)


class Heavy(Shift):
    card = Card(
        "heavy", "", skeletons=("coco-17",), refines=True, needs_weights=True,
        options=Shift.card.options,
    )

    def load(self, device, weights):
        super().load(device, weights)
        with open("loads.txt", "a") as file:
            print("heavy", weights, file=file)


class Loses(Shift):
    def refine(self, split, poses):
        return poses.take(slice(1, None))


class Unsaid(Predictor):
    card = Card("unsaid", "", refines=True)

    def __init__(self, request): ...

    def predict(self, batch): ...
"""
SHIFT, MADE, HEAVY = "mine.py:Shift", "mine.py:Base", "mine.py:Heavy"
