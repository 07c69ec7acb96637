"""The metrics crowdbench reports: what each number is, its direction and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """What a reader must know about a number.

    Attributes:
        name: key in ``metrics.json``.
        description: what it is.
        higher_is_better: its direction.
        source: the tool or paper that defines it.
        unit: ``fraction`` or ``mm``.
        is_3d: whether it is one of poses in space.
    """

    name: str
    description: str
    higher_is_better: bool
    source: str
    unit: Literal["fraction", "mm"] = "fraction"
    is_3d: bool = False


_COCO = "COCO keypoint evaluation (pycocotools)"
_CROWDPOSE = "CrowdPose evaluation (crowdposetools)"

_MUPOTS = "official evaluation of MuPoTS-3D (MATLAB)"
_PI_NET = "3DMPPE and PI-Net (rigid_align)"


def _of_mupots() -> Iterator[Metric]:
    """Yield the metrics of the official script, from the root and in the camera's axes."""
    for suffix, where in (("", "from the root"), ("_abs", "in the axes of the camera")):
        for who, words in (("all", "all evaluated persons"), ("matched", "matched persons")):
            yield Metric(
                f"3DPCK_{who}{suffix}",
                f"share of the joints of {words} less than 150 mm off, {where}",
                True,
                _MUPOTS,
                is_3d=True,
            )
            yield Metric(
                f"AUC_{who}{suffix}",
                f"mean of 3DPCK_{who}{suffix} over the thresholds 0, 5 ... 150 mm; 30/31 at most",
                True,
                _MUPOTS,
                is_3d=True,
            )
    for suffix, where in (("", "from the root"), ("_abs", "in the axes of the camera")):
        yield Metric(
            f"MPJPE_mapped{suffix}_mm",
            f"mean distance of the scored joints of matched persons {where}, after their bones got "
            "the annotated lengths",
            False,
            _MUPOTS,
            "mm",
            is_3d=True,
        )


# CrowdPose's three crowding levels.
LEVEL_METRICS = ("AP_easy", "AP_medium", "AP_hard")

METRICS = {
    metric.name: metric
    for metric in (
        Metric("AP", "average precision, mean over OKS 0.50 to 0.95", True, _COCO),
        Metric("AP50", "average precision at OKS 0.50", True, _COCO),
        Metric("AP75", "average precision at OKS 0.75", True, _COCO),
        Metric("AP_M", "AP of persons of 32² to 96² px²", True, _COCO),
        Metric("AP_L", "AP of persons of 96² px² and more", True, _COCO),
        Metric("AR", "recall of up to 20 poses per image, mean over OKS", True, _COCO),
        Metric("AR50", "recall at OKS 0.50", True, _COCO),
        Metric("AR75", "recall at OKS 0.75", True, _COCO),
        Metric("AR_M", "AR of persons of 32² to 96² px²", True, _COCO),
        Metric("AR_L", "AR of persons of 96² px² and more", True, _COCO),
        Metric("AP_easy", "AP on images with crowd index below 0.2", True, _CROWDPOSE),
        Metric("AP_medium", "AP on images with crowd index 0.2 to 0.8", True, _CROWDPOSE),
        Metric("AP_hard", "AP on images with crowd index 0.8 and above", True, _CROWDPOSE),
        Metric(
            "PCK",
            "share of the labelled keypoints of evaluated persons that the pose matched at OKS "
            "0.50 puts within 0.1 of the box's longer side; those of missed persons count as wrong",
            True,
            "crowdbench",
        ),
        Metric(
            "OKS_matched",
            "mean keypoint similarity over the labelled keypoints of persons matched at OKS 0.50",
            True,
            "crowdbench",
        ),
        *_of_mupots(),
        Metric(
            "MPJPE_mm",
            "mean distance of all joints, roots together",
            False,
            _PI_NET,
            "mm",
            is_3d=True,
        ),
        Metric(
            "PA_MPJPE_rigid_mm",
            "mean distance of all joints after the best rotation and shift, without scaling",
            False,
            _PI_NET,
            "mm",
            is_3d=True,
        ),
        Metric(
            "PA_MPJPE_mm",
            "mean distance of all joints after the best rotation, shift and scale",
            False,
            "similarity transform, as papers on single persons have it",
            "mm",
            is_3d=True,
        ),
    )
}
# In 2D and in 3D.
_MAIN_METRICS = ("AP", "3DPCK_all")


def main_metric(names: Iterable[str]) -> str:
    """Return what stands for a run where there is room for one number, given its metrics.

    >>> main_metric(["AUC_all", "3DPCK_all"]), main_metric([])
    ('3DPCK_all', 'AP')
    """
    given = set(names)
    return next((name for name in _MAIN_METRICS if name in given), _MAIN_METRICS[0])


def in_usual_order(names: Iterable[str]) -> list[str]:
    """Return names of metrics in the catalogue's order; what it does not know comes last.

    >>> in_usual_order(["mine", "AR", "AP"])
    ['AP', 'AR', 'mine']
    """
    given = list(names)
    return [n for n in METRICS if n in given] + [n for n in given if n not in METRICS]
