"""The poses of an evaluation by descending score: what matching and curves need to know of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.metrics.average_precision import OKS_THRESHOLDS
from crowdbench.metrics.matching import Wishes, find_wishes
from crowdbench.metrics.slices import N_RANGES, Matched
from crowdbench.metrics.stored_arrays import Stored, pack, smallest
from crowdbench.structures import Array


class Ranked(NamedTuple):
    """The M poses of one evaluation, by descending score over the whole split.

    Attributes:
        image: (M,) image index.
        inside: (3, M) bool, whether the pose's own area is in each area range.
        counted: (C, M) bool, whether it counts in each choice of poses.
        wishes: the persons that each could match.
    """

    image: Array
    inside: Array
    counted: Array
    wishes: Wishes

    def arrays(self, n_persons: Array) -> dict[str, Array]:
        """Return the arrays that `read_ranked` needs.

        Args:
            n_persons: (I,) of each image.
        """
        pose, person, reached = self.wishes
        return {
            "image": smallest(self.image),
            "inside": pack(self.inside),
            "counted": pack(self.counted),
            "n_wishes": smallest(np.bincount(pose, minlength=len(self.image))),
            "person": smallest(person - _first(n_persons)[self.image[pose]]),
            "reached": smallest(reached),
        }


def rank(found: Matched, choices: list[int]) -> Ranked:
    """Return the poses that can change a number.

    Args:
        found: the match results of an evaluation.
        choices: the rows of its choices of poses that are kept.
    """
    place = np.empty(len(found.order), np.int64)
    place[found.order] = np.arange(len(found.order))
    wishes = find_wishes(found.pairs._replace(pose=place[found.pairs.pose]), OKS_THRESHOLDS)
    counted = found.counted[choices]
    used = np.logical_or.reduce(counted)
    wanting = np.flatnonzero(used[wishes.pose])
    wishes = Wishes(*(column[wanting] for column in wishes))
    # False positives below the last pose that could match lower nothing.
    used[wishes.pose[-1] + 1 if len(wanting) else 0 :] = False
    kept = np.flatnonzero(used)
    return Ranked(
        found.image[found.order][kept],
        found.inside[:, kept],
        counted[:, kept],
        wishes._replace(pose=(np.cumsum(used) - 1)[wishes.pose]),
    )


def read_ranked(stored: Stored, i: int, n_persons: Array) -> Ranked:
    """Return the poses of an evaluation as a file has them.

    Args:
        stored: the arrays of the file.
        i: number of the evaluation, which ends the names of its arrays.
        n_persons: (I,) of each image.

    Raises:
        KeyError, ValueError: if an array is not there or not what it must be.
    """
    image = stored.whole(f"image_{i}", (None,), most=len(n_persons) - 1)
    n_wishes = stored.whole(f"n_wishes_{i}", (len(image),))
    person = stored.whole(f"person_{i}", (int(n_wishes.sum()),))
    reached = stored.whole(f"reached_{i}", person.shape, most=2 ** len(OKS_THRESHOLDS) - 1)
    pose = np.repeat(np.arange(len(image)), n_wishes)
    if (person >= n_persons[image[pose]]).any():
        raise ValueError(f"person_{i} are not all in the images of their poses")
    person += _first(n_persons)[image[pose]]
    # A pose that wishes for one person twice would wait for itself for ever.
    if len(np.unique(np.stack([pose, person]), axis=1)[0]) < len(person):
        raise ValueError(f"person_{i} are not all different for each pose")
    return Ranked(
        image,
        stored.flags(f"inside_{i}", N_RANGES, len(image)),
        stored.flags(f"counted_{i}", None, len(image)),
        Wishes(pose, person, reached.astype(np.uint64)),
    )


def _first(n_persons: Array) -> Array:
    """Return the row of the first person of each image."""
    first: Array = np.cumsum(n_persons) - n_persons
    return first
