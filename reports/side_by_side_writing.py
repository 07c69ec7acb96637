"""Write a comparison: the record, the tables, the plots and the two pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crowdbench.errors import UsageError
from crowdbench.files import TEMPORARY, write_json, write_text
from crowdbench.markup import markdown_code, markdown_fence, markdown_list, markdown_text
from crowdbench.protocol_differences import join_names
from reports.keypoint_errors import COMPARED_REMARK, errors_legend
from reports.keypoint_errors import TITLE as ERRORS_TITLE
from reports.side_by_side_findings import main_findings, row_findings
from reports.side_by_side_page import comparison_page
from reports.side_by_side_plots import comparison_plots
from reports.side_by_side_record import ComparedRun, Comparison
from reports.side_by_side_tables import DIFFERENCES_TITLE, ComparisonTables, comparison_tables
from reports.side_by_side_wording import (
    ROBUSTNESS_LEGEND,
    left_out_lines,
    legend,
    network_words,
    noticed_lines,
    signature_lines,
    title,
)

# What makes a folder a comparison.
RECORD = "comparison.json"
# What a comparison consists of beside its record; other files stay when it is replaced.
_CONTENT = (
    "comparison.md",
    "index.html",
    *(
        f"tables/{name}.*"
        for name in ("metrics", "differences", "robustness", "condition-*", "keypoint-errors")
    ),
    *(f"plots/{name}.*" for name in ("precision-recall", "pck-curve", "condition-*")),
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
    tables = comparison_tables(comparison)
    tables.save(folder / "tables")
    plots = comparison_plots(comparison)
    for plot in plots.values():
        plot.save(folder / "plots", join_names([run.name for run in comparison.runs]))
    paragraphs = _paragraphs(comparison, tables)
    write_text(folder / "comparison.md", "\n\n".join(paragraphs) + "\n")
    write_text(folder / "index.html", comparison_page(comparison, tables, plots))
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


def _paragraphs(comparison: Comparison, tables: ComparisonTables) -> list[str]:
    """Return the paragraphs of ``comparison.md``."""
    runs = comparison.runs
    return [
        f"# {markdown_text(title(comparison))}",
        markdown_list(_run_line(run, runs) for run in runs),
        *_list_of(comparison.notes),
        tables.metrics.markdown(),
        *_differences(tables),
        *_list_of(main_findings(comparison)),
        markdown_text(legend(comparison)),
        "Plots are in `plots/`, all tables in `tables/`; `index.html` shows both.",
        *_conditions(comparison, tables),
        *_errors(tables),
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


def _run_line(run: ComparedRun, runs: Sequence[ComparedRun]) -> str:
    facts = (f"{run.name}: {run.predictor} on {run.split}", network_words(run, runs))
    return "; ".join(filter(None, facts))


def _conditions(comparison: Comparison, tables: ComparisonTables) -> list[str]:
    paragraphs = []
    for name, table in tables.conditions.items():
        condition = comparison.conditions[name]
        paragraphs += [
            f"## {markdown_text(condition.title)}: {comparison.main_metric}",
            table.folded_if_long(),
            *_list_of(row_findings(comparison, condition)),
            markdown_text(f"Rule: {condition.rule}"),
        ]
    if tables.robustness.cells:
        paragraphs += ["## Robustness", tables.robustness.folded_if_long(), ROBUSTNESS_LEGEND]
    return paragraphs


def _errors(tables: ComparisonTables) -> list[str]:
    if not tables.errors.cells:
        return []
    return [
        f"## {ERRORS_TITLE}",
        tables.errors.folded_if_long(),
        markdown_text(f"{errors_legend()} {COMPARED_REMARK}"),
    ]


def _differences(tables: ComparisonTables) -> list[str]:
    if tables.differences is None:
        return []
    return [f"## {DIFFERENCES_TITLE}", tables.differences.folded_if_long()]


def _list_of(lines: Sequence[str]) -> list[str]:
    return [markdown_list(lines)] if lines else []


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"## {heading}", *_list_of(lines)] if lines else []


def _provenance(run: ComparedRun) -> str:
    files = ", ".join(
        f"{markdown_text(role)} {markdown_code(file.name)} sha256 {markdown_code(file.sha256)}"
        for role, file in run.inputs.items()
    )
    return f"- {markdown_text(run.name)}: {files}"
