"""Write a comparison: the record, the tables, the plots and the two pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from crowdbench.errors import UsageError
from crowdbench.files import TEMPORARY, write_atomically, write_json
from reports.figure import save_figure
from reports.markup import markdown_code, markdown_fence, markdown_text
from reports.protocol_differences import join_names
from reports.side_by_side import ComparedRun, Comparison
from reports.side_by_side_page import comparison_page
from reports.side_by_side_plots import comparison_plots
from reports.side_by_side_tables import condition_tables, metrics_table, robustness_table
from reports.side_by_side_wording import (
    LEGEND,
    ROBUSTNESS_LEGEND,
    left_out_lines,
    noticed_lines,
    signature_lines,
    title,
)
from reports.tables import Table

# What makes a folder a comparison.
RECORD = "comparison.json"
# A longer table is folded, so that a comparison can stand in a pull request.
_MOST_ROWS = 20
# What a comparison consists of beside its record; other files stay when it is replaced.
_CONTENT = (
    "comparison.md",
    "index.html",
    *(f"tables/{name}.*" for name in ("metrics", "robustness", "condition-*")),
    *(f"plots/{name}.*" for name in ("precision-recall", "condition-*")),
)


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write the comparison into a folder and return the path of ``index.html``.

    The same comparison gives the same bytes. An older comparison in the folder is replaced.

    Raises:
        UsageError: if the folder holds something that is no comparison.
        WriteError: if a file can't be written.
    """
    _open(folder)
    # First: the folder of a comparison that is interrupted can be replaced.
    write_json(folder / RECORD, comparison)
    for table in (
        metrics_table(comparison),
        *condition_tables(comparison).values(),
        *([robustness_table(comparison)] if comparison.robustness else []),
    ):
        _write(folder / "tables" / f"{table.name}.csv", table.csv())
        _write(folder / "tables" / f"{table.name}.tex", table.latex() + "\n")
        _write(folder / "tables" / f"{table.name}.md", table.markdown() + "\n")
    whose = join_names([run.name for run in comparison.runs])
    plots = comparison_plots(comparison)
    for plot in plots.values():
        caption = f"{plot.title}, {whose}. {plot.caption}"
        save_figure(plot.figure, folder / "plots" / plot.name, caption)
    _write(folder / "comparison.md", "\n\n".join(_paragraphs(comparison)) + "\n")
    _write(folder / "index.html", comparison_page(comparison, plots))
    return folder / "index.html"


def _open(folder: Path) -> None:
    """Make the folder ready: of an older comparison nothing stays but its record."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose a folder with --output")
    if not folder.is_dir():
        return
    found = [entry.name for entry in folder.iterdir() if not entry.name.endswith(TEMPORARY)]
    if found and RECORD not in found:
        raise UsageError(
            f"{folder} holds something that is no comparison ({min(found)}): choose another folder "
            "with --output"
        )
    for pattern in (*_CONTENT, f"**/.*{TEMPORARY}"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _paragraphs(comparison: Comparison) -> list[str]:
    """Return the paragraphs of ``comparison.md``."""
    runs = comparison.runs
    return [
        f"# {markdown_text(title(comparison))}",
        _list(f"{run.name}: {run.predictor} on {run.split}" for run in runs),
        *([_list(comparison.notes)] if comparison.notes else []),
        metrics_table(comparison).markdown(),
        LEGEND,
        "Plots are in `plots/`, all tables in `tables/`; `index.html` shows both.",
        *_conditions(comparison),
        *_listed("Left out", left_out_lines(comparison)),
        *_listed("Noticed", noticed_lines(runs)),
        "## Protocol",
        *(
            paragraph
            for line, names in signature_lines(runs).items()
            for paragraph in (f"Of {markdown_text(names)}:", markdown_fence(line))
        ),
        "## Provenance",
        "\n".join(_provenance(run) for run in runs),
    ]


def _conditions(comparison: Comparison) -> list[str]:
    paragraphs = []
    for name, table in condition_tables(comparison).items():
        condition = comparison.conditions[name]
        paragraphs += [
            f"## {markdown_text(condition.title)}: AP",
            _folded_if_long(table),
            markdown_text(f"Rule: {condition.rule}"),
        ]
    if comparison.robustness:
        table = robustness_table(comparison)
        paragraphs += ["## Robustness", _folded_if_long(table), ROBUSTNESS_LEGEND]
    return paragraphs


def _folded_if_long(table: Table) -> str:
    """Return the table, behind a line to click on if it is long."""
    n_rows = len(table.cells)
    if n_rows <= _MOST_ROWS:
        return table.markdown()
    return f"<details><summary>{n_rows} rows</summary>\n\n{table.markdown()}\n\n</details>"


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"## {heading}", _list(lines)] if lines else []


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def _provenance(run: ComparedRun) -> str:
    files = ", ".join(
        f"{markdown_text(role)} {markdown_code(file.name)} sha256 {markdown_code(file.sha256)}"
        for role, file in run.inputs.items()
    )
    return f"- {markdown_text(run.name)}: {files}"
