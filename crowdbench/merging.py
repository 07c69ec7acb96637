"""Merging: candidates become final poses, one for each person."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from crowdbench.errors import InputError, UsageError
from crowdbench.near_joints import drop_near
from crowdbench.pose_fusion import drop_similar, fuse_similar
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, Poses

Rule = Literal["none", "oks-nms", "oks-fusion", "near-joints"]


class Merging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How candidates become final poses, as data.

    Attributes:
        rule: ``none``: they are final as they are; ``oks-nms``: a candidate is dropped when a
            better one of its image that stays is too similar; ``oks-fusion``: candidates that are
            too similar are fused into one pose, see `crowdbench.pose_fusion.fuse_similar`;
            ``near-joints``: one of those whose joints are close together stays, see
            `crowdbench.near_joints.drop_near`.
        oks: of the rules by OKS, the similarity above which two are too similar.
        sigmas: constants of OKS that merging has other than the evaluation, by keypoint.
        share: of ``near-joints``, the distance below which joints are close, as a part of the
            diagonal of a pose's extent.
        joints: of ``near-joints``, how many joints may be close without the two being near.
        most: of ``near-joints``, how many poses of an image stay; 0 for no limit.
    """

    rule: Rule = "none"
    oks: float = 0.9
    sigmas: dict[str, float] = {}
    share: float = 0.05
    joints: int = 8
    most: int = 30

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            UsageError: if there is one.
        """
        for name, least in (("oks", 0), ("share", 0), ("joints", 0), ("most", 0)):
            value = getattr(self, name)
            if not value >= least:
                raise UsageError(f"merging has {name}={value:g}, expected {least} or more")

    def __str__(self) -> str:
        if self.rule == "none":
            return "none"
        if self.rule == "near-joints":
            return f"near-joints({self.share:g},>{self.joints},{self.most or 'all'})"
        others = "".join(f",{name}={sigma:g}" for name, sigma in sorted(self.sigmas.items()))
        return f"{self.rule}({self.oks:g}{others})"

    @property
    def needs_areas(self) -> bool:
        """Whether candidates are compared by OKS, for which they need `Poses.areas`."""
        return self.rule in ("oks-nms", "oks-fusion")

    @property
    def is_by_choice(self) -> bool:
        """Whether candidates can be chosen by their boxes and merged anew for every choice.

        The other rules are for candidates without box scores: they make new poses, or visit the
        candidates in an order that means nothing once some are left out.
        """
        return self.rule in ("none", "oks-nms")

    def sigmas_for(self, skeleton: Skeleton) -> Array:
        """Return (K,) float64: the constants of OKS that merging has.

        Raises:
            UsageError: if one is of a keypoint that the layout does not have, or not positive.
        """
        sigmas = skeleton.sigma_array
        for name, sigma in self.sigmas.items():
            if name not in skeleton.keypoints or not 0 < sigma < float("inf"):
                raise UsageError(
                    f"merging has the constant {sigma:g} for {name!r}, expected a positive one for "
                    f"a keypoint of {skeleton.name}"
                )
            sigmas[skeleton.keypoints.index(name)] = sigma
        return sigmas


AS_THEY_ARE = Merging()


def merge(poses: Poses, taking_part: Array, merging: Merging, sigmas: Array) -> Array:
    """Return which candidates stay, for many choices of candidates at once.

    Args:
        poses: D candidates; for ``oks-nms`` with their `areas`.
        taking_part: (D, V) bool, the candidates of each choice.
        merging: a rule that `is_by_choice`.
        sigmas: (K,) constants of OKS, see `Merging.sigmas_for`.

    Returns:
        (D, V) bool.

    Raises:
        InputError: if ``oks-nms`` is asked for and the candidates have no areas.
    """
    assert merging.is_by_choice
    _check_areas(poses, merging)
    if merging.rule == "none":
        return taking_part
    return drop_similar(poses, taking_part, merging.oks, sigmas)


def final_poses(poses: Poses, merging: Merging, sigmas: Array) -> Poses:
    """Return what merging makes of all candidates, by any rule.

    Args:
        poses: D candidates; for the rules by OKS with their `areas`.
        merging: the rule.
        sigmas: (K,) constants of OKS, see `Merging.sigmas_for`.

    Returns:
        The final poses of an image in the order of the candidates that they are, or that were the
        best of those they were fused from.

    Raises:
        InputError: if a rule by OKS is asked for and the candidates have no areas.
    """
    _check_areas(poses, merging)
    match merging.rule:
        case "none":
            return poses
        case "oks-nms":
            everything = np.ones((len(poses), 1), bool)
            return poses.take(drop_similar(poses, everything, merging.oks, sigmas)[:, 0])
        case "oks-fusion":
            return fuse_similar(poses, merging.oks, sigmas)
        case "near-joints":
            return poses.take(drop_near(poses, merging.share, merging.joints, merging.most))


def _check_areas(poses: Poses, merging: Merging) -> None:
    if merging.needs_areas and poses.areas is None and len(poses):
        raise InputError(
            f"{merging.rule} needs the areas of the candidates, which this predictor left out"
        )
