"""The content of ``comparison.json``: runs side by side, as one value."""

from __future__ import annotations

import msgspec

from crowdbench.files import FileDigest
from crowdbench.protocol import Protocol
from crowdbench.results import (
    Bootstrap,
    ConditionDescription,
    ConditionRow,
    KeypointErrors,
    Metric,
    Paired,
    PckCurve,
    PrecisionCurve,
)

SCHEMA_VERSION = 5


class ComparedRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the runs.

    Attributes:
        name: what tables and plots call it: the end of its folder's path, as long as is needed to
            tell it from the others; or the value that an ablation gave it, e.g. ``grouping=all``.
        predictor: its name.
        backbone: of the predictor's network, of a refiner of its base's, or empty.
        input_size: likewise.
        split: its name.
        signature: the protocol in a line.
        protocol: the same as a value.
        differences: where the protocol is another than the first run's in what the numbers on the
            whole split depend on, in words.
        inputs: the files it was made from, by role.
        options: what its predictor was asked for.
        counts: images, persons and poses by kind.
        curves: precision over recall at OKS 0.50 and 0.75; empty for 3D poses.
        pck_curves: 3DPCK over its threshold, of each kind; empty for 2D poses.
        keypoint_errors: what is wrong with keypoints of persons that it found; null for 3D poses.
        notes: what a reader should know about it.
    """

    name: str
    predictor: str
    backbone: str
    input_size: str
    split: str
    signature: str
    protocol: Protocol
    differences: tuple[str, ...]
    inputs: dict[str, FileDigest]
    options: dict[str, str]
    counts: dict[str, int]
    curves: tuple[PrecisionCurve, ...]
    pck_curves: tuple[PckCurve, ...]
    keypoint_errors: KeypointErrors | None
    notes: tuple[str, ...]


class ComparedMetric(Metric, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One number of a run, beside the first run's.

    Attributes:
        difference: its value less the first run's, in its unit; null when either is null.
        paired: whether the difference is more than chance; null where that is not tested.
    """

    difference: float | None
    paired: Paired | None = None


class ComparedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same row of a condition in every run.

    Attributes:
        label: of the row.
        runs: the row of each run, in the order of the runs; null where the run has none.
        differences: of the main metric, to the first run's; null where either has none.
        paired: whether each of them is more than chance; null where that is not tested.
    """

    label: str
    runs: tuple[ConditionRow | None, ...]
    differences: tuple[float | None, ...]
    paired: tuple[Paired | None, ...]


class ComparedCondition(ConditionDescription, frozen=True, forbid_unknown_fields=True):
    """A condition that two or more runs have by the same rule.

    Attributes:
        rows: in the order of their values.
    """

    rows: tuple[ComparedRow, ...]


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs whose rows of a condition are not compared.

    Attributes:
        condition: its name.
        runs: their names.
        reason: why.
    """

    condition: str
    runs: tuple[str, ...]
    reason: str


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``comparison.json``. Lists of one entry per run are in the order of `runs`.

    Attributes:
        schema_version: of this file.
        runs: as given; differences are to the first.
        main_metric: the name of the one that stands for a run, by which rows are compared.
        metrics: the numbers on the whole split, by name; null where a run does not have one.
        conditions: by name, those that are compared.
        left_out: what of the conditions is not.
        robustness: by condition, the figures that sum up its rows.
        notes: what a reader must know before comparing, as sentences.
        bootstrap: how the images were drawn, the same ones for all runs, to tell differences from
            chance; null where no difference is tested.
    """

    schema_version: int
    runs: tuple[ComparedRun, ...]
    main_metric: str
    metrics: dict[str, tuple[ComparedMetric | None, ...]]
    conditions: dict[str, ComparedCondition]
    left_out: tuple[LeftOut, ...]
    robustness: dict[str, dict[str, tuple[ComparedMetric | None, ...]]]
    notes: tuple[str, ...]
    bootstrap: Bootstrap | None
