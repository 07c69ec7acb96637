"""Whether the protocols of runs allow to compare them, and what a reader must know of them."""

from __future__ import annotations

from collections.abc import Sequence

from crowdbench.errors import UsageError
from crowdbench.protocol import Protocol
from crowdbench.protocol_differences import Difference, differences_words, join_names


def check_comparable(
    names: Sequence[str], differences: Sequence[tuple[Difference, ...]], allow_mixed: bool
) -> None:
    """Refuse runs that can't be compared.

    Args:
        names: of the runs.
        differences: of each run's protocol to the first's.
        allow_mixed: whether they may differ in what the poses were made from.

    Raises:
        UsageError: naming where they differ.
    """
    grave = [tuple(d for d in found if d.comparable == "never") for found in differences]
    if clauses := differences_words(names, grave):
        raise UsageError(
            f"not comparable with {names[0]}: {'; '.join(clauses)}. These are numbers of another "
            "measurement, which no option compares: choose runs of the same data and rules"
        )
    if not allow_mixed and (clauses := differences_words(names, differences)):
        raise UsageError(
            f"not the protocol of {names[0]}: {'; '.join(clauses)}. --allow-mixed compares them "
            "all the same and marks what differs"
        )


def protocol_notes(
    names: Sequence[str],
    protocols: Sequence[Protocol],
    differences: Sequence[tuple[Difference, ...]],
) -> list[str]:
    """Return what a reader must know of the protocols before comparing, as sentences."""
    notes = [
        f"Not the protocol of {names[0]}: {clause}. Differences come from more than methods."
        for clause in differences_words(names, differences)
    ]
    from_files = [
        name
        for name, protocol in zip(names, protocols, strict=True)
        if protocol.scores == "given" and protocol.boxes in ("none", "predictions")
    ]
    if from_files:
        whose = "all runs" if len(from_files) == len(names) else join_names(from_files)
        notes.append(
            f"The poses of {whose} were read from files, which do not say what boxes they were "
            "made from: these may differ without showing here."
        )
    return notes
