"""Write the report of a run: ``report.md`` and the tables in three formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crowdbench.errors import InputError
from crowdbench.files import FileDigest, write_atomically
from crowdbench.record import Metrics, Run, RunFolder
from reports.comparison import differences
from reports.markup import markdown_code, markdown_fence, markdown_text
from reports.published import PAPERS, Entry, Published, load_published
from reports.tables import Table, keypoints_table, metrics_table, published_table

# A longer table is folded, so that a report can stand in a pull request.
_MOST_ROWS = 20

# Counts that belong together, in words; further counts follow under their own names.
_COUNT_WORDS = (
    "{images} images, {images_without_poses} of them without poses",
    "{persons_evaluated} evaluated persons of {persons} annotated ({persons_crowd} crowd regions)",
    "{poses} poses, of which {poses_counted} count",
    "at OKS 0.50: {true_positives_at_50} persons found, {missed_at_50} missed",
    "{false_positives_at_50} wrong poses",
)

_METRICS_LEGEND = (
    "n: evaluated persons; for PCK and OKS_matched keypoints. Higher is better, unless the remark "
    "says otherwise."
)
_KEYPOINTS_LEGEND = (
    "PCK: share of the labelled keypoints of evaluated persons that are close, those of missed "
    "persons counting as wrong. OKS: mean similarity over persons matched at OKS 0.50."
)
_PUBLISHED_LEGEND = (
    "Boxes: gt is the ground truth, none a method without boxes, unknown not stated. Settings: "
    "input size (one number: the short side), backbone, training data, test scales; what a paper "
    "does not state is left out, or marked where other figures imply it (inferred)."
)


def write_report(folder: RunFolder) -> Path:
    """Write ``report/`` of a scored run and return the path of ``report.md``.

    The content depends on ``run.json`` and ``metrics.json`` alone: equal runs have equal reports.
    Files of an earlier report are replaced.

    Raises:
        MissingError: if the folder holds no scored run.
        InputError: if a record is broken, or the two do not belong together.
        WriteError: if the report can't be written.
    """
    run, metrics = folder.read(Run), folder.read(Metrics)
    folder.sweep()
    if metrics.signature != run.signature:
        raise InputError(
            f"{folder.path}: metrics.json has another signature than run.json, so its numbers are "
            f"of another run: run `crowdbench score {folder.path}`"
        )
    published = Published() if run.split.own else load_published(run.split.name)
    entries = published.main_entries
    tables = (
        metrics_table(metrics),
        keypoints_table(metrics),
        published_table(run, metrics, entries),
    )
    for table in tables:
        base = folder.report / "tables" / table.name
        _write(base.with_suffix(".csv"), table.csv())
        _write(base.with_suffix(".tex"), table.latex() + "\n")
        _write(base.with_suffix(".md"), table.markdown() + "\n")
    sections = [
        *_summary(run, metrics, tables[0]),
        *_keypoints(metrics, tables[1]),
        *_published(run, metrics, published, entries, tables[2]),
        *_provenance(run),
    ]
    path = folder.report / "report.md"
    _write(path, "\n\n".join(sections) + "\n")
    return path


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _summary(run: Run, metrics: Metrics, table: Table) -> list[str]:
    return [
        f"# {markdown_text(run.predictor.name)} on {markdown_text(run.split.name)}",
        table.markdown(),
        _METRICS_LEGEND,
        _counts_words(metrics.counts),
        *(["## Noticed", _list(metrics.notes)] if metrics.notes else []),
        "## Protocol",
        markdown_fence(run.signature),
    ]


def _counts_words(counts: dict[str, int]) -> str:
    """Return the counts as one sentence."""
    words, rest = [], dict(counts)
    numbers = {name: f"{n:,}" for name, n in counts.items()}
    for template in _COUNT_WORDS:
        try:
            words.append(template.format_map(numbers))
        except KeyError:  # not all of these counts are there
            continue
        rest = {name: n for name, n in rest.items() if f"{{{name}}}" not in template}
    words += [f"{n:,} {markdown_text(name.replace('_', ' '))}" for name, n in rest.items()]
    return "; ".join(words) + "."


def _keypoints(metrics: Metrics, table: Table) -> list[str]:
    if not metrics.keypoints:
        return []
    return ["## Keypoints", _folded(table), _KEYPOINTS_LEGEND]


def _published(
    run: Run, metrics: Metrics, published: Published, entries: Sequence[Entry], table: Table
) -> list[str]:
    title = "## Published results"
    if run.split.own:
        return [title, "None: the annotations are the user's own file, not a known split."]
    if not entries:
        return [title, f"None are on file for {markdown_text(run.split.name)}."]
    papers = sorted({entry.source.paper for entry in entries})
    about = [
        f"{paper}: {PAPERS[paper]}. {published.context.get(paper, '')}".strip() for paper in papers
    ]
    return [
        title,
        "In percent, as printed; grouped by boxes, the best AP first.",
        _list(differences(run, metrics, entries)),
        _folded(table),
        _PUBLISHED_LEGEND,
        _list(about),
    ]


def _provenance(run: Run) -> list[str]:
    options = ", ".join(f"{key}={value}" for key, value in run.predictor.options.items())
    files = {"annotations": run.split.annotations} | run.predictor.inputs
    lines = [f"- {markdown_text(role)}: {_digest(file)}" for role, file in files.items()]
    if options:
        lines.append(f"- options: {markdown_code(options)}")
    lines.append(f"- crowdbench record, schema version {run.schema_version}")
    return ["## Provenance", "\n".join(lines)]


def _digest(file: FileDigest) -> str:
    return f"{markdown_code(file.name)}, {file.size:,} bytes, sha256 {markdown_code(file.sha256)}"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def _folded(table: Table) -> str:
    """Return the table, behind a line to click on if it is long."""
    n_rows = len(table.cells)
    if n_rows <= _MOST_ROWS:
        return table.markdown()
    return f"<details><summary>{n_rows} rows</summary>\n\n{table.markdown()}\n\n</details>"
