"""Write the report of a run: two pages, the tables in three formats and the plots in two."""

from __future__ import annotations

from pathlib import Path

from crowdbench.errors import WriteError
from crowdbench.files import write_text
from crowdbench.record import RunFolder
from reports.content import Content, read_content
from reports.markdown import markdown_page
from reports.run_page import html_page

_TABLE_ENDINGS = ("csv", "tex", "md")
_PLOT_ENDINGS = ("svg", "png")
# The names of what a report need not have.
_OURS = (
    *("condition-*", "precision-recall", "oks-histogram", "crowd", "keypoints"),
    *("pck-curve", "averages", "sequences", "joint-groups", "joints", "worst-persons"),
    *("attention", "attention-*", "keypoint-errors", "keypoint-errors-*"),
    *("refinement", "refinement-scenes"),
)


def write_report(folder: RunFolder) -> Path:
    """Write ``report/`` of a scored run and return the path of ``index.html``.

    The content depends on ``run.json``, ``metrics.json``, ``worst_images.json`` and ``attention/``
    alone, and on whether the image files are there: equal runs have equal reports. Files of an
    earlier report are replaced; those of conditions that are no longer there are removed.

    Raises:
        MissingError: if the folder holds no scored run.
        InputError: if a record is broken, or the records do not belong together.
        WriteError: if the report can't be written.
    """
    content = read_content(folder)
    folder.sweep()
    report = folder.report
    for table in content.tables:
        table.save(report / "tables")
    for plot in content.plots:
        plot.save(report / "plots", f"{content.run.predictor.name} on {content.run.split.name}")
    write_text(report / "report.md", markdown_page(content))
    write_text(report / "index.html", html_page(content))
    _remove_stale(report, content)
    return report / "index.html"


def _remove_stale(report: Path, content: Content) -> None:
    """Remove what an earlier report had and this one has not; files of others stay."""
    current = {
        "tables": ({table.name for table in content.tables}, _TABLE_ENDINGS),
        "plots": ({plot.name for plot in content.plots}, _PLOT_ENDINGS),
    }
    for place, (names, endings) in current.items():
        for ending in endings:
            for pattern in _OURS:
                for path in (report / place).glob(f"{pattern}.{ending}"):
                    if path.stem not in names:
                        _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"{path} can't be removed: {error.strerror or error}") from None
