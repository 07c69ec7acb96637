"""2D metrics of a split whose images can be drawn again.

Kept are not the matches, of which every slice, area range and OKS threshold has its own, but what
they follow from: which persons each pose could match. They are made anew when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_array

from crowdbench.metrics.average_precision import OKS_THRESHOLDS
from crowdbench.metrics.catalogue import LEVEL_METRICS
from crowdbench.metrics.evaluation import Evaluation
from crowdbench.metrics.matching import Matches, match_wishes
from crowdbench.metrics.per_keypoint import KeypointSums
from crowdbench.metrics.ranked_poses import Ranked, rank, read_ranked
from crowdbench.metrics.sample import Key, Units
from crowdbench.metrics.slices import N_RANGES, ignored_by_range
from crowdbench.metrics.stored_arrays import Stored, pack, smallest
from crowdbench.metrics.weighted_ap import Curve, make_curve, weigh
from crowdbench.structures import Array, GroundTruth

Name = tuple[str | None, str | None]
_WHOLE: Name = (None, None)
_ALL, _MEDIUM, _LARGE = range(N_RANGES)
_EVERY, _AT_50, _AT_75 = slice(None), slice(0, 1), slice(5, 6)
_EVERYBODY = -1


class _Rule(NamedTuple):
    """How a metric is read off a curve: its area range and OKS thresholds, precision or recall."""

    area_range: int
    thresholds: slice
    is_recall: bool


_CURVE_METRICS = {
    "AP": _Rule(_ALL, _EVERY, False),
    "AP50": _Rule(_ALL, _AT_50, False),
    "AP75": _Rule(_ALL, _AT_75, False),
    "AP_M": _Rule(_MEDIUM, _EVERY, False),
    "AP_L": _Rule(_LARGE, _EVERY, False),
    "AR": _Rule(_ALL, _EVERY, True),
    "AR50": _Rule(_ALL, _AT_50, True),
    "AR75": _Rule(_ALL, _AT_75, True),
    "AR_M": _Rule(_MEDIUM, _EVERY, True),
    "AR_L": _Rule(_LARGE, _EVERY, True),
}
# Ratios of sums over keypoints: what is divided by what.
_RATIOS = {"PCK": ("n_close", "n_labelled"), "OKS_matched": ("similarity", "n_matched")}
# Resamples worked off together: so many columns of all arrays of a curve stay in the cache.
_BLOCK = 256


class Group(NamedTuple):
    """An evaluation, and which of its slices are kept.

    Attributes:
        evaluation: of poses of its own.
        names: condition and row label of each slice, the whole one first; two None for the whole
            split, None for a slice that is not kept.
    """

    evaluation: Evaluation
    names: Sequence[Name | None]


class KeptSlice(NamedTuple):
    """Which choices a slice makes; `_EVERYBODY` for all.

    Attributes:
        ranked: place in `Sample2D.ranked`.
        poses: row of `Ranked.counted`.
        persons: row of `Sample2D.chosen_persons`.
        images: row of `Sample2D.chosen_images`.
    """

    ranked: int
    poses: int
    persons: int
    images: int


class _CurveOf(NamedTuple):
    """Which curve: slice, area range, and crowd level, None for all images of the slice."""

    name: Name
    area_range: int
    level: int | None


@dataclass(frozen=True)
class Sample2D:
    """A scored split of 2D poses that can be drawn again image by image.

    Attributes:
        n_persons: (I,) int64 persons of each image, those not evaluated among them.
        is_crowd: (P,) bool.
        ignored: (3, P) bool, the persons that each area range ignores.
        level: (I,) int64 crowd level of each image, 0 to 2; None where there are none.
        chosen_persons: (X, P) bool, choices of persons.
        chosen_images: (Y, I) bool, choices of images.
        ranked: the poses of each evaluation.
        slices: by name; that of the whole split is two None.
        keypoints: sums of the whole split by image; None where it is not kept.
    """

    n_persons: Array
    is_crowd: Array
    ignored: Array
    level: Array | None
    chosen_persons: Array
    chosen_images: Array
    ranked: Sequence[Ranked]
    slices: dict[Name, KeptSlice]
    keypoints: KeypointSums | None
    _curves: dict[_CurveOf, Curve] = field(default_factory=dict, repr=False, compare=False)

    @property
    def units(self) -> Units:
        """Every image is one."""
        n = len(self.n_persons)
        return Units("image", np.arange(n), n)

    @property
    def keys(self) -> Sequence[Key]:
        """All metrics of all slices."""
        found = []
        for name, part in self.slices.items():
            names = list(_CURVE_METRICS)
            if self.level is not None and part.persons == part.images == _EVERYBODY:
                names += LEVEL_METRICS
            if name == _WHOLE and self.keypoints is not None:
                names += _RATIOS
            found += [Key(metric, *name) for metric in names]
        return found

    def replicate(self, weights: Array, keys: Sequence[Key]) -> Array:
        """Return numbers on resampled splits, see `crowdbench.metrics.sample.Sample`.

        Raises:
            KeyError: if there is no such number.
        """
        known = set(self.keys)
        if missing := [key for key in keys if key not in known]:
            raise KeyError(missing[0])
        n = weights.shape[1]
        # One column alone would be summed in another order.
        wide = weights.repeat(2, axis=1) if n == 1 else weights
        needed = {_curve_of(key): None for key in keys if key.metric not in _RATIOS}
        self._make_curves(needed)
        values = np.empty((len(keys), wide.shape[1]))
        for columns in np.array_split(np.arange(wide.shape[1]), -(-wide.shape[1] // _BLOCK)):
            block = np.ascontiguousarray(wide[:, columns], np.int32)
            found = {which: weigh(self._curves[which], block) for which in needed}
            for k, key in enumerate(keys):
                values[k, columns] = (
                    self._ratio(key.metric, block)
                    if key.metric in _RATIOS
                    else _average(key.metric, found[_curve_of(key)])
                )
        return values[:, :n]

    def _ratio(self, metric: str, weights: Array) -> Array:
        """Return a ratio of sums over keypoints: (B,), NaN where there is nothing to divide by."""
        # A sparse product adds up image by image, on every machine in the same order.
        above, below = (
            (csr_array(getattr(self.keypoints, name)[None]) @ weights)[0]
            for name in _RATIOS[metric]
        )
        return np.where(below > 0, above / np.maximum(below, 1), np.nan)

    def _make_curves(self, needed: Iterable[_CurveOf]) -> None:
        """Match what the curves need that are not there yet."""
        missing = [which for which in needed if which not in self._curves]
        for i, ranked in enumerate(self.ranked):
            here = [which for which in missing if self.slices[which.name].ranked == i]
            variants: dict[tuple[int, int], int] = {}
            for which in here:
                part = self.slices[which.name]
                variants.setdefault((part.poses, part.persons), len(variants))
            if not here:
                continue
            ignored = np.stack([self._ignored(persons) for _, persons in variants], 1)
            counted = ranked.counted[[poses for poses, _ in variants]]
            matches = match_wishes(
                ranked.wishes,
                len(OKS_THRESHOLDS),
                ignored.reshape(N_RANGES * len(variants), -1).T,
                self.is_crowd,
                np.tile(counted, (N_RANGES, 1)).T,
            )
            columns = matches.columns.reshape(N_RANGES, len(variants), len(OKS_THRESHOLDS), -1)
            for which in here:
                part = self.slices[which.name]
                variant = variants[part.poses, part.persons]
                self._curves[which] = self._curve(
                    which,
                    matches._replace(columns=columns[which.area_range, variant]),
                    ignored[which.area_range, variant],
                )

    def _curve(self, which: _CurveOf, matches: Matches, ignored: Array) -> Curve:
        """Return one curve, of matches (T, N) and the persons (P,) that were ignored in them."""
        part = self.slices[which.name]
        ranked = self.ranked[part.ranked]
        pose, person, columns = matches
        counts = ranked.counted[part.poses] & ranked.inside[which.area_range]
        image_of_person = np.repeat(np.arange(len(self.n_persons)), self.n_persons)
        evaluated = np.bincount(image_of_person[~ignored], minlength=len(self.n_persons))
        images = self._images(part, which.level)
        if images is not None:
            counts &= images[ranked.image]
            evaluated *= images
            here = np.flatnonzero(images[ranked.image[pose]])
            pose, person, columns = pose[here], person[here], columns[:, here]
        return make_curve(ranked.image, counts, pose, columns, ignored[person], evaluated)

    def _ignored(self, persons: int) -> Array:
        """Return the persons (3, P) that each area range ignores with a choice of persons."""
        if persons == _EVERYBODY:
            return self.ignored
        ignored: Array = self.ignored | ~self.chosen_persons[persons]
        return ignored

    def _images(self, part: KeptSlice, level: int | None) -> Array | None:
        if level is not None:
            return np.asarray(self.level == level)
        return None if part.images == _EVERYBODY else self.chosen_images[part.images]

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that `write_sample` keeps."""
        arrays = {
            "n_persons": smallest(self.n_persons),
            "is_crowd": pack(self.is_crowd),
            "ignored": pack(self.ignored),
            "chosen_persons": pack(self.chosen_persons),
            "chosen_images": pack(self.chosen_images),
            "slices": np.array(list(self.slices.values()), np.int16).reshape(-1, 4),
        }
        if self.level is not None:
            arrays["level"] = smallest(self.level)
        if self.keypoints is not None:
            arrays["keypoint_counts"] = smallest(np.stack(self.keypoints[:3]))
            arrays["similarity"] = self.keypoints.similarity
        for i, ranked in enumerate(self.ranked):
            kept = ranked.arrays(self.n_persons)
            arrays |= {f"{name}_{i}": values for name, values in kept.items()}
        return arrays

    def facts(self) -> dict[str, Any]:
        """Return what else it keeps."""
        return {"kind": "2d", "slices": [list(name) for name in self.slices]}

    @classmethod
    def restore(cls, arrays: dict[str, Array], facts: dict[str, Any]) -> Self:
        """Return the sample that `arrays` and `facts` came from.

        Raises:
            ValueError, KeyError, TypeError: if they do not fit together.
        """
        stored = Stored(arrays)
        n_persons = stored.whole("n_persons", (None,))
        n_images, n = len(n_persons), int(n_persons.sum())
        sample = cls(
            n_persons=n_persons,
            is_crowd=stored.flags("is_crowd", n),
            ignored=stored.flags("ignored", N_RANGES, n),
            level=stored.whole("level", (n_images,), most=2) if "level" in arrays else None,
            chosen_persons=stored.flags("chosen_persons", None, n),
            chosen_images=stored.flags("chosen_images", None, n_images),
            ranked=[
                read_ranked(stored, i, n_persons)
                for i in range(sum(name.startswith("image_") for name in arrays))
            ],
            slices=_slices(stored, facts["slices"]),
            keypoints=_keypoints(stored, n_images) if "keypoint_counts" in arrays else None,
        )
        if (sample.is_crowd & ~sample.ignored).any():
            raise ValueError("a crowd region is evaluated")
        for part in sample.slices.values():
            if not (
                0 <= part.ranked < len(sample.ranked)
                and 0 <= part.poses < len(sample.ranked[part.ranked].counted)
                and part.persons < len(sample.chosen_persons)
                and part.images < len(sample.chosen_images)
            ):
                raise ValueError("a slice chooses what is not there")
        return sample


