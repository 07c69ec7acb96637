"""The table of published results: the measured row, and what papers printed below it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crowdbench.metrics.catalogue import METRICS
from crowdbench.record import Run
from crowdbench.results import Metrics
from crowdbench.terminal import percent
from reports.comparison import obstacles
from reports.markup import superscript
from reports.published import Entry, Setting
from reports.same_setting import has_random_weights, is_same_setting, measured_boxes
from reports.tables import NONE, Table, points

# The column of differences, and what it is called in the CSV.
_DIFFERENCE, _POINTS = "AP difference", "AP_difference_points"
_SETTINGS = ("boxes", "input_size", "backbone", "trained_on", "test", "refinement")


def published_table(run: Run, metrics: Metrics, entries: Sequence[Entry]) -> Table:
    """Return the measured row and the published ones below it, all in percent.

    The metrics shown are those that at least half of the published rows give; the CSV has all.
    Doubtful figures have a footnote; its mark stands at the name where the settings are in doubt.
    Differences to rows of the same setting have a column if there are any.
    """
    in_papers = [name for entry in entries for name in entry.metrics]
    known = [name for name in METRICS if name in metrics.metrics or name in in_papers]
    shown = [name for name in known if 2 * in_papers.count(name) >= len(entries)]
    doubted = [entry for entry in entries if _shows_doubt(entry, shown)]
    measured = {name: metric.value for name, metric in metrics.metrics.items()}
    comparable = not obstacles(run, metrics)
    are_same = [is_same_setting(run, entry) for entry in entries]
    differences = [
        _difference(measured.get("AP"), entry) if same and comparable else None
        for entry, same in zip(entries, are_same, strict=True)
    ]
    if "AP" in shown and any(value is not None for value in differences):
        shown.insert(shown.index("AP") + 1, _DIFFERENCE)
    data = [_measured_data(run, measured, known)]
    cells = [_measured_cells(run, measured, shown)]
    for entry, same, difference in zip(entries, are_same, differences, strict=True):
        mark = superscript(doubted.index(entry) + 1) if entry in doubted else ""
        data.append(_published_data(entry, known, same, difference))
        cells.append(_published_cells(entry, shown, same, difference, mark))
    columns = (
        *("origin", "method", "name", "variant", *_SETTINGS),
        *(f"{name}_percent" for name in known),
        *("same_setting", _POINTS),
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
        bold_first=True,
        sorted_by={m: _POINTS if m == _DIFFERENCE else f"{m}_percent" for m in shown},
    )


def _difference(measured: float | None, entry: Entry) -> float | None:
    """Return measured minus published AP in points; None where either is absent or in doubt."""
    printed = entry.metrics.get("AP")
    if measured is None or not isinstance(printed, float) or "AP" in entry.doubtful:
        return None
    return 100 * measured - printed


def _measured_name(run: Run) -> str:
    return f"{run.predictor.card.name} (this run)"


def _measured_data(
    run: Run, measured: dict[str, float | None], metrics: Sequence[str]
) -> dict[str, object]:
    card = run.predictor.card
    return {
        "origin": "measured",
        "method": card.name,
        "name": _measured_name(run),
        "boxes": measured_boxes(run),
        "input_size": card.input_size or None,
        "backbone": card.backbone or None,
        **{f"{m}_percent": 100 * v for m in metrics if (v := measured.get(m)) is not None},
    }


def _measured_cells(
    run: Run, measured: dict[str, float | None], columns: Sequence[str]
) -> tuple[str, ...]:
    card = run.predictor.card
    weights = "random weights" if has_random_weights(run) else ""
    return (
        _measured_name(run),
        measured_boxes(run),
        *(percent(measured.get(name), 1) for name in columns),
        ", ".join(filter(None, (card.input_size, card.backbone, weights))) or "not recorded",
        "this run",
    )


def _published_data(
    entry: Entry, metrics: Sequence[str], same: bool, difference: float | None
) -> dict[str, object]:
    source = entry.source
    return {
        "origin": "published",
        "method": entry.method,
        "name": entry.name,
        "variant": entry.variant,
        "same_setting": same,
        _POINTS: difference,
        "paper": source.paper,
        "table": source.table,
        "section": source.section,
        "row": source.row,
        "column": source.column,
        "inferred": "; ".join(entry.inferred) or None,
        "doubtful": "; ".join(entry.doubtful) or None,
        "remarks": entry.remarks or None,
        **{key: entry.settings.get(key) for key in _SETTINGS},
        **{f"{name}_percent": entry.metrics.get(name) for name in metrics},
    }


def _published_cells(
    entry: Entry, columns: Sequence[str], same: bool, difference: float | None, mark: str
) -> tuple[str, ...]:
    def figure(name: str) -> str:
        if name == _DIFFERENCE:
            # One digit, as papers print it.
            return NONE if difference is None else points(difference / 100, 1)
        return f"{entry.metrics.get(name, NONE)}{mark if name in entry.doubtful else ''}"

    name = entry.name if entry.variant is None else f"{entry.name}, {entry.variant}"
    filled = (f"; {metric}: {place}" for metric, place in entry.filled.items())
    return (
        name + (" (same setting)" if same else "") + (mark if entry.doubtful_settings else ""),
        entry.boxes,
        *map(figure, columns),
        _settings_words(entry) or NONE,
        f"{entry.source}{''.join(filled)}",
    )


def _shows_doubt(entry: Entry, metrics: Sequence[str]) -> bool:
    """Return whether something doubtful of the row stands in a table with these metrics."""
    return bool(entry.doubtful_settings) or any(name in metrics for name in entry.doubtful)


def _settings_words(entry: Entry) -> str:
    """Return all settings but the boxes, e.g. ``256x192, HRNet-W32, on coco-train``."""
    return ", ".join(
        _setting_words(key, entry.settings[key])
        + (" (inferred)" if f"settings.{key}" in entry.inferred else "")
        for key in _SETTINGS[1:]
        if key in entry.settings
    )


def _setting_words(key: str, value: Setting) -> str:
    if key == "trained_on":
        return f"on {value}"
    if key == "refinement":
        return "refined" if value is True else f"refined ({value})"
    return str(value)
