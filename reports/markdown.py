"""The report as Markdown, to stand in a pull request: tables and words, and one picture."""

from __future__ import annotations

from crowdbench.files import FileDigest
from reports.comparison import differences
from reports.content import Content
from reports.crowd_plot import NAME as CROWD_NAME
from reports.crowd_plot import TITLE as CROWD_TITLE
from reports.crowd_plot import crowd_caption
from reports.markup import markdown_code, markdown_fence, markdown_list, markdown_text
from reports.wording import (
    CONDITIONS_LEGEND,
    KEYPOINTS_LEGEND,
    METRICS_LEGEND,
    NO_CONDITIONS,
    PUBLISHED_INTRODUCTION,
    PUBLISHED_LEGEND,
    ROBUSTNESS_LEGEND,
    condition_words,
    counts_words,
    method_facts,
    more_skipped_words,
    options_words,
    papers_words,
    skipped_words,
    without_published,
)


def markdown_page(content: Content) -> str:
    """Return the report in GitHub's Markdown."""
    sections = [
        *_summary(content),
        *_crowd(content),
        *_conditions(content),
        *_keypoints(content),
        *_published(content),
        *_provenance(content),
    ]
    return "\n\n".join(sections) + "\n"


def _summary(content: Content) -> list[str]:
    run, metrics = content.run, content.metrics
    return [
        f"# {markdown_text(run.predictor.card.name)} on {markdown_text(run.split.name)}",
        content.metrics_table.markdown(),
        METRICS_LEGEND,
        markdown_text(counts_words(metrics.counts)),
        "Plots are in `plots/`, all tables in `tables/`; `index.html` shows both.",
        *_noticed(content),
        "## Protocol",
        markdown_fence(metrics.signature),
    ]


def _noticed(content: Content) -> list[str]:
    notes, table = content.metrics.notes, content.skipped_table
    sections = ["## Noticed"] if notes or table.cells else []
    if notes:
        sections.append(markdown_list(notes))
    if table.cells:
        more = filter(None, (more_skipped_words(content),))
        sections.append(table.folded(*more, summary=skipped_words(content)))
    return sections


def _crowd(content: Content) -> list[str]:
    if content.crowd is None:
        return []
    caption = markdown_text(crowd_caption(content.crowd))
    return ["## In crowds", f"![{CROWD_TITLE}](plots/{CROWD_NAME}.png)", caption]


def _conditions(content: Content) -> list[str]:
    sections = ["## Conditions"]
    if not content.metrics.condition_facts:
        return [*sections, NO_CONDITIONS]
    if content.robustness_table.cells:
        sections += [content.robustness_table.markdown(), ROBUSTNESS_LEGEND]
    if content.condition_tables:
        sections.append(CONDITIONS_LEGEND)
    for name, facts in content.metrics.condition_facts.items():
        sections.append(f"### {markdown_text(facts.title)}")
        table = content.condition_tables.get(name)
        if table is None:
            sections.append(markdown_text(f"Not evaluated: {facts.reason or 'no rows'}."))
        else:
            sections.append(table.folded())
        sections.append(markdown_list(condition_words(facts)))
    return sections


def _keypoints(content: Content) -> list[str]:
    if not content.metrics.keypoints:
        return []
    return ["## Keypoints", content.keypoints_table.folded_if_long(), KEYPOINTS_LEGEND]


def _published(content: Content) -> list[str]:
    title = "## Published results"
    if (reason := without_published(content)) is not None:
        return [title, markdown_text(reason)]
    return [
        title,
        PUBLISHED_INTRODUCTION,
        markdown_list(differences(content.run, content.metrics, content.entries)),
        content.published_table.folded_if_long(),
        PUBLISHED_LEGEND,
        markdown_list(papers_words(content)),
    ]


def _provenance(content: Content) -> list[str]:
    run = content.run
    files = {"annotations": run.split.annotations} | run.predictor.inputs
    lines = [f"- {markdown_text(role)}: {_digest(file)}" for role, file in files.items()]
    lines += [f"- {name}: {markdown_text(words)}" for name, words in method_facts(run).items()]
    if options := options_words(content):
        lines.append(f"- options: {markdown_code(options)}")
    lines.append(f"- crowdbench record, schema version {run.schema_version}")
    return ["## Provenance", "\n".join(lines)]


def _digest(file: FileDigest) -> str:
    return f"{markdown_code(file.name)}, {file.size:,} bytes, sha256 {markdown_code(file.sha256)}"
