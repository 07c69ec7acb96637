"""What a refiner changed: the errors of persons before and after it, and the scenes to draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crowdbench.conditions.box_iou import image_means
from crowdbench.datasets.split import Split
from crowdbench.drawn_3d import DrawnInScene, DrawnScene3D, Point3D, Rank
from crowdbench.metrics.evaluation_3d import Evaluation3D
from crowdbench.metrics.joint_errors import Errors, joint_errors
from crowdbench.refinement import RefinedMetric, Refinement
from crowdbench.structures import Array, Poses

# What a scene needs: with one person there is nobody to interact with.
_LEAST_PERSONS = 2
# The errors that each metric, which compares a person with one pose, is the mean of.
_ERRORS = {
    "MPJPE_mm": "aligned_at_root",
    "PA_MPJPE_rigid_mm": "aligned_rigidly",
    "PA_MPJPE_mm": "aligned_with_scale",
}


def measured_refinement(
    split: Split, poses: Poses, after: Errors
) -> tuple[Refinement, tuple[DrawnScene3D, ...]]:
    """Return what refinement changed over the split, and up to three scenes that show it.

    The poses before are those of the base alone: where persons are matched to poses in the image,
    they are by the base's keypoints, and a person may have a pose that became another's.

    Scenes are images with two or more evaluated persons who have a pose before and after, in the
    order of the change of the mean error (MPJPE_mm) of these persons, the largest gain first; of
    equal ones the lower id comes first. The first, the middle one (of an even number the better of
    the two) and the last are shown.

    Args:
        split: with 3D joints.
        poses: with what the refiner started from.
        after: the errors of the poses.
    """
    truth = split.truth
    assert truth is not None
    assert poses.base_keypoints is not None
    base = replace(poses, joints_mm=poses.base_joints_mm, keypoints=poses.base_keypoints)
    before = joint_errors(truth, base, split.skeleton)
    values = Evaluation3D(truth, before, split.skeleton).values()
    metrics = {}
    for name, field in _ERRORS.items():
        # Persons without a pose have NaN, which is neither less nor more.
        change = getattr(after, field).mean(1) - getattr(before, field).mean(1)
        metrics[name] = RefinedMetric(
            values[name].value, values[name].n, int((change < 0).sum()), int((change > 0).sum())
        )
    change = after.aligned_at_root.mean(1) - before.aligned_at_root.mean(1)
    compared = np.flatnonzero((before.pair >= 0) & (after.pair >= 0))
    n_images = len(split.images)
    by_image = image_means(change[compared], after.image[compared], n_images)
    n_persons = np.bincount(after.image[compared], minlength=n_images)
    images = np.flatnonzero(n_persons >= _LEAST_PERSONS)
    images = images[np.argsort(by_image[images], kind="stable")]
    scenes = tuple(
        _scene(split, poses, (before, after), (rank, int(images[place])))
        for rank, place in _ranks(len(images)).items()
    )
    return Refinement(metrics, len(images)), scenes


def _ranks(n: int) -> dict[Rank, int]:
    """Return the places of the scenes to show among `n` of them, each place once.

    >>> _ranks(4), _ranks(2), _ranks(1)
    ({'best': 0, 'median': 1, 'worst': 3}, {'best': 0, 'worst': 1}, {'median': 0})
    """
    if n <= 1:
        return {"median": 0} if n else {}
    return (
        {"best": 0, "worst": 1} if n == 2 else {"best": 0, "median": (n - 1) // 2, "worst": n - 1}
    )


def _scene(
    split: Split, poses: Poses, errors: tuple[Errors, Errors], chosen: tuple[Rank, int]
) -> DrawnScene3D:
    """Return a scene, from the errors before and after."""
    truth, images, (rank, image), (before, after) = split.truth, split.images, chosen, errors
    assert truth is not None
    assert truth.pose3d is not None
    assert poses.joints_mm is not None
    assert poses.base_joints_mm is not None
    rows = np.flatnonzero((after.image == image) & (before.pair >= 0) & (after.pair >= 0))
    annotated = truth.pose3d.joints_mm[after.persons[rows]]
    rows = rows[np.argsort(annotated[:, split.skeleton.root, 0], kind="stable")]
    means = np.array([each.aligned_at_root.mean(1) for each in errors])
    before_mm, after_mm = means[:, rows].mean(1).tolist()
    width, height = images.sizes[image].tolist()
    roots_px = truth.keypoints[after.persons, split.skeleton.root, :2]
    return DrawnScene3D(
        rank=rank,
        image_id=int(images.ids[image]),
        file_name=images.file_names[image],
        size=(width, height),
        before_mm=before_mm,
        after_mm=after_mm,
        persons=tuple(
            DrawnInScene(
                person_id=int(truth.person_ids[after.persons[row]]),
                root_px=(float(roots_px[row, 0]), float(roots_px[row, 1])),
                before_mm=float(means[0, row]),
                after_mm=float(means[1, row]),
                truth=_points(truth.pose3d.joints_mm[after.persons[row]]),
                before=_points(poses.base_joints_mm[before.pair[row]]),
                after=_points(poses.joints_mm[after.pair[row]]),
            )
            for row in rows.tolist()
        ),
    )


def _points(joints: Array) -> tuple[Point3D, ...]:
    return tuple((x, y, z) for x, y, z in joints.tolist())
