"""What people do: joint angles for every action, with natural variation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from crowdbench.datasets.synthcrowd.body import ANGLES, mirrored, within_limits
from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.structures import Array

Angles = dict[str, float]
# What everybody's joints vary by, whatever they do; degrees.
_VARIATION: Angles = {
    "pitch": 4, "roll": 3, "bend": 7, "turn": 10, "side": 6, "head_yaw": 35, "head_pitch": 18,
    "head_roll": 10, "shoulder_flexion": 16, "shoulder_abduction": 10, "arm_twist": 22, "elbow": 20,
    "hip_flexion": 6, "hip_abduction": 5, "leg_twist": 12, "knee": 6,
}  # fmt: skip
_STANDING: Angles = {
    "bend": 3, "head_pitch": 6, "shoulder_flexion": 4, "shoulder_abduction": 11, "arm_twist": 25,
    "elbow": 18, "hip_flexion": 3, "hip_abduction": 5, "leg_twist": 8, "knee": 5,
}  # fmt: skip


def _standing(draws: Draws) -> Angles:
    angles = dict(_STANDING)
    arms = draws.number(0, 1)
    if arms < 0.2:  # arms crossed
        angles |= {"shoulder_flexion": 28, "arm_twist": 75, "elbow": 105}
    elif arms < 0.35:  # a hand on the hip
        angles |= {"left_shoulder_abduction": 42, "left_elbow": 95, "left_arm_twist": 65}
        angles |= {"left_shoulder_flexion": -12}
    elif arms < 0.55:  # looking at a phone
        angles |= {"left_shoulder_flexion": 35, "left_elbow": 95, "left_arm_twist": 35}
        angles |= {"head_pitch": 28, "left_shoulder_abduction": 4}
    return angles


def _walking(draws: Draws) -> Angles:
    swing = math.sin(draws.number(0, 2 * math.pi))
    stride = draws.number(18, 32)
    return _STANDING | {
        "pitch": 4,
        "left_hip_flexion": 6 + stride * swing,
        "right_hip_flexion": 6 - stride * swing,
        "left_knee": 12 + 38 * max(0.0, -swing),
        "right_knee": 12 + 38 * max(0.0, swing),
        "left_shoulder_flexion": -stride * swing,
        "right_shoulder_flexion": stride * swing,
        "elbow": 28,
        "hip_abduction": 2,
    }


def _sitting(draws: Draws) -> Angles:
    return _STANDING | {
        "pitch": draws.number(-8, 4),
        "bend": draws.number(0, 30),
        "hip_flexion": draws.number(75, 98),
        "hip_abduction": draws.number(6, 20),
        "knee": draws.number(65, 105),
        "shoulder_flexion": draws.number(15, 45),
        "arm_twist": 30,
        "elbow": draws.number(30, 85),
    }


def _reaching(draws: Draws) -> Angles:
    angles = _STANDING | {
        "left_shoulder_flexion": draws.number(70, 170),
        "left_shoulder_abduction": draws.number(0, 30),
        "left_elbow": draws.number(5, 45),
        "left_arm_twist": 0,
        "pitch": draws.number(0, 12),
    }
    if draws.chance(0.35):  # both arms
        angles |= {f"right_{n[5:]}": v for n, v in angles.items() if n.startswith("left_")}
    return angles


def _hugging(draws: Draws) -> Angles:
    return _STANDING | {
        "pitch": 5,
        "bend": draws.number(2, 14),
        "head_pitch": 8,
        "head_yaw": draws.number(-40, 40),
        "left_shoulder_flexion": draws.number(50, 105),
        "right_shoulder_flexion": draws.number(35, 90),
        "shoulder_abduction": draws.number(12, 30),
        "arm_twist": 70,
        "elbow": draws.number(55, 95),
    }


def _dancing(draws: Draws) -> Angles:
    angles: Angles = {
        "bend": draws.number(-10, 20),
        "side": draws.number(-20, 20),
        "turn": draws.number(-25, 25),
        "roll": draws.number(-8, 8),
    }
    for side in ("left", "right"):
        angles |= {
            f"{side}_shoulder_flexion": draws.number(-20, 120),
            f"{side}_shoulder_abduction": draws.number(10, 130),
            f"{side}_arm_twist": draws.number(-50, 60),
            f"{side}_elbow": draws.number(10, 120),
            f"{side}_hip_flexion": draws.number(-10, 45),
            f"{side}_hip_abduction": draws.number(0, 35),
            f"{side}_leg_twist": draws.number(0, 30),
            f"{side}_knee": draws.number(5, 60),
        }
    if draws.chance(0.25):  # a leg up
        angles |= {"left_hip_flexion": draws.number(50, 95), "left_knee": draws.number(20, 100)}
    return angles


def _lying(draws: Draws) -> Angles:
    """Return angles that leave the body flat: no limb points down into the ground."""
    way = draws.pick(("back", "back", "front", "side"))
    if way == "back":
        # With knees that bend more than this the feet would push the trunk up.
        lift = draws.number(4, 45)
        return {
            "pitch": -88,
            "shoulder_flexion": draws.number(12, 50),
            "shoulder_abduction": draws.number(10, 110),
            "elbow": draws.number(20, 80),
            "hip_flexion": lift,
            "knee": lift * draws.number(0.3, 1.8),
            "hip_abduction": 8,
        }
    if way == "front":
        return {
            "pitch": 88,
            "bend": -8,
            "shoulder_flexion": 168 if draws.chance(0.5) else -12,
            "shoulder_abduction": 14,
            "arm_twist": draws.number(-40, 40),
            "elbow": 8,
            "hip_flexion": -6,
            "knee": draws.number(10, 60),
            "hip_abduction": 10,
        }
    # On the right side.
    return {
        "roll": 88,
        "bend": 8,
        "left_shoulder_flexion": draws.number(20, 90),
        "right_shoulder_flexion": draws.number(60, 120),
        "left_shoulder_abduction": draws.number(0, 30),
        "right_shoulder_abduction": -14,
        "elbow": draws.number(20, 90),
        "left_hip_flexion": draws.number(5, 70),
        "right_hip_flexion": draws.number(0, 40),
        "right_hip_abduction": -6,
        "knee": draws.number(10, 90),
    }


_ACTIONS: dict[str, Callable[[Draws], Angles]] = {
    "standing": _standing,
    "walking": _walking,
    "sitting": _sitting,
    "reaching": _reaching,
    "hugging": _hugging,
    "dancing": _dancing,
    "lying": _lying,
}
ACTIONS = tuple(_ACTIONS)


def act(action: str, draws: Draws) -> Array:
    """Return (24,) joint angles of somebody who does this, in the order of `body.ANGLES`.

    Args:
        action: one of `ACTIONS`.
        draws: decide about what differs between people.
    """
    wanted = _ACTIONS[action](draws)
    means = np.array([_of_side(wanted, name) for name in ANGLES])
    variation = np.array([_of_side(_VARIATION, name) for name in ANGLES])
    angles = within_limits((means + variation * draws.spread(len(ANGLES)))[None])
    found: Array = (mirrored(angles) if draws.chance(0.5) else angles)[0]
    return found


def _of_side(values: Angles, name: str) -> float:
    """Return the value of an angle: its own, or that of both sides, or 0."""
    both = name.removeprefix("left_").removeprefix("right_")
    return values.get(name, values.get(both, 0.0))
