"""The table of published results: the measured row, and what papers printed below it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crowdbench.metrics.catalogue import METRICS, main_metric
from crowdbench.record import Run
from crowdbench.results import Metrics
from crowdbench.terminal import difference, number
from reports.comparison import obstacles
from reports.markup import superscript
from reports.published import Entry, Setting
from reports.same_setting import has_random_weights, is_same_setting, measured_boxes, scales_of
from reports.tables import NONE, Table

# The end of the name of the column of differences, and of its name in the CSV.
_DIFFERENCE, _POINTS = " difference", "_difference_points"
_SETTINGS = ("boxes", "input_size", "backbone", "trained_on", "test", "refinement")
_SETTINGS_3D = (*_SETTINGS, "roots")


def published_table(run: Run, metrics: Metrics, entries: Sequence[Entry]) -> Table:
    """Return the measured row and the published ones below it, in percent or millimetres.

    The metrics shown are those that at least half of the published rows give, of 3D metrics all
    that any gives; the CSV has all.
    Doubtful figures have a footnote; its mark stands at the name where the settings are in doubt.
    Differences to rows of the same setting have a column if there are any.
    """
    in_papers = [name for entry in entries for name in entry.metrics]
    known = [name for name in METRICS if name in metrics.metrics or name in in_papers]
    shown = [
        name
        for name in known
        if 2 * in_papers.count(name) >= len(entries) or (METRICS[name].is_3d and name in in_papers)
    ]
    main = main_metric(known)
    in_points, in_csv = main + _DIFFERENCE, main + _POINTS
    doubted = [entry for entry in entries if _shows_doubt(entry, shown)]
    measured = {name: metric.value for name, metric in metrics.metrics.items()}
    comparable = not obstacles(run, metrics)
    are_same = [is_same_setting(run, entry) for entry in entries]
    differences = [
        _difference(measured.get(main), entry, main) if same and comparable else None
        for entry, same in zip(entries, are_same, strict=True)
    ]
    if main in shown and any(value is not None for value in differences):
        shown.insert(shown.index(main) + 1, in_points)
    data = [_measured_data(run, measured, known)]
    cells = [_measured_cells(run, measured, shown)]
    for entry, same, points in zip(entries, are_same, differences, strict=True):
        mark = superscript(doubted.index(entry) + 1) if entry in doubted else ""
        data.append(_published_data(entry, known) | {"same_setting": same, in_csv: points})
        cells.append(_published_cells(entry, shown, same, points, mark))
    columns = (
        *("origin", "method", "name", "variant"),
        *(_SETTINGS if metrics.pose3d is None else _SETTINGS_3D),
        *(_column(name) for name in known),
        *("same_setting", in_csv),
        *("paper", "table", "section", "row", "column", "inferred", "doubtful", "remarks"),
    )
    return Table(
        name="published",
        data=pd.DataFrame(data, columns=list(columns)),
        header=("method", "boxes", *shown, "settings", "source"),
        cells=tuple(cells),
        numbers=frozenset(shown),
        footnotes=tuple(
            f"Doubtful: {', '.join(entry.doubtful)}. {entry.remarks}" for entry in doubted
        ),
        bold=frozenset((0,)),
        sorted_by={m: in_csv if m == in_points else _column(m) for m in shown},
    )


def _column(metric: str) -> str:
    """Return the name of a metric's column in the CSV."""
    return metric if METRICS[metric].unit == "mm" else f"{metric}_percent"


def _difference(measured: float | None, entry: Entry, main: str) -> float | None:
    """Return measured minus published value in points; None where either is absent or in doubt."""
    printed = entry.metrics.get(main)
    if measured is None or not isinstance(printed, float) or main in entry.doubtful:
        return None
    return 100 * measured - printed


def measured_name(run: Run) -> str:
    """Return what a run is called beside published rows."""
    return f"{run.predictor.name} (this run)"


def _measured_data(
    run: Run, measured: dict[str, float | None], metrics: Sequence[str]
) -> dict[str, object]:
    facts = run.predictor
    return {
        "origin": "measured",
        "method": facts.card.name,
        "name": measured_name(run),
        "boxes": measured_boxes(run),
        "input_size": facts.maker.input_size or None,
        "backbone": facts.maker.backbone or None,
        **{
            _column(m): v if METRICS[m].unit == "mm" else 100 * v
            for m in metrics
            if (v := measured.get(m)) is not None
        },
    }


def _measured_cells(
    run: Run, measured: dict[str, float | None], columns: Sequence[str]
) -> tuple[str, ...]:
    return (
        measured_name(run),
        measured_boxes(run),
        *(
            NONE
            if name.endswith(_DIFFERENCE)
            else number(measured.get(name), METRICS[name].unit, 1)
            for name in columns
        ),
        measured_settings(run),
        "this run",
    )


def measured_settings(run: Run) -> str:
    """Return what is known of a run's network, e.g. ``256x192, HRNet-W32``."""
    scales = scales_of(run)
    maker = run.predictor.maker
    weights = "random weights" if has_random_weights(run) else ""
    several = "" if scales == "1" else f"scales {scales}"
    facts = filter(None, (maker.input_size, maker.backbone, several, weights))
    return ", ".join(facts) or "not recorded"


def _published_data(entry: Entry, metrics: Sequence[str]) -> dict[str, object]:
    source = entry.source
    return {
        "origin": "published",
        "method": entry.method,
        "name": entry.name,
        "variant": entry.variant,
        "paper": source.paper,
        "table": source.table,
        "section": source.section,
        "row": source.row,
        "column": source.column,
        "inferred": "; ".join(entry.inferred) or None,
        "doubtful": "; ".join(entry.doubtful) or None,
        "remarks": entry.remarks or None,
        **{key: entry.settings.get(key) for key in _SETTINGS_3D},
        **{_column(name): entry.metrics.get(name) for name in metrics},
    }


def _published_cells(
    entry: Entry, columns: Sequence[str], same: bool, points: float | None, mark: str
) -> tuple[str, ...]:
    def figure(name: str) -> str:
        if name.endswith(_DIFFERENCE):
            # One digit, as papers print it.
            return NONE if points is None else difference(points / 100, "fraction", 1)
        return f"{entry.metrics.get(name, NONE)}{mark if name in entry.doubtful else ''}"

    name = entry.name if entry.variant is None else f"{entry.name}, {entry.variant}"
    filled = (f"; {metric}: {place}" for metric, place in entry.filled.items())
    return (
        name + (" (same setting)" if same else "") + (mark if entry.doubtful_settings else ""),
        entry.boxes,
        *map(figure, columns),
        settings_words(entry) or NONE,
        f"{entry.source}{''.join(filled)}",
    )


def _shows_doubt(entry: Entry, metrics: Sequence[str]) -> bool:
    """Return whether something doubtful of the row stands in a table with these metrics."""
    return bool(entry.doubtful_settings) or any(name in metrics for name in entry.doubtful)


def settings_words(entry: Entry) -> str:
    """Return all settings but the boxes, e.g. ``256x192, HRNet-W32, on coco-train``."""
    return ", ".join(
        _setting_words(key, entry.settings[key])
        + (" (inferred)" if f"settings.{key}" in entry.inferred else "")
        for key in _SETTINGS_3D[1:]
        if key in entry.settings
    )


def _setting_words(key: str, value: Setting) -> str:
    if key == "trained_on":
        return f"on {value}"
    if key == "roots":
        return f"{value} roots"
    if key == "refinement":
        return "refined" if value is True else f"refined ({value})"
    return str(value)
