"""How fast a predictor is: what goes into the environment part of a record."""

from __future__ import annotations

import statistics
import time

import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.errors import CrowdbenchError
from crowdbench.predictor import Predictor
from crowdbench.record import Speed
from crowdbench.running.feeding import Part, feeding, parts_of
from crowdbench.running.machine import Machine
from crowdbench.running.predict import Tally
from crowdbench.structures import Boxes

_WARM_UP = 2
# The latency is taken for so many seconds, but so many times at least and at most.
_SECONDS, _LEAST, _MOST = 1.0, 3, 50


def measure_latency(predictor: Predictor, split: Split, boxes: Boxes | None) -> list[float]:
    """Return how many seconds `Predictor.predict` takes, several times, after warming up.

    The input is the first box, or the first image where the predictor has no boxes or needs all
    boxes of an image; it has been read and prepared before. `Predictor.predict` returns arrays, so
    the device has finished by then. Empty if that image can't be read.
    """
    part = _first(predictor, split, boxes)
    if part is None:
        return []
    try:
        with feeding(predictor, split, boxes, [part], 0) as fed:
            batch = next(fed).batch
    except CrowdbenchError:
        return []
    if not len(batch.images):
        return []
    seconds: list[float] = []
    for i in range(_WARM_UP + _MOST):
        clock = time.perf_counter()
        predictor.predict(batch)
        if i >= _WARM_UP:
            seconds.append(time.perf_counter() - clock)
        if len(seconds) >= _LEAST and sum(seconds) > _SECONDS:
            break
    return seconds


def _first(predictor: Predictor, split: Split, boxes: Boxes | None) -> Part | None:
    if boxes is None:
        return Part(np.arange(1)) if len(split.images) else None
    whole_images = not predictor.settings.boxes_independent
    if not len(boxes.scores):
        return None
    image = int(boxes.image_index[0])
    return parts_of(image, image + 1, boxes, 1, whole_images)[0]


def describe_speed(
    predictor: Predictor, machine: Machine, tally: Tally, latency: list[float]
) -> Speed:
    """Return the speed of a prediction.

    Args:
        predictor: what predicted.
        machine: what it ran on.
        tally: what it predicted in this go, and the seconds.
        latency: what `measure_latency` returned; empty if it was not taken.
    """
    cost = predictor.cost()
    has_predicted = tally.images > 0 and tally.seconds > 0
    return Speed(
        device=machine.description,
        batch_size=machine.batch_size,
        workers=machine.workers,
        threads=machine.threads,
        images=tally.images,
        persons=tally.persons,
        seconds=round(tally.seconds, 3),
        network_seconds=round(tally.network_seconds, 3),
        images_per_second=round(tally.images / tally.seconds, 3) if has_predicted else None,
        persons_per_second=round(tally.persons / tally.seconds, 3) if has_predicted else None,
        latency_ms=round(1000 * statistics.median(latency), 3) if latency else None,
        latency_runs=len(latency),
        parameters=None if cost is None else cost.parameters,
        multiply_adds=None if cost is None else cost.multiply_adds,
        gflops=None if cost is None else round(cost.gflops, 3),
    )
