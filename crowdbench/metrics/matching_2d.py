"""Who is whom: annotated persons and predicted poses, by their keypoints in the image.

Source: the official evaluation of MuPoTS-3D, which matches in 2D before it measures in 3D.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.structures import Array

# Of mupots-17: all but the top of the head, the pelvis, the spine and the head.
JOINTS = slice(1, 14)
# A keypoint agrees when both |dx| and |dy| are below, in px; the same in images of any size.
WITHIN_PX = 40.0


class _Pairs(NamedTuple):
    """Every person with every pose of its image.

    Attributes:
        person, pose: (N,) rows.
        frame, slot, place: (N,) which of the images with persons it is, which person of the image,
            which pose.
    """

    person: Array
    pose: Array
    frame: Array
    slot: Array
    place: Array


def match_by_keypoints(
    persons: Array, person_image: Array, poses: Array, pose_image: Array
) -> Array:
    """Return the pose that each person is matched to.

    In every image the persons choose one after the other, in their order: each takes the pose with
    the most agreeing keypoints (joints 1 to 13) of those that are left, the first of equals, if at
    least one keypoint agrees. Scores play no role. A predicted keypoint at exactly (0, 0) was not
    found and agrees with nothing; labels of visibility are not looked at.

    Args:
        persons: (P, K, 2) px, mupots-17.
        person_image: (P,) int64, ascending.
        poses: (D, K, 2) px.
        pose_image: (D,) int64, ascending.

    Returns:
        (P,) int64 rows of poses, -1 for none.

    Source: official MATLAB code of MuPoTS-3D.
    """
    matched = np.full(len(persons), -1, np.int64)
    pairs = _pairs(person_image, pose_image)
    if not len(pairs.person):
        return matched
    agreeing = _agreeing(persons[:, JOINTS], poses[:, JOINTS], pairs)
    shape = [int(column.max()) + 1 for column in (pairs.frame, pairs.slot, pairs.place)]
    # 0 also where there is no such person or pose: nothing to take.
    score = np.zeros(shape, np.int8)
    row = np.full(shape[::2], -1, np.int64)
    person = np.full(shape[:2], -1, np.int64)
    score[pairs.frame, pairs.slot, pairs.place] = agreeing
    row[pairs.frame, pairs.place] = pairs.pose
    person[pairs.frame, pairs.slot] = pairs.person
    frames = np.arange(shape[0])
    for slot in range(shape[1]):
        best = score[:, slot].argmax(1)
        takes = score[frames, slot, best] > 0
        matched[person[takes, slot]] = row[frames[takes], best[takes]]
        score[frames[takes], :, best[takes]] = 0
    return matched


def _pairs(person_image: Array, pose_image: Array) -> _Pairs:
    first, last = (np.searchsorted(pose_image, person_image, side) for side in ("left", "right"))
    n = last - first
    person = np.repeat(np.arange(len(person_image)), n)
    place = np.arange(len(person)) - np.repeat(np.cumsum(n) - n, n)
    slot = np.arange(len(person_image)) - np.searchsorted(person_image, person_image)
    _, frame = np.unique(person_image, return_inverse=True)
    return _Pairs(person, first[person] + place, frame[person], slot[person], place)


def _agreeing(persons: Array, poses: Array, pairs: _Pairs) -> Array:
    """Return how many keypoints of each pair agree, (N,) int8."""
    agreeing = np.zeros(len(pairs.person), np.int8)
    # Keypoint by keypoint, one coordinate after the other: no array of all pairs and keypoints.
    for person, pose in zip(persons.transpose(1, 2, 0), poses.transpose(1, 2, 0), strict=True):
        # Where a keypoint was not found, infinity is far from everything.
        found = np.where((pose != 0).any(0), pose, np.inf)
        near = np.ones(len(agreeing), bool)
        for at, found_at in zip(person, found, strict=True):
            near &= np.abs(at[pairs.person] - found_at[pairs.pose]) < WITHIN_PX
        agreeing += near
    return agreeing
