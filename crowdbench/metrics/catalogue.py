"""The metrics crowdbench reports: what each number is, its direction and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Metric(NamedTuple):
    """What a reader must know about a number.

    Attributes:
        name: key in ``metrics.json``.
        description: what it is.
        higher_is_better: its direction.
        source: the tool or paper that defines it.
    """

    name: str
    description: str
    higher_is_better: bool
    source: str


_COCO = "COCO keypoint evaluation (pycocotools)"
_CROWDPOSE = "CrowdPose evaluation (crowdposetools)"

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
    )
}


def in_usual_order(names: Iterable[str]) -> list[str]:
    """Return names of metrics in the catalogue's order; what it does not know comes last.

    >>> in_usual_order(["mine", "AR", "AP"])
    ['AP', 'AR', 'mine']
    """
    given = list(names)
    return [n for n in METRICS if n in given] + [n for n in given if n not in METRICS]
