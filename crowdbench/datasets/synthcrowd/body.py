"""The articulated body: its proportions, its joint angles with their limits, and where joints are.

A body's own axes are x to its left, y up, z forward. Angles are degrees, lengths millimetres. All
functions work on P bodies at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdbench.structures import Array

# Name, lowest and highest value, in degrees. Sides: flexion is forward (knee: backward), abduction
# away from the body, twist outward for legs and inward for arms.
_TRUNK = (
    ("pitch", -95, 95),
    ("roll", -95, 95),
    ("bend", -20, 75),
    ("turn", -40, 40),
    ("side", -25, 25),
    ("head_yaw", -70, 70),
    ("head_pitch", -40, 50),
    ("head_roll", -25, 25),
)
_SIDE = (
    ("shoulder_flexion", -45, 175),
    ("shoulder_abduction", -20, 160),
    ("arm_twist", -60, 90),
    ("elbow", 2, 145),
    ("hip_flexion", -20, 115),
    ("hip_abduction", -12, 55),
    ("leg_twist", -25, 40),
    ("knee", 0, 140),
)
ANGLES = (
    *(name for name, _, _ in _TRUNK),
    *(f"left_{name}" for name, _, _ in _SIDE),
    *(f"right_{name}" for name, _, _ in _SIDE),
)
_LIMITS = np.array([row[1:] for row in (*_TRUNK, *_SIDE, *_SIDE)], float)
# Of the foot against the shin, from pointing down to pulled up.
_ANKLE = (-40, 30)
_N_TRUNK, _N_SIDE = len(_TRUNK), len(_SIDE)
# Those that change their sign in a mirror.
_TURNED = np.array([ANGLES.index(n) for n in ("roll", "turn", "side", "head_yaw", "head_roll")])


def within_limits(angles: Array) -> Array:
    """Return angles, (P, 24) in the order of `ANGLES`, clipped to what joints can do."""
    return np.clip(angles, _LIMITS[:, 0], _LIMITS[:, 1])


def mirrored(angles: Array) -> Array:
    """Return the angles of the mirror images.

    >>> angles = np.arange(24.0)[None]
    >>> bool((mirrored(mirrored(angles)) == angles).all())
    True
    """
    sides = angles[:, _N_TRUNK:].reshape(len(angles), 2, _N_SIDE)[:, ::-1]
    trunk = angles[:, :_N_TRUNK].copy()
    trunk[:, _TURNED] *= -1
    return np.concatenate([trunk, sides.reshape(len(angles), -1)], axis=1)


@dataclass(frozen=True)
class Bodies:
    """Where everything of P bodies is, their own axes turned by their heading.

    Attributes:
        stature: (P,) mm.
        points: by name, (P, 3) mm: joints, and points of the face.
        frames: by name, (P, 3, 3): the axes of ``root``, ``chest``, ``head`` and, for both sides,
            ``hand``, ``thigh`` and ``foot``, as columns.
    """

    stature: Array
    points: dict[str, Array]
    frames: dict[str, Array]


@dataclass(frozen=True)
class Proportions:
    """How much longer than the average body's some lengths are, (P,) factors each.

    Attributes:
        legs: of thighs and shins.
        arms: of upper arms and forearms.
        shoulders: between the shoulders.
        hips: between the hips.
        head: of the head.
    """

    legs: Array
    arms: Array
    shoulders: Array
    hips: Array
    head: Array


def place(stature: Array, proportions: Proportions, heading: Array, angles: Array) -> Bodies:
    """Return where everything of the bodies is; the pelvis is the origin.

    Args:
        stature: (P,) mm.
        proportions: of the bodies.
        heading: (P,) degrees; 0 looks along z, 90 to the left.
        angles: (P, 24) degrees in the order of `ANGLES`.

    Source: segment lengths as parts of the stature by Drillis and Contini (1966).
    """
    a = dict(zip(ANGLES, np.deg2rad(angles).T, strict=True))
    root = _ry(np.deg2rad(heading)) @ _rx(a["pitch"]) @ _rz(a["roll"])
    chest = root @ _rx(a["bend"]) @ _ry(a["turn"]) @ _rz(a["side"])
    head = chest @ _ry(a["head_yaw"]) @ _rx(a["head_pitch"]) @ _rz(a["head_roll"])
    frames = {"root": root, "chest": chest, "head": head}
    points = {"pelvis": np.zeros((len(stature), 3))}

    def move(start: str, frame: Array, x: Array | float, y: Array | float, z: float = 0) -> Array:
        arm = np.stack(np.broadcast_arrays(x, y, z, stature)[:3], axis=-1) * stature[:, None]
        moved: Array = points[start] + (frame @ arm[..., None])[..., 0]
        return moved

    points["spine"] = move("pelvis", root, 0, 0.12)
    points["thorax"] = move("spine", chest, 0, 0.168)
    points["neck"] = move("thorax", chest, 0, 0.03)
    h = proportions.head
    points["head_top"] = move("neck", head, 0, 0.152 * h)
    points["head"] = move("neck", head, 0, 0.087 * h)
    points["nose"] = points["neck"] + _scaled(head, stature * h, (0, 0.078, 0.055))
    for name, s in (("left", 1), ("right", -1)):
        points[f"{name}_eye"] = points["neck"] + _scaled(
            head, stature * h, (s * 0.018, 0.091, 0.042)
        )
        points[f"{name}_ear"] = points["neck"] + _scaled(
            head, stature * h, (s * 0.046, 0.085, -0.003)
        )

        points[f"{name}_shoulder"] = move(
            "thorax", chest, s * 0.112 * proportions.shoulders, -0.008
        )
        upper = (
            chest @ _rx(-a[f"{name}_shoulder_flexion"]) @ _rz(s * a[f"{name}_shoulder_abduction"])
        )
        points[f"{name}_elbow"] = move(f"{name}_shoulder", upper, 0, -0.186 * proportions.arms)
        fore = upper @ _ry(-s * a[f"{name}_arm_twist"]) @ _rx(-a[f"{name}_elbow"])
        points[f"{name}_wrist"] = move(f"{name}_elbow", fore, 0, -0.146 * proportions.arms)
        frames[f"{name}_hand"] = fore

        points[f"{name}_hip"] = move("pelvis", root, s * 0.052 * proportions.hips, 0)
        thigh = root @ _rx(-a[f"{name}_hip_flexion"]) @ _rz(s * a[f"{name}_hip_abduction"])
        thigh = thigh @ _ry(s * a[f"{name}_leg_twist"])
        points[f"{name}_knee"] = move(f"{name}_hip", thigh, 0, -0.245 * proportions.legs)
        shin = thigh @ _rx(a[f"{name}_knee"])
        points[f"{name}_ankle"] = move(f"{name}_knee", shin, 0, -0.246 * proportions.legs)
        # The foot stays level as far as the ankle allows.
        slope = a[f"{name}_hip_flexion"] - a[f"{name}_knee"] - a["pitch"]
        foot = shin @ _rx(np.clip(slope, *np.deg2rad(_ANKLE)))
        frames |= {f"{name}_thigh": thigh, f"{name}_foot": foot}
    return Bodies(stature, points, frames)


def _scaled(frame: Array, scale: Array, arm: tuple[float, float, float]) -> Array:
    turned: Array = frame @ np.array(arm)
    return turned * scale[:, None]


def _rotation(angle: Array, first: int, second: int) -> Array:
    """Return (P, 3, 3): turns axis `first` towards axis `second`."""
    matrices = np.zeros((len(angle), 3, 3))
    matrices[:] = np.eye(3)
    cos, sin = np.cos(angle), np.sin(angle)
    matrices[:, first, first] = matrices[:, second, second] = cos
    matrices[:, second, first] = sin
    matrices[:, first, second] = -sin
    return matrices


def _rx(angle: Array) -> Array:
    return _rotation(angle, 1, 2)


def _ry(angle: Array) -> Array:
    return _rotation(angle, 2, 0)


def _rz(angle: Array) -> Array:
    return _rotation(angle, 0, 1)
