"""Score poses in space: from final poses to metrics, without the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from crowdbench.conditions.condition import Row
from crowdbench.datasets.split import Split
from crowdbench.drawn_3d import DrawnPerson3D, DrawnScene3D
from crowdbench.metrics.catalogue import METRICS
from crowdbench.metrics.evaluation_3d import Evaluation3D, Value
from crowdbench.metrics.joint_errors import joint_errors
from crowdbench.metrics.pose3d import THRESHOLDS_MM, from_root
from crowdbench.metrics.sample import Key
from crowdbench.metrics.sample_3d import Sample3D, Tally, sample_3d, tally, units_of
from crowdbench.record import SCHEMA_VERSION, Run, RunFolder
from crowdbench.refinement import Refinement
from crowdbench.results import Metric, Metrics, PckCurve, Pose3DFacts, SequenceFacts, WorstImages
from crowdbench.results_3d import write_poses_3d
from crowdbench.running.described import Cuts, Part, rows_of, whole_split, with_conditions
from crowdbench.running.refinement import measured_refinement
from crowdbench.structures import GroundTruth, Poses

N_WORST = 12
_WHOLE = Row("all")
# What compares each person with the pose that was made for it, where poses say so.
_PAIRED = ("MPJPE_mm", "PA_MPJPE_rigid_mm", "PA_MPJPE_mm")
_NO_KEYPOINTS = (
    "the predictions have no keypoints in the image, by which persons are matched to poses"
)


def score_poses_3d(
    folder: RunFolder, run: Run, split: Split, poses: Poses, cuts: Cuts
) -> tuple[Metrics, WorstImages, Sample3D]:
    """Return metrics of poses in space, the persons to draw, and the sample; write the poses.

    Args:
        folder: of the run.
        run: what was asked.
        split: with 3D joints.
        poses: final ones: poses in space are not merged.
        cuts: the conditions and their rows.
    """
    truth = split.truth
    assert truth is not None
    write_poses_3d(folder.path, poses, split)
    evaluation = _Scored(split, truth, poses)
    all_persons = evaluation.part(_WHOLE)
    parts = [evaluation.part(row, condition) for condition, row in rows_of(cuts)]
    whole = whole_split(run, all_persons.numbers, evaluation.counts())
    refined, scenes = evaluation.refinement()
    metrics = msgspec.structs.replace(
        with_conditions(whole, cuts, parts), pose3d=evaluation.facts(refined)
    )
    worst = WorstImages(SCHEMA_VERSION, (), None, evaluation.worst_persons(), scenes)
    return metrics, worst, evaluation.sample()


class _Scored:
    """The poses of a split, scored as a whole and in parts."""

    def __init__(self, split: Split, truth: GroundTruth, poses: Poses) -> None:
        self._split, self._truth, self._poses = split, truth, poses
        self._errors = joint_errors(truth, poses, split.skeleton)
        self._evaluation = Evaluation3D(truth, self._errors, split.skeleton)
        assert truth.pose3d is not None
        self._units = units_of(truth.pose3d)
        self._tallies: dict[Key, Tally] = {}

    def part(self, row: Row, condition: str | None = None) -> Part:
        """Return the numbers of a row, and keep what every unit adds to them.

        Of the rows of conditions, those that choose joints alone have breakdowns.

        Args:
            row: what takes part.
            condition: name of its condition; None for the whole split.
        """
        errors, evaluation, poses = self._errors, self._evaluation, self._poses
        if row.candidates is not None:
            poses = row.candidates
        if row.poses is not None:
            poses = poses.take(row.poses)
        if poses is not self._poses:
            errors = joint_errors(self._truth, poses, self._split.skeleton)
            evaluation = Evaluation3D(self._truth, errors, self._split.skeleton)
        persons = np.ones(len(errors.persons), bool)
        if row.persons is not None:
            persons &= row.persons[errors.persons]
        images = np.ones(len(self._split.images), bool) if row.images is None else row.images
        persons &= images[errors.image]
        joints = None if row.joints is None else row.joints[errors.persons]
        broken_down = row is _WHOLE or joints is not None
        if joints is not None:
            persons &= joints[:, list(self._split.skeleton.scored)].any(1)
        values = evaluation.values(persons, joints)
        label = None if condition is None else row.label
        for name in _available(values, poses):
            self._tallies[Key(name, condition, label)] = tally(values[name], self._units)
        return Part(
            _numbers(values, poses, broken_down),
            int(images.sum()),
            int(persons.sum()),
            int(images[poses.image_index].sum()),
        )

    def sample(self) -> Sample3D:
        """Return what every unit adds to the numbers of all parts so far."""
        return sample_3d(self._units, self._tallies)

    def counts(self) -> dict[str, int]:
        """Return how many there are of everything."""
        truth, errors, n_images = self._truth, self._errors, len(self._split.images)
        return {
            "images": n_images,
            "images_without_poses": n_images - len(np.unique(self._poses.image_index)),
            "persons": len(truth.person_ids),
            "persons_evaluated": len(errors.persons),
            "persons_matched": int(errors.is_matched.sum()),
            "poses": len(self._poses),
        }

    def refinement(self) -> tuple[Refinement | None, tuple[DrawnScene3D, ...]]:
        """Return what refinement changed and the scenes to draw; nothing if there was none."""
        if self._poses.base_joints_mm is None or self._poses.base_keypoints is None:
            return None, ()
        return measured_refinement(self._split, self._poses, self._errors)

    def facts(self, refined: Refinement | None) -> Pose3DFacts:
        """Return what only poses in space have, with what refinement changed."""
        space = self._truth.pose3d
        assert space is not None
        n = len(space.sequences)
        sequence, is_matched = self._evaluation.sequence, self._errors.is_matched
        columns = (
            np.bincount(index, minlength=n).tolist()
            for index in (space.sequence_index, sequence, sequence[is_matched])
        )
        thresholds = tuple(THRESHOLDS_MM.tolist())
        curves = self._evaluation.curves() if _has_keypoints(self._poses) else ()
        return Pose3DFacts(
            tuple(PckCurve(c.metric, thresholds, tuple(c.values.tolist())) for c in curves),
            tuple(map(SequenceFacts, space.sequences, *columns)),
            refined,
        )

    def worst_persons(self) -> tuple[DrawnPerson3D, ...]:
        """Return the persons with the largest error of those with a pose, the worst first."""
        errors = self._errors
        means = errors.aligned_at_root.mean(1)
        there = np.flatnonzero(errors.pair >= 0)
        order = there[np.argsort(-means[there], kind="stable")][:N_WORST]
        return tuple(self._drawn(row, float(means[row])) for row in order.tolist())

    def _drawn(self, row: int, error: float) -> DrawnPerson3D:
        truth, images, skeleton = self._truth, self._split.images, self._split.skeleton
        space, joints = truth.pose3d, self._poses.joints_mm
        assert space is not None
        assert joints is not None
        person, image = int(self._errors.persons[row]), int(self._errors.image[row])
        annotated, predicted = (
            tuple((x, y, z) for x, y, z in from_root(pose[None], skeleton)[0].tolist())
            for pose in (space.joints_mm[person], joints[self._errors.pair[row]])
        )
        return DrawnPerson3D(
            person_id=int(truth.person_ids[person]),
            image_id=int(images.ids[image]),
            file_name=images.file_names[image],
            sequence=space.sequences[int(space.sequence_index[image])],
            error_mm=error,
            truth=annotated,
            predicted=predicted,
            is_occluded=tuple((truth.keypoints[person, :, 2] == 1).tolist()),
        )


def _has_keypoints(poses: Poses) -> bool:
    """Return whether poses have a place in the image; without poses there is nothing to miss."""
    return not len(poses) or bool(poses.keypoints.any())


def _available(values: Iterable[str], poses: Poses) -> list[str]:
    """Return the names of the metrics that these poses allow."""
    if _has_keypoints(poses):
        return list(values)
    # Poses that were made for known persons need no place in the image to be compared with them.
    paired = () if poses.person_ids is None else _PAIRED
    return [name for name in values if name in paired]


def _numbers(values: Mapping[str, Value], poses: Poses, broken_down: bool) -> dict[str, Metric]:
    """Return the metrics in the catalogue's order."""
    available = set(_available(values, poses))
    found = {}
    for name, known in METRICS.items():
        if name in values and name not in available:
            found[name] = Metric(None, 0, known.higher_is_better, _NO_KEYPOINTS, known.unit)
        elif name in values:
            value = values[name]
            metric = Metric(
                value.value, value.n, known.higher_is_better, value.reason, known.unit,
                value.averages,
                value.average,
            )  # fmt: skip
            if broken_down:
                metric = msgspec.structs.replace(
                    metric,
                    by_sequence=value.by_sequence,
                    by_group=value.by_group,
                    by_joint=value.by_joint,
                )
            found[name] = metric
    return found
