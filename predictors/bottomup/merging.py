"""How the poses that a regression method gives for each person become one: the option ``merging``.

PINet's pose fusion is a rule like the others, so that any regression method can be run with it.
"""

from __future__ import annotations

from crowdbench.card import Option
from crowdbench.merging import Merging
from crowdbench.predictor import Request
from crowdbench.predictor_options import check_choice
from predictors.bottomup.predictor import SCALES, parse_scales

_HELP = (
    "How poses of one person become one: fusion (PINet: of poses alike, each keypoint's best), "
    "oks-nms (of those, the best pose) or near-joints (DEKR's suppression). Default: "
)
# The gamma of PINet's paper.
_OKS = 0.7
# Of DEKR: the distance, in diagonals of the pose, below which joints are near each other, by
# whether there are several scales; and by the number of joints, how many must not be exceeded.
_SHARES = {False: 0.05, True: 0.15}
_JOINTS = {17: 8, 14: 7}
_MOST = 30

FUSION = "fusion"


def merging_option(usual: str) -> Option:
    """Return the option with its default, which is what the method's authors do."""
    study = (usual, FUSION) if usual != FUSION else ("oks-nms", FUSION)
    return Option(
        "merging", (FUSION, "oks-nms", "near-joints"), _HELP + usual, study, published=(usual,)
    )


def merging_of(request: Request, option: Option) -> tuple[str, Merging]:
    """Return which rule was asked for, by default the option's usual one, and the rule.

    Raises:
        UsageError: if there is no such rule.
    """
    (usual,) = option.published
    chosen = request.options.get(option.name, usual)
    check_choice(option, chosen)
    if chosen == FUSION:
        return chosen, Merging("oks-fusion", _OKS)
    if chosen == "oks-nms":
        return chosen, Merging("oks-nms", _OKS)
    several = len(parse_scales(request.options.get(SCALES.name, "1"))) > 1
    joints = _JOINTS[len(request.split.skeleton)]
    return chosen, Merging("near-joints", share=_SHARES[several], joints=joints, most=_MOST)
