"""The figures that sum up a condition, on resampled splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crowdbench.conditions.robustness import figure_values, recorded_places
from crowdbench.metrics.bootstrap import Replicates
from crowdbench.results import ConditionDescription, ConditionRow


def resampled_figures(
    facts: ConditionDescription,
    rows: Sequence[ConditionRow],
    numbers: Sequence[Replicates | None],
    metric: str,
) -> dict[str, Replicates]:
    """Return the figures that `crowdbench.conditions.robustness` makes, on resampled splits.

    Args:
        facts: what the condition is.
        rows: of the condition.
        numbers: of each row its main metric; None for a row without one.
        metric: the name of that.

    Returns:
        By name; nothing if no row has a number.
    """
    there = next((found for found in numbers if found is not None), None)
    if there is None:
        return {}
    nothing = Replicates(*(np.full_like(values, np.nan) for values in there))
    found = [nothing if number is None else number for number in numbers]
    places, n_persons = recorded_places(rows), [row.n_persons for row in rows]
    plain, drawn, without = (
        figure_values(
            facts.kind,
            facts.harder,
            places,
            n_persons,
            np.stack([values.ravel() for values in of_rows]),
            metric,
        )
        for of_rows in zip(*found, strict=True)
    )
    return {name: Replicates(plain[name], drawn[name][None], without[name][None]) for name in plain}