def _slices(stored: Stored, names: Any) -> dict[Name, KeptSlice]:
    """Return the slices as a file has them."""
    table = stored.whole("slices", (len(names), len(KeptSlice._fields)), least=_EVERYBODY)
    slices: dict[Name, KeptSlice] = {}
    for entry, row in zip(names, table.tolist(), strict=True):
        condition, label = entry
        if not all(part is None or isinstance(part, str) for part in (condition, label)):
            raise TypeError(f"{entry!r} is not the name of a slice")
        slices[condition, label] = KeptSlice(*row)
    if len(slices) < len(names):
        raise ValueError("two slices have the same name")
    return slices


def _keypoints(stored: Stored, n_images: int) -> KeypointSums:
    """Return the sums over keypoints as a file has them."""
    labelled, matched, close = stored.whole("keypoint_counts", (3, n_images))
    return KeypointSums(labelled, matched, close, stored.real("similarity", (n_images,)))


def _curve_of(key: Key) -> _CurveOf:
    """Return the curve that a number is read off."""
    name = key.condition, key.row
    if key.metric in LEVEL_METRICS:
        return _CurveOf(name, _ALL, LEVEL_METRICS.index(key.metric))
    return _CurveOf(name, _CURVE_METRICS[key.metric].area_range, None)


