"""How long the 3D metrics take on a test set of MuPoTS-3D's size, beside a plain implementation.

    python tests/benchmarks/pose3d.py [--repeats N]

The peer goes through the same poses one person at a time, with numpy within a person, as one would
write it first. It shares no code with ours and must give the same numbers, averages, breakdowns and
curves (checked to 1e-9), so it also serves as a reference in the tests. Poses are made from a seed:
20 sequences, 8,320 frames, 2 or 3 persons in each, some without a pose, some poses of nobody.
Counted is all between the arrays in memory and the numbers. The peer runs once; ours is the best of
the repeats.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np

from crowdbench.metrics.evaluation_3d import Evaluation3D
from crowdbench.metrics.joint_errors import joint_errors
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, GroundTruth, Poses, Truth3D

N_SEQUENCES, N_FRAMES = 20, 8_320
FOCAL, CENTRE = 1500.0, 1024.0
# A standing person, mm from the pelvis: x right, y down, z away.
STANDING = np.array(
    [
        [0, -700, 20], [0, -450, 0], [-180, -440, 0], [-260, -180, 30], [-280, 50, -40],
        [180, -440, 0], [260, -180, 30], [280, 50, -40], [-100, 10, 0], [-110, 420, -20],
        [-120, 830, 20], [100, 10, 0], [110, 420, -20], [120, 830, 20], [0, 0, 0], [0, -220, 10],
        [0, -560, 10],
    ],
    float,
)  # fmt: skip


def make_problem(
    seed: int,
    n_sequences: int = N_SEQUENCES,
    n_frames: int = N_FRAMES,
    persons: tuple[int, int] = (2, 3),
) -> tuple[GroundTruth, Poses]:
    """Return a split and poses for most of its persons.

    Args:
        seed: the same one makes the same arrays.
        n_sequences: how many; the frames are spread over them evenly.
        n_frames: of all sequences.
        persons: the least and the most persons of a frame.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(persons[0], persons[1] + 1, n_frames)
    image = np.repeat(np.arange(n_frames), counts)
    n = len(image)
    root = rng.uniform([-1500, -300, 3000], [1500, 300, 7000], (n, 3))
    joints = STANDING * rng.uniform(0.8, 1.15, (n, 1, 1)) + rng.normal(0, 60, (n, 17, 3))
    joints += (root - joints[:, 14])[:, None]
    universal = (joints - root[:, None]) * rng.uniform(0.9, 1.1, (n, 1, 1)) + root[:, None] * 1.02
    points = joints[..., :2] / joints[..., 2:] * FOCAL + CENTRE
    visibility = np.where(rng.random((n, 17)) < 0.2, 1.0, 2.0)
    low, high = points.min(1), points.max(1)
    boxes = np.concatenate([low, high - low], 1)
    truth = GroundTruth(
        image_ids=np.arange(n_frames),
        image_index=image,
        keypoints=np.concatenate([points, visibility[..., None]], 2),
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        is_crowd=np.zeros(n, bool),
        is_ignored=rng.random(n) < 0.03,
        person_ids=np.arange(n),
        pose3d=Truth3D(
            joints,
            universal,
            tuple(f"TS{i + 1}" for i in range(n_sequences)),
            np.arange(n_frames) * n_sequences // n_frames,
        ),
    )
    # One person in ten has no pose; one pose in ten is nobody's; those of a frame in any order.
    found = np.flatnonzero(rng.random(n) < 0.9)
    source = np.concatenate([found, rng.integers(0, n, n // 10)]) if n else found
    frame, astray = image[source], np.arange(len(source)) >= len(found)
    order = np.lexsort((rng.random(len(source)), frame))
    source, frame, astray = source[order], frame[order], astray[order]
    d = len(source)
    keypoints = points[source] + rng.normal(0, 12, (d, 17, 2)) + 300.0 * astray[:, None, None]
    keypoints[rng.random((d, 17)) < 0.02] = 0
    noise = rng.normal(0, 1, (d, 17, 3)) * rng.uniform(20, 120, (d, 1, 1))
    poses = Poses(
        image_index=frame,
        keypoints=keypoints,
        keypoint_scores=np.ones((d, 17)),
        scores=np.ones(d),
        box_index=np.full(d, -1),
        instance=np.zeros(d, np.int64),
        joints_mm=universal[source] + noise + rng.normal(0, 60, (d, 1, 3)),
    )
    return truth, poses


# --- The peer -------------------------------------------------------------------------------------

# Joint and parent in the order in which the official script rebuilds a pose: spine, neck, head top,
# head, right arm, left arm, right leg, left leg.
_BONES = (
    (15, 14), (1, 15), (0, 1), (16, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6),
    (8, 14), (9, 8), (10, 9), (11, 14), (12, 11), (13, 12),
)  # fmt: skip


_THRESHOLDS = np.arange(0.0, 151.0, 5.0)
_GROUPS = {
    "Hd.": [0], "Nck.": [1], "Sho.": [2, 5], "Elb.": [3, 6], "Wri.": [4, 7], "Hip": [8, 11],
    "Kn.": [9, 12], "Ank.": [10, 13],
}  # fmt: skip
# Name of the metric, what the number is of it, and of which part; fractions or mm.
Numbers = dict[tuple[str, str, str], float]


class Person(NamedTuple):
    """The errors of a person.

    Attributes:
        frame: its image.
        pose: row of its pose, -1 for none.
        relative, absolute, at_root, rigid, similar: (17,) mm; the last three NaN without a pose.
    """

    frame: int
    pose: int
    relative: Array
    absolute: Array
    at_root: Array
    rigid: Array
    similar: Array


def match_frame(persons: Array, poses: Array) -> tuple[list[int], bool]:
    """Return the pose of each person of a frame, -1 for none, and whether two were equally good.

    Args:
        persons: (N, 17, 2) px.
        poses: (M, 17, 2) px.
    """
    is_free = np.ones(len(poses), bool)
    found, had_tie = [], False
    for person in persons:
        there = (poses[:, 1:14, 0] != 0) | (poses[:, 1:14, 1] != 0)
        near = (np.abs(poses[:, 1:14] - person[1:14]) < 40).all(2)
        agreeing = (there & near).sum(1) * is_free
        best = int(agreeing.argmax()) if len(poses) else -1
        if best < 0 or agreeing[best] == 0:
            found.append(-1)
            continue
        had_tie |= bool((agreeing == agreeing[best]).sum() > 1)
        is_free[best] = False
        found.append(best)
    return found, had_tie


def align_one(pose: Array, target: Array, with_scale: bool) -> Array:
    """Return a (K, 3) pose, brought as close to its target as rotating and shifting can."""
    middle = target.mean(0)
    centred, goal = pose - pose.mean(0), target - middle
    u, s, vt = np.linalg.svd(centred.T @ goal)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    scale = (s * np.diag(flip)).sum() / (centred**2).sum() if with_scale else 1.0
    aligned: Array = scale * centred @ u @ flip @ vt + middle
    return aligned


def measure_person(
    frame: int, row: int, pose: Array | None, universal: Array, camera: Array
) -> Person:
    """Return the errors of a person whose pose is (17, 3) mm or none."""
    root = universal[14]
    if pose is None:
        nowhere, nothing = np.full(3, 100_000.0), np.full(17, np.nan)
        relative = np.linalg.norm(universal - root - nowhere, axis=1)
        absolute = np.linalg.norm(universal - nowhere, axis=1)
        return Person(frame, row, relative, absolute, nothing, nothing, nothing)
    mapped = np.zeros((17, 3))
    for joint, parent in _BONES:
        bone = pose[joint] - pose[parent]
        length = np.linalg.norm(universal[joint] - universal[parent])
        mapped[joint] = mapped[parent] + bone / np.linalg.norm(bone) * length
    return Person(
        frame,
        row,
        np.linalg.norm(mapped - (universal - root), axis=1),
        np.linalg.norm(mapped + pose[14] - universal, axis=1),
        np.linalg.norm((pose - pose[14]) - (camera - camera[14]), axis=1),
        np.linalg.norm(align_one(pose, camera, False) - camera, axis=1),
        np.linalg.norm(align_one(pose, camera, True) - camera, axis=1),
    )


def measure_all(truth: GroundTruth, poses: Poses) -> list[Person]:
    """Return the errors of every evaluated person, frame by frame."""
    assert truth.pose3d is not None
    assert poses.joints_mm is not None
    persons = []
    for frame in range(len(truth.image_ids)):
        rows = np.flatnonzero((truth.image_index == frame) & ~truth.is_ignored)
        here = np.flatnonzero(poses.image_index == frame)
        places, _ = match_frame(truth.keypoints[rows, :, :2], poses.keypoints[here])
        for row, place in zip(rows, places, strict=True):
            pose = int(here[place]) if place >= 0 else -1
            joints = poses.joints_mm[pose] if place >= 0 else None
            universal, camera = truth.pose3d.universal_mm[row], truth.pose3d.joints_mm[row]
            persons.append(measure_person(frame, pose, joints, universal, camera))
    return persons


def plain_numbers(truth: GroundTruth, poses: Poses) -> Numbers:
    """Return the 3D metrics with their averages and breakdowns, and the curves."""
    assert truth.pose3d is not None
    persons = measure_all(truth, poses)
    matched = [person for person in persons if person.pose >= 0]
    sequence = truth.pose3d.sequence_index
    numbers: Numbers = {}
    for who, group in (("all", persons), ("matched", matched)):
        frames = [person.frame for person in group]
        for suffix, field in (("", "relative"), ("_abs", "absolute")):
            errors = [getattr(person, field)[:14] for person in group]
            hits = [error < _THRESHOLDS[:, None] for error in errors]
            for name, values in (
                (f"3DPCK_{who}{suffix}", [hit[-1] for hit in hits]),
                (f"AUC_{who}{suffix}", [hit.mean(0) for hit in hits]),
                *([(f"MPJPE_mapped{suffix}_mm", errors)] if who == "matched" else []),
            ):
                numbers |= average(name, values, frames, sequence, "sequence")
            curves: dict[int, list[Array]] = {}
            for frame, hit in zip(frames, hits, strict=True):
                curves.setdefault(int(sequence[frame]), []).append(hit.mean(1))
            means = [np.mean(curves[i], 0) for i in sorted(curves)]
            for threshold, value in zip(_THRESHOLDS, np.mean(means, 0), strict=True):
                numbers[f"3DPCK_{who}{suffix}", "curve", f"{threshold:g}"] = float(value)
    frames = [person.frame for person in matched]
    for name, field in (
        ("MPJPE_mm", "at_root"),
        ("PA_MPJPE_rigid_mm", "rigid"),
        ("PA_MPJPE_mm", "similar"),
    ):
        values = [getattr(person, field) for person in matched]
        numbers |= average(name, values, frames, sequence, "person")
    return numbers


def average(
    name: str, values: list[Array], frames: list[int], sequence: Array, usual: str
) -> Numbers:
    """Return the averages and breakdowns of a number.

    Args:
        name: of the number.
        values: of each person, one per joint.
        frames: of each person, the frame.
        sequence: of each frame, the sequence.
        usual: how papers average the number: by ``sequence`` or by ``person``.
    """
    by_sequence: dict[int, list[Array]] = {}
    by_frame: dict[int, list[Array]] = {}
    for value, frame in zip(values, frames, strict=True):
        by_sequence.setdefault(int(sequence[frame]), []).append(value)
        by_frame.setdefault(frame, []).append(value)
    stacked = {i: np.array(by_sequence[i]) for i in sorted(by_sequence)}
    everybody = np.array(values)
    numbers: Numbers = {
        (name, "average", "sequence"): float(np.mean([v.mean() for v in stacked.values()])),
        (name, "average", "frame"): float(np.mean([np.mean(v) for v in by_frame.values()])),
        (name, "average", "person"): float(everybody.mean()),
    }
    for i, value in stacked.items():
        numbers[name, "sequence", f"TS{i + 1}"] = float(value.mean())
    for kind, parts in (
        ("group", _GROUPS),
        ("joint", {str(joint): [joint] for joint in range(everybody.shape[1])}),
    ):
        for part, joints in parts.items():
            means = [value[:, joints].mean() for value in stacked.values()]
            mean = np.mean(means) if usual == "sequence" else everybody[:, joints].mean()
            numbers[name, kind, part] = float(mean)
    return numbers


# --- Ours -----------------------------------------------------------------------------------------


def our_numbers(truth: GroundTruth, poses: Poses) -> Numbers:
    """Return the same from crowdbench; without what has no value."""
    evaluation = Evaluation3D(truth, joint_errors(truth, poses, MUPOTS_17), MUPOTS_17)
    numbers: dict[tuple[str, str, str], float | None] = {}
    for name, value in evaluation.values().items():
        joints = enumerate(value.by_joint.values())
        for kind, part in (
            ("average", value.averages),
            ("sequence", value.by_sequence),
            ("group", value.by_group),
            ("joint", {str(joint): number for joint, number in joints}),
        ):
            numbers |= {(name, kind, key): number for key, number in part.items()}
    for curve in evaluation.curves():
        for threshold, number in zip(_THRESHOLDS, curve.values.tolist(), strict=True):
            numbers[curve.metric, "curve", f"{threshold:g}"] = number
    return {key: number for key, number in numbers.items() if number is not None}


def assert_equal(ours: Numbers, plain: Numbers) -> None:
    """Fail unless both have the same numbers, to 1e-9 of their size."""
    assert ours.keys() == plain.keys()
    for key, number in ours.items():
        assert abs(number - plain[key]) <= 1e-9 * max(1, abs(plain[key])), key


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    truth, poses = make_problem(seed=0)
    seconds = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        ours = our_numbers(truth, poses)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    plain = plain_numbers(truth, poses)
    peer = time.perf_counter() - start
    assert_equal(ours, plain)
    persons, frames = len(truth.person_ids), len(truth.image_ids)
    print("| persons | poses | frames | ours | one person at a time | ratio |")
    print("|--:|--:|--:|--:|--:|--:|")
    cells = [f"{n:,}" for n in (persons, len(poses), frames)]
    cells += [f"{min(seconds):.3f} s", f"{peer:.1f} s", f"{peer / min(seconds):.0f}"]
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
