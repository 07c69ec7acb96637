"""What a refiner changed, in tables: the metrics before and after it, and the persons of scenes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crowdbench.drawn_3d import DrawnScene3D
from crowdbench.results import Metrics
from crowdbench.terminal import difference, number
from reports.tables import NONE, Table

TITLE = "Refinement"
LEGEND = (
    "Before: the poses that the refiner started from, scored alone and averaged in the same way; "
    "in millimetres, lower is better. Persons: those with a pose. Closer and further: persons with "
    "a pose before and after whose own mean error refinement made smaller and larger."
)


def refinement_table(metrics: Metrics) -> Table:
    """Return the metrics before and after refinement; without rows if nothing was refined."""
    refined = None if metrics.pose3d is None else metrics.pose3d.refinement
    rows = [
        (name, r.before, metric.value, r.n, metric.n, r.n_better, r.n_worse)
        for name, r in ({} if refined is None else refined.metrics).items()
        if (metric := metrics.metrics.get(name)) is not None
    ]
    columns = ["metric", "before", "after", "persons_before", "persons", "closer", "further"]
    data = pd.DataFrame(rows, columns=columns)
    data.insert(3, "change", data["after"].astype(float) - data["before"].astype(float))
    header = ("metric", "before", "after", "change", "persons", "closer", "further")
    return Table(
        name="refinement",
        data=data,
        header=header,
        cells=tuple(
            (
                name,
                *errors_cells(before, after),
                _persons_cell(n_before, n),
                *(f"{count:,}" for count in counts),
            )
            for name, before, after, n_before, n, *counts in rows
        ),
        numbers=frozenset(header[1:]),
        sorted_by={name: name for name in header[1:]},
    )


def _persons_cell(before: int, after: int) -> str:
    """Return how many persons have a pose; of how many each number is, if they are not as many."""
    return f"{after:,}" if before == after else f"{before:,} before, {after:,} after"


def scenes_table(scenes: Sequence[DrawnScene3D]) -> Table:
    """Return the error of every person of the scenes before and after; without rows likewise.

    Args:
        scenes: the best first.
    """
    rows = [
        (rank_words(scene), scene.file_name, scene.image_id, number_, person_id, before, after)
        for scene in scenes
        for number_, person_id, before, after in (
            *(
                (str(i), person.person_id, person.before_mm, person.after_mm)
                for i, person in enumerate(scene.persons, 1)
            ),
            ("mean", None, scene.before_mm, scene.after_mm),
        )
    ]
    columns = ["scene", "image", "image_id", "number", "person_id", "before_mm", "after_mm"]
    data = pd.DataFrame(rows, columns=columns).astype({"person_id": "Int64"})
    data["change_mm"] = data["after_mm"] - data["before_mm"]
    return Table(
        name="refinement-scenes",
        data=data,
        header=("scene", "image", "person", "id", "before", "after", "change"),
        cells=tuple(
            (
                scene,
                f"{image} (id {image_id})",
                number_,
                NONE if person_id is None else str(person_id),
                *errors_cells(before, after),
            )
            for scene, image, image_id, number_, person_id, before, after in rows
        ),
        numbers=frozenset(("person", "id", "before", "after", "change")),
        bold=frozenset(i for i, row in enumerate(rows) if row[4] is None),
        sorted_by={
            "id": "person_id",
            "before": "before_mm",
            "after": "after_mm",
            "change": "change_mm",
        },
    )


def rank_words(scene: DrawnScene3D) -> str:
    """Return which of all scenes it is."""
    change = scene.after_mm - scene.before_mm
    if change == 0 and scene.rank != "median":
        return "Unchanged"
    return {
        "best": "Gained most" if change < 0 else "Lost least",
        "median": "Median",
        "worst": "Lost most" if change > 0 else "Gained least",
    }[scene.rank]


def errors_cells(before: float | None, after: float | None) -> tuple[str, str, str]:
    """Return an error before and after, and the change, as tables show them.

    >>> errors_cells(120.34, 98.1), errors_cells(None, None)
    (('120.3', '98.1', '-22.2'), ('-', '-', '-'))
    """
    change = NONE if before is None or after is None else difference(after - before, "mm")
    return number(before, "mm"), number(after, "mm"), change