def _average(metric: str, curve: tuple[Array, Array]) -> Array:
    """Return a number (B,) from average precision and recall (T, B)."""
    rule = _CURVE_METRICS["AP" if metric in LEVEL_METRICS else metric]
    values: Array = curve[rule.is_recall][rule.thresholds].mean(0)
    return values


def sample_2d(truth: GroundTruth, groups: Sequence[Group], level: Array | None) -> Sample2D:
    """Return the sample of a scored split.

    Args:
        truth: the persons.
        groups: the evaluations of its poses, each of poses of its own. Only the first slice of an
            evaluation can be the whole split.
        level: (I,) int64 crowd level of each image, 0 to 2; None where there are none.
    """
    persons, images = _Choices(), _Choices()
    ranked: list[Ranked] = []
    slices: dict[Name, KeptSlice] = {}
    keypoints = None
    for group in groups:
        found = group.evaluation.match_results
        choices: dict[int, int] = {}
        for name, part, (poses, _) in zip(group.names, found.slices, found.choice, strict=True):
            if name is None:
                continue
            slices[name] = KeptSlice(
                len(ranked),
                choices.setdefault(poses, len(choices)),
                persons.number(part.persons),
                images.number(part.images),
            )
            if name == _WHOLE:
                keypoints = group.evaluation.keypoints.by_image
        if choices:
            ranked.append(rank(found, list(choices)))
    return Sample2D(
        n_persons=np.bincount(truth.image_index, minlength=len(truth.image_ids)),
        is_crowd=truth.is_crowd,
        ignored=ignored_by_range(truth),
        level=level,
        chosen_persons=persons.table(len(truth.areas)),
        chosen_images=images.table(len(truth.image_ids)),
        ranked=ranked,
        slices=slices,
        keypoints=keypoints,
    )


class _Choices:
    """Different choices, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._masks: list[Array] = []

    def number(self, mask: Array | None) -> int:
        """Return the number of a choice."""
        if mask is None:
            return _EVERYBODY
        number = self._numbers.setdefault(id(mask), len(self._masks))
        if number == len(self._masks):
            self._masks.append(mask)
        return number

    def table(self, n: int) -> Array:
        """Return all choices among n things: (choices, n) bool."""
        return np.array(self._masks, bool).reshape(len(self._masks), n)
