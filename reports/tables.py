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
from crowdbench.markup import markdown_text, one_line
from crowdbench.results import Metrics
from crowdbench.terminal import interval_header, percent, value_cells, value_header
from reports.intervals import (
    INTERVAL_COLUMNS,
    interval_data,
    interval_of,
    interval_text,
)
from reports.markup import latex_glyphs, latex_text, superscript

NONE = "-"
# A longer table is folded in a pull request.
_MOST_ROWS = 20
# Of the images that were left out, as many are shown; metrics.json has all.
MOST_SKIPPED = 20


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
        bold: indices of the rows that stand out (in Markdown and HTML).
        is_wide: whether it has so many columns that the page has to scroll.
        sorted_by: by shown column, the column of the data whose numbers its order goes by; the
            others go by their text. Rows of the data are those of the cells.
    """

    name: str
    data: pd.DataFrame
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    numbers: frozenset[str]
    footnotes: tuple[str, ...] = ()
    bold: frozenset[int] = frozenset()
    is_wide: bool = False
    sorted_by: Mapping[str, str] = field(default_factory=dict)

    def csv(self) -> str:
        """Return the data as CSV. Floats are written so that reading gives the same ones back."""
        return self.data.to_csv(index=False, lineterminator="\n")

    def markdown(self) -> str:
        """Return the table in GitHub's Markdown, the footnotes in a list below."""
        cells = [[markdown_text(cell) for cell in row] for row in self._shown()]
        for i in self.bold:
            cells[i] = [f"**{cell}**" for cell in cells[i]]
        table = self._format("pipe", [markdown_text(name) for name in self.header], cells)
        notes = [f"- {mark} {markdown_text(note)}" for mark, note in self.marked_footnotes()]
        return "\n".join((table, "", *notes) if notes else (table,))

    def folded(self, *remarks: str, summary: str | None = None) -> str:
        """Return the table in Markdown, behind a line to click on.

        Args:
            remarks: paragraphs below the table.
            summary: the line; by default how many rows there are.
        """
        line = f"<details><summary>{summary or f'{len(self.cells)} rows'}</summary>"
        return "\n\n".join((line, self.markdown(), *remarks, "</details>"))

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
    """Return every metric with its n and, where there is one, the reason for its absence.

    Intervals have columns where there are any.
    """
    figures = metrics.metrics
    values = value_header(metric.unit for metric in figures.values())
    interval = interval_header(metrics)
    rows = [
        (name, m.value, m.unit, m.n, m.higher_is_better, m.reason)
        + (interval_data(m) if interval else ())
        for name, m in figures.items()
    ]
    columns = ["metric", "value", "unit", "n", "higher_is_better", "reason"]
    return Table(
        name="metrics",
        data=pd.DataFrame(rows, columns=[*columns, *(INTERVAL_COLUMNS if interval else ())]),
        header=("metric", *values, *interval, "n", "remark"),
        cells=tuple(
            (
                name,
                *value_cells(metric, values),
                *(interval_text(interval_of(metric), metric.unit) for _ in interval),
                f"{metric.n:,}",
                "; ".join(
                    filter(
                        None, ("" if metric.higher_is_better else "lower is better", metric.reason)
                    )
                ),
            )
            for name, metric in figures.items()
        ),
        numbers=frozenset((values[0], *interval, "n")),
        sorted_by={values[0]: "value", "n": "n"} | dict.fromkeys(interval, "low"),
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


def skipped_table(metrics: Metrics) -> Table:
    """Return the first of the images that were left out, and why."""
    rows = [(image.image_id, image.reason) for image in metrics.skipped_images[:MOST_SKIPPED]]
    return Table(
        name="skipped-images",
        data=pd.DataFrame(rows, columns=["image_id", "reason"]),
        header=("image id", "reason"),
        cells=tuple((str(image_id), one_line(reason)) for image_id, reason in rows),
        numbers=frozenset(),
        sorted_by={"image id": "image_id"},
    )
