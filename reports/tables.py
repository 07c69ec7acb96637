"""The tables of a report: as data with full precision, and as a reader sees them.

CSV comes from the data; Markdown and LaTeX from the text of the cells, which is rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from crowdbench.files import write_text
from crowdbench.metrics.catalogue import METRICS
from crowdbench.record import Run
from crowdbench.results import Metrics
from crowdbench.terminal import percent
from reports.comparison import measured_boxes
from reports.markup import latex_glyphs, latex_text, markdown_text, one_line, superscript
from reports.published import Entry, Setting

NONE = "-"
# A longer table is folded in a pull request.
_MOST_ROWS = 20
_SETTINGS = ("boxes", "input_size", "backbone", "trained_on", "test", "refinement")


@dataclass(frozen=True)
class Table:
    """A table in all its formats.

    Attributes:
        name: of its files.
        data: what the CSV file holds.
        header: names of the columns that are shown.
        cells: text of the cells that are shown, plain; no row means that there is nothing.
        numbers: the shown columns to align to the right.
        footnotes: the cells refer to them by superscript numbers, from 1.
        bold_first: whether the first row stands out (in Markdown and HTML).
        sorted_by: by shown column, the column of the data whose numbers its order goes by; the
            others go by their text. Rows of the data are those of the cells.
    """

    name: str
    data: pd.DataFrame
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    numbers: frozenset[str]
    footnotes: tuple[str, ...] = ()
    bold_first: bool = False
    sorted_by: Mapping[str, str] = field(default_factory=dict)

    def csv(self) -> str:
        """Return the data as CSV. Floats are written so that reading gives the same ones back."""
        return self.data.to_csv(index=False, lineterminator="\n")

    def markdown(self) -> str:
        """Return the table in GitHub's Markdown, the footnotes in a list below."""
        cells = [[markdown_text(cell) for cell in row] for row in self._shown()]
        if self.bold_first:
            cells[0] = [f"**{cell}**" for cell in cells[0]]
        table = self._format("pipe", [markdown_text(name) for name in self.header], cells)
        notes = [f"- {mark} {markdown_text(note)}" for mark, note in self.marked_footnotes()]
        return "\n".join((table, "", *notes) if notes else (table,))

    def folded(self) -> str:
        """Return the table in Markdown, behind a line to click on."""
        summary = f"<details><summary>{len(self.cells)} rows</summary>"
        return f"{summary}\n\n{self.markdown()}\n\n</details>"

    def folded_if_long(self) -> str:
        """Return the table in Markdown, folded if it would fill a pull request."""
        return self.markdown() if len(self.cells) <= _MOST_ROWS else self.folded()

    def save(self, folder: Path) -> None:
        """Write the table into a folder in its three formats.

        Raises:
            WriteError: if a file can't be written.
        """
        write_text(folder / f"{self.name}.csv", self.csv())
        write_text(folder / f"{self.name}.tex", self.latex() + "\n")
        write_text(folder / f"{self.name}.md", self.markdown() + "\n")

    def latex(self) -> str:
        """Return a tabular for the package booktabs, the footnotes in small print below."""
        cells = [[one_line(cell) for cell in row] for row in self._shown()]
        lines = [self._format("latex_booktabs", self.header, cells)]  # tabulate escapes the cells
        for mark, note in self.marked_footnotes():
            lines.append(rf"\par{{\footnotesize\noindent {mark} {latex_text(note)}\par}}")
        return latex_glyphs("\n".join(lines))

    def marked_footnotes(self) -> list[tuple[str, str]]:
        """Return the footnotes behind the marks that refer to them."""
        return [(superscript(i), note) for i, note in enumerate(self.footnotes, 1)]

    def sort_keys(self) -> list[list[float | None]]:
        """Return for each row, by shown column, the number its order goes by; None without one."""
        columns = [
            [None if pd.isna(value) else float(value) for value in self.data[self.sorted_by[name]]]
            if name in self.sorted_by
            else [None] * len(self.cells)
            for name in self.header
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def _shown(self) -> Sequence[Sequence[str]]:
        return self.cells or ((NONE,) * len(self.header),)

    def _format(self, style: str, header: Iterable[str], cells: Iterable[Sequence[str]]) -> str:
        align = ["right" if name in self.numbers else "left" for name in self.header]
        return tabulate(
            cells, headers=list(header), tablefmt=style, disable_numparse=True, colalign=align
        )


def metrics_table(metrics: Metrics) -> Table:
    """Return every metric with its n and, where there is one, the reason for its absence."""
    rows = [
        (name, metric.value, metric.n, metric.higher_is_better, metric.reason)
        for name, metric in metrics.metrics.items()
    ]
    return Table(
        name="metrics",
        data=pd.DataFrame(rows, columns=["metric", "value", "n", "higher_is_better", "reason"]),
        header=("metric", "%", "n", "remark"),
        cells=tuple(
            (
                name,
                percent(value),
                f"{n:,}",
                "; ".join(filter(None, ("" if higher else "lower is better", reason))),
            )
            for name, value, n, higher, reason in rows
        ),
        numbers=frozenset(("%", "n")),
        sorted_by={"%": "value", "n": "n"},
    )


def keypoints_table(metrics: Metrics) -> Table:
    """Return the accuracy of every keypoint."""
    columns = ("keypoint", "n_labelled", "pck", "n_matched", "oks")
    rows = [(k.name, k.n_labelled, k.pck, k.n_matched, k.oks) for k in metrics.keypoints]
    return Table(
        name="keypoints",
        data=pd.DataFrame(rows, columns=list(columns)),
        header=("keypoint", "PCK %", "labelled", "OKS %", "matched"),
        cells=tuple(
            (name, percent(pck), f"{labelled:,}", percent(oks), f"{matched:,}")
            for name, labelled, pck, matched, oks in rows
        ),
        numbers=frozenset(("PCK %", "labelled", "OKS %", "matched")),
        sorted_by={
            "PCK %": "pck",
            "labelled": "n_labelled",
            "OKS %": "oks",
            "matched": "n_matched",
        },
    )


def published_table(run: Run, metrics: Metrics, entries: Sequence[Entry]) -> Table:
    """Return the measured row and the published ones below it, all in percent.

    The metrics shown are those that at least half of the published rows give; the CSV has all.
    Doubtful figures have a footnote; its mark stands at the name where the settings are in doubt.
    """
    in_papers = [name for entry in entries for name in entry.metrics]
    known = [name for name in METRICS if name in metrics.metrics or name in in_papers]
    shown = [name for name in known if 2 * in_papers.count(name) >= len(entries)]
    doubted = [entry for entry in entries if _shows_doubt(entry, shown)]
    measured = {name: metric.value for name, metric in metrics.metrics.items()}
    name = f"{run.predictor.card.name} (this run)"
    boxes = measured_boxes(run)
    data: list[dict[str, object]] = [
        {"origin": "measured", "method": run.predictor.card.name, "name": name, "boxes": boxes}
        | {f"{m}_percent": 100 * v for m in known if (v := measured.get(m)) is not None}
    ]
    figures = (percent(measured.get(m), 1) for m in shown)
    cells = [(name, boxes, *figures, "not recorded", "this run")]
    for entry in entries:
        mark = superscript(doubted.index(entry) + 1) if entry in doubted else ""
        data.append(_published_data(entry, known))
        cells.append(_published_cells(entry, shown, mark))
    columns = (
        *("origin", "method", "name", "variant", *_SETTINGS),
        *(f"{name}_percent" for name in known),
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
        sorted_by={m: f"{m}_percent" for m in shown},
    )


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
        **{key: entry.settings.get(key) for key in _SETTINGS},
        **{f"{name}_percent": entry.metrics.get(name) for name in metrics},
    }


def _published_cells(entry: Entry, metrics: Sequence[str], mark: str) -> tuple[str, ...]:
    def figure(name: str) -> str:
        return f"{entry.metrics.get(name, NONE)}{mark if name in entry.doubtful else ''}"

    name = entry.name if entry.variant is None else f"{entry.name}, {entry.variant}"
    filled = (f"; {metric}: {place}" for metric, place in entry.filled.items())
    return (
        name + (mark if _doubtful_settings(entry) else ""),
        entry.boxes,
        *map(figure, metrics),
        _settings_words(entry) or NONE,
        f"{entry.source}{''.join(filled)}",
    )


def _doubtful_settings(entry: Entry) -> list[str]:
    return [field for field in entry.doubtful if field not in entry.metrics]


def _shows_doubt(entry: Entry, metrics: Sequence[str]) -> bool:
    """Return whether something doubtful of the row stands in a table with these metrics."""
    return bool(_doubtful_settings(entry)) or any(name in metrics for name in entry.doubtful)


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
