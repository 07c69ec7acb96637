"""Whether a run may be measured against a baseline at all."""

from __future__ import annotations

from crowdbench.errors import MissingError, UsageError
from crowdbench.gate.baseline import Scored
from crowdbench.metrics.paired import check_same_units
from crowdbench.protocol_differences import protocol_differences


class CannotJudgeError(MissingError):
    """What would be needed to judge is missing (exit code 3)."""


def check_comparable(run: Scored, baseline: Scored) -> None:
    """Refuse a baseline that measures something else than the run.

    Raises:
        CannotJudgeError: if anything but the conditions differs: the split, another part of the
            signature, the annotations, or the images.
    """
    differences = [
        difference.words
        for difference in protocol_differences(run.summary.protocol, baseline.summary.protocol)
        if difference.comparable != "always"
    ]
    here, there = (side.summary.inputs.get("annotations") for side in (run, baseline))
    if here != there and not differences:
        # The protocol has the first digits only.
        digests = [side.sha256 if side else "none" for side in (here, there)]
        differences = [f"another annotation file ({' instead of '.join(digests)})"]
    if differences:
        raise CannotJudgeError(
            f"{run.name} is not comparable with {baseline.name}: it has {', '.join(differences)}. "
            "Make the run as the baseline's was made, or save a baseline of a run like this one"
        )
    try:
        check_same_units(baseline.sample, run.sample, (baseline.name, run.name))
    except UsageError as error:
        raise CannotJudgeError(str(error)) from None
