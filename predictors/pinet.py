"""PINet: whole poses inferred from body parts, refined with a graph, and fused. And SPM.

Paper: Wang, Zhang and Hua, Robust Pose Estimation in Crowded Scenes with Direct Pose-Level
Inference, NeurIPS 2021. Official programs and weights: kennethwdk/PINet.

Where the released code is not as the paper says, this is as the code, which gave the published
figures: what the refinement gives is subtracted; on COCO it has two blocks instead of three; the
mirrored image is moved by three pixels. Its multi-scale test cannot run as released; the option
``scales`` does what it is meant to do, with DEKR's factors.

SPM (Nie, Zhang, Yan and Feng, Single-Stage Multi-Person Pose Machines, ICCV 2019) is here what
PINet's authors compare with under that name: the same network with one part, the whole body, and
without refinement and fusion; their Table 1 has the same figures for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from crowdbench.card import Option
from crowdbench.predictor import Request
from crowdbench.predictor_options import check_choice
from predictors.bottomup.found import Found
from predictors.bottomup.merging import FUSION, merging_of, merging_option
from predictors.bottomup.partitions import find_partition
from predictors.bottomup.predictor import SCALES, BottomUp, Method, View, in_full
from predictors.family import Family, make_variant

if TYPE_CHECKING:
    from torch import nn

    from predictors.bottomup.parts import PartMaps
    from predictors.networks.pinet import PINet as Network

_REFINEMENT = Option(
    "refinement",
    ("on", "off"),
    "Whether the poses that body parts give are refined with a graph of keypoints. Default: on",
    ("off", "on"),
    published=("on",),
)
_FUSED, _SUPPRESSED = merging_option(FUSION), merging_option("oks-nms")
_FAMILY = Family(
    "PINet",
    "Wang, Zhang and Hua: Robust Pose Estimation in Crowded Scenes with Direct Pose-Level "
    "Inference. NeurIPS 2021",
    2021,
    options=(SCALES, _FUSED, _REFINEMENT),
)
_UNREFINED = replace(_FAMILY, options=(SCALES, _SUPPRESSED))
_SPM_FAMILY = Family(
    "SPM",
    "Nie, Zhang, Yan and Feng: Single-Stage Multi-Person Pose Machines. ICCV 2019",
    2019,
    options=(SCALES, _SUPPRESSED),
)


class PartBased(BottomUp):
    """A network that regresses whole poses from parts of a body.

    Attributes:
        partition: name of the parts; see `predictors.bottomup.partitions`.
        merging: the option, with its default.
        refines: whether the network has a refinement.
    """

    partition: ClassVar[str]
    merging: ClassVar[Option]
    refines: ClassVar[bool]

    def __init__(self, request: Request) -> None:
        """Resolve the settings; the network is made by `load`.

        Raises:
            UsageError: if an option has no such value.
        """
        name, merging = merging_of(request, self.merging)
        options = {self.merging.name: name}
        refinement = "off"
        if self.refines:
            refinement = request.options.get(_REFINEMENT.name, "on")
            check_choice(_REFINEMENT, refinement)
            options[_REFINEMENT.name] = refinement
        self._is_refined = refinement == "on"
        super().__init__(
            request,
            merging,
            flip_test="shifted(3px,zeros),poses-averaged",
            decoding=f"regression({self.partition}>0.01)",
            scores="part*mean(heat)",
            options=options,
        )

    def use(self, network: nn.Module, device: str) -> None:
        """Predict with this network, moved to `device` and to the precision asked for.

        The refinement stays in fp32: in half precision it would read features up to half a pixel of
        the map beside the joints.
        """
        kept = {}
        if self.refines:
            refinement = cast("Network", network).pr
            kept = {name: value.clone() for name, value in refinement.state_dict().items()}
        super().use(network, device)
        if self.refines:
            self._network.pr.float().load_state_dict(kept)

    def find(self, views: Iterator[View], size: tuple[int, int]) -> Found:
        """Return the poses that the parts in the image give."""
        import torch

        from predictors.bottomup.parts import find
        from predictors.bottomup.regression import DECREASE

        parts = find_partition(self.partition).mirror()
        return find(
            self._maps(views),
            self._mirror,
            torch.tensor(parts, device=self._device),
            self._network.refine_offsets if self._is_refined else None,
            DECREASE[self.skeleton.name],
        )

    def _maps(self, views: Iterable[View]) -> Iterator[PartMaps]:
        from predictors.bottomup.parts import PartMaps

        for view in views:
            features = self._network.features(view.images)
            maps = map(in_full, self._network.maps(features))
            yield PartMaps(view.scale, in_full(features), *maps)

    @property
    def _network(self) -> Network:
        return cast("Network", self.network_there)


class PINet(PartBased):
    """PINet with any backbone."""

    partition = "part-large"
    merging = _FUSED
    refines = True


class SPM(PartBased):
    """Poses regressed from the middle of each person."""

    partition = "center"
    merging = _SUPPRESSED
    refines = False


def _variant(data: str, data_set: str, skeleton: str) -> type[PINet]:
    """Return the network of a data set; those of COCO and OCHuman are different ones."""
    return make_variant(
        PINet,
        _FAMILY,
        "HRNet-W32",
        Method(f"pinet-w32-{data}-512", 512, "shifted"),
        ("pinet",),
        f"for {data_set}",
        (skeleton,),
    )


def _tiny(name: str, remark: str = "") -> type[PINet]:
    """Return a network that `predictors.training` trains; of no paper."""
    method = Method(name, 256, "shifted")
    return make_variant(PINet, _FAMILY, "HRNet-tiny", method, (), remark, ("coco-17",))


def _parted(partition: str) -> type[PartBased]:
    """Return a row of the paper's Table 1b, small: no refinement, another partition."""
    found = make_variant(
        PartBased,
        _UNREFINED,
        "HRNet-tiny",
        Method(f"pinet-tiny-{partition}", 256, "shifted"),
        (),
        f"parts: {partition}, not refined",
        ("coco-17",),
    )
    found.partition, found.merging, found.refines = partition, _SUPPRESSED, False
    return found


COCO = _variant("coco", "COCO", "coco-17")
CrowdPose = _variant("crowdpose", "CrowdPose", "crowdpose-14")
OCHuman = _variant("ochuman", "OCHuman", "coco-17")
SPM_W32 = make_variant(
    SPM, _SPM_FAMILY, "HRNet-W32", Method("spm-w32-512", 512, "shifted"), ("spm",)
)
Tiny = _tiny("pinet-tiny")
# The rows of the paper's Table 1c.
TinyStaticGraph = _tiny("pinet-tiny-static-graph", "graph of the skeleton alone")
TinyNoGraph = _tiny("pinet-tiny-no-graph", "refined without a graph")
SPMTiny = make_variant(
    SPM, _SPM_FAMILY, "HRNet-tiny", Method("spm-tiny", 256, "shifted"), (),
    skeletons=("coco-17",),
)  # fmt: skip
TinyHead = _parted("head")
TinyPartSmall = _parted("part-small")
TinyKeypoint = _parted("keypoint")
