"""DEKR: poses regressed from the middle of each person, every joint by convolutions of its own.

Paper: Geng, Sun, Xiao, Zhang and Wang, Bottom-Up Human Pose Estimation via Disentangled Keypoint
Regression, CVPR 2021. Official programs and weights: HRNet/DEKR (MIT).

The published figures have two parts: the network, and a small one that corrects the scores of poses
by their form. The second has a file of its own (the option ``rescoring``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crowdbench.card import Option
from crowdbench.errors import MissingError, UsageError
from crowdbench.files import FileDigest, digest_of_file
from crowdbench.merging import AS_THEY_ARE, Merging, final_poses
from crowdbench.predictor import Request
from crowdbench.predictor_options import check_choice
from crowdbench.structures import Array, Poses
from crowdbench.weights import WEIGHTS_VARIABLE
from predictors.bottomup.found import Found
from predictors.bottomup.merging import merging_of, merging_option
from predictors.bottomup.predictor import SCALES, BottomUp, Method, View, in_full
from predictors.family import Family, make_variant

if TYPE_CHECKING:
    from predictors.bottomup.regression import ScaleMaps
    from predictors.networks.rescoring import RescoringNet

# The official files of the rescoring networks, by keypoint layout.
_RESCORING_FILES = MappingProxyType(
    {
        "coco-17": "final_rescore_coco_kpt.pth",
        "crowdpose-14": "final_rescore_crowd_pose_kpt.pth",
    }
)
_USUAL = "near-joints"
MERGING = merging_option(_USUAL)
MATCHING = Option(
    "matching",
    ("off", "on"),
    "Whether joints are moved to the nearest peaks of their heatmaps. Default: off",
    ("off", "on"),
    published=("off",),
)
RESCORING = Option(
    "rescoring",
    ("off", "FILE"),
    "A rescoring network's weights, which correct the scores of poses. Default: the official file, "
    f"if it is in ${WEIGHTS_VARIABLE} and merging is {_USUAL}; else off",
    published=("sha256:*",),
)
# Where no paper has used one.
_OWN_RESCORING = Option(
    "rescoring",
    ("off", "FILE"),
    "A rescoring network's weights, which correct the scores of poses. Default: off",
    published=("off",),
)


_FAMILY = Family(
    "DEKR",
    "Geng, Sun, Xiao, Zhang and Wang: Bottom-Up Human Pose Estimation via Disentangled Keypoint "
    "Regression. CVPR 2021",
    2021,
    "MIT (official code)",
    (SCALES, MERGING, MATCHING, RESCORING),
)
# Of methods that no paper rescores.
OWN_OPTIONS = (SCALES, MERGING, MATCHING, _OWN_RESCORING)


class CentreBased(BottomUp):
    """A network that gives heatmaps of joints and of persons' centres, and offsets between them.

    Attributes:
        rescores: whether the official rescoring network is looked for.
    """

    rescores: ClassVar[bool] = False

    def __init__(self, request: Request) -> None:
        """Resolve the settings; the networks are made by `load`.

        Raises:
            UsageError: if an option has no such value, or poses are to be both merged by a rule
                that is not DEKR's and rescored.
            MissingError: if the file of a rescoring network is not there.
        """
        merging_name, merging = merging_of(request, MERGING)
        decoding = "regression(centre>0.01)"
        matching = request.options.get(MATCHING.name, "off")
        check_choice(MATCHING, matching)
        self._is_matched = matching == "on"
        self._suppressed: Merging | None = None
        if self._is_matched:
            # In the official program, only poses that are left are matched.
            if merging.rule == _USUAL:
                self._suppressed, merging = merging, AS_THEY_ARE
                decoding += f",{self._suppressed}"
            decoding += ",matched"
        self._rescoring_file = self._find_rescoring(request, merging_name)
        digest: FileDigest | None = None
        if self._rescoring_file is not None:
            digest = digest_of_file(self._rescoring_file)
        self._rescoring: RescoringNet | None = None
        super().__init__(
            request,
            merging,
            flip_test="shifted(3px,kept),poses-averaged",
            decoding=decoding,
            scores="centre*mean(heat)" + ("*rescoring" if digest else ""),
            options={
                MERGING.name: merging_name,
                MATCHING.name: matching,
                RESCORING.name: f"sha256:{digest.sha256[:12]}" if digest else "off",
            },
            inputs={"rescoring": digest} if digest else {},
            notes=self._notes(request, merging_name, digest is not None),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the networks out: processes that only read images are not sent them."""
        return super().__getstate__() | {"_rescoring": None}

    def load(self, device: str, weights: Path | None) -> None:
        """Make the networks, with the weights of the files or with seeded random ones.

        Raises:
            MissingError, InputError: if a file is not there or fits another network.
        """
        super().load(device, weights)
        if self._rescoring_file is not None:
            from predictors.bottomup.rescoring import LINKS
            from predictors.networks.checkpoints import load_checkpoint
            from predictors.networks.rescoring import RescoringNet

            network = RescoringNet(LINKS[self.skeleton.name].n_features)
            load_checkpoint(network, self._rescoring_file, f"{self.card.name}'s rescoring")
            self._rescoring = network.eval()

    def find(self, views: Iterator[View], size: tuple[int, int]) -> Found:
        """Return the poses that the centres in the image give."""
        from predictors.bottomup.matching import match
        from predictors.bottomup.regression import DECREASE, find

        found, heat = find(self._maps(views), self._mirror, DECREASE[self.skeleton.name])
        if self._suppressed is not None:
            found = _left(found, self._suppressed, self.skeleton.sigma_array)
        if self._is_matched and len(found.points):
            found = found._replace(points=match(found.points, found.keypoint_scores, heat))
        return found

    def rescored(self, keypoints: Array, found: Found) -> Array:
        """Return the scores as the rescoring network corrects them, if there is one."""
        if self._rescoring is None or not len(keypoints):
            return found.scores
        import torch

        from predictors.bottomup.rescoring import LINKS, features_of, rescored

        features = features_of(keypoints, found.keypoint_scores, LINKS[self.skeleton.name])
        outputs = self._rescoring(torch.from_numpy(features))
        return rescored(found.scores, outputs.numpy())

    def _maps(self, views: Iterable[View]) -> Iterator[ScaleMaps]:
        from predictors.bottomup.regression import ScaleMaps

        for view in views:
            yield ScaleMaps(view.scale, *map(in_full, self.network_there(view.images)))

    def _find_rescoring(self, request: Request, merging: str) -> Path | None:
        """Return the file of the rescoring network, or None for none."""
        asked = request.options.get(RESCORING.name)
        if asked == "off":
            return None
        if asked is None:
            folder = os.environ.get(WEIGHTS_VARIABLE)
            if not (folder and self.rescores and merging == _USUAL):
                return None
            path = Path(folder) / _RESCORING_FILES[request.split.skeleton.name]
            return path if path.is_file() else None
        if merging != _USUAL:
            raise UsageError(
                f"--option rescoring={asked} goes with --option merging={_USUAL} alone: leave one "
                "of them out"
            )
        path = Path(asked)
        if not path.is_file():
            raise MissingError(
                f"rescoring network: {path} is not there (or --option rescoring=off)"
            )
        return path

    def _notes(self, request: Request, merging: str, is_rescored: bool) -> tuple[str, ...]:
        if is_rescored or not self.rescores or RESCORING.name in request.options:
            return ()
        if merging != _USUAL:
            return (f"not rescored, as poses merged by {merging} have scores of their own",)
        file = _RESCORING_FILES[request.split.skeleton.name]
        note = (
            f"without DEKR's rescoring network, which the published figures contain: put {file} "
            f"into ${WEIGHTS_VARIABLE} or give --option rescoring=FILE"
        )
        return (note,)


def _left(found: Found, merging: Merging, sigmas: Array) -> Found:
    """Return the people of an image that a rule without fusion leaves."""
    none = np.zeros(len(found.points), np.int64)
    poses = Poses(
        none, found.points, found.keypoint_scores, found.scores, none - 1, none, ranks=found.ranks
    )
    left = final_poses(poses, merging, sigmas)
    return Found(left.keypoints, left.keypoint_scores, left.scores, left.ranks)


class DEKR(CentreBased):
    """DEKR of any width."""

    rescores = True


def _variant(channels: int, short_side: int) -> type[DEKR]:
    name = f"dekr-w{channels}"
    method = Method(f"{name}-{short_side}", short_side, "shifted-kept")
    return make_variant(DEKR, _FAMILY, f"HRNet-W{channels}", method, (name, "dekr"))


W32_512 = _variant(32, 512)
W48_640 = _variant(48, 640)
# Trained by `predictors.training`; of no paper.
Tiny = make_variant(
    CentreBased,
    replace(_FAMILY, options=OWN_OPTIONS),
    "HRNet-tiny",
    Method("dekr-tiny", 256, "shifted-kept"),
    (),
    skeletons=("coco-17",),
)
