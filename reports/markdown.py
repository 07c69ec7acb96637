"""The report as Markdown, to stand in a pull request: tables and words, and one picture."""

from __future__ import annotations

from crowdbench.files import FileDigest
from crowdbench.markup import markdown_code, markdown_fence, markdown_list, markdown_text
from reports.attention_table import LEGEND as ATTENTION_LEGEND
from reports.comparison import differences
from reports.content import Content
from reports.crowd_plot import NAME as CROWD_NAME
from reports.crowd_plot import TITLE as CROWD_TITLE
from reports.crowd_plot import crowd_caption
from reports.keypoint_errors import (
    OVERLAP_LEGEND,
    OVERLAP_TITLE,
    errors_legend,
    headline,
)
from reports.keypoint_errors import TITLE as ERRORS_TITLE
from reports.refinement_table import LEGEND as REFINEMENT_LEGEND
from reports.refinement_table import TITLE as REFINEMENT_TITLE
from reports.wording import (
    AVERAGES_LEGEND,
    JOINT_GROUPS_LEGEND,
    KEYPOINTS_LEGEND,
    NO_CONDITIONS,
    PUBLISHED_LEGEND,
    SEQUENCES_LEGEND,
    condition_words,
    conditions_legend,
    counts_words,
    measured_words,
    method_facts,
    metrics_legend,
    more_skipped_words,
    options_words,
    papers_words,
    published_introduction,
    robustness_legend,
    skipped_words,
    without_published,
)


def markdown_page(content: Content) -> str:
    """Return the report in GitHub's Markdown."""
    sections = [
        *_summary(content),
        *_crowd(content),
        *_refinement(content),
        *_pose3d(content),
        *_conditions(content),
        *_keypoints(content),
        *_keypoint_errors(content),
        *_published(content),
        *_worst_persons(content),
        *_attention(content),
        *_provenance(content),
    ]
    return "\n\n".join(sections) + "\n"


def _summary(content: Content) -> list[str]:
    run, metrics = content.run, content.metrics
    return [
        f"# {markdown_text(run.predictor.name)} on {markdown_text(run.split.name)}",
        content.metrics_table.markdown(),
        metrics_legend(metrics),
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


def _refinement(content: Content) -> list[str]:
    if not content.refinement_table.cells:
        return []
    sections = [f"## {REFINEMENT_TITLE}", content.refinement_table.markdown(), REFINEMENT_LEGEND]
    plot = content.scene_plot
    if plot is not None:
        picture = f"![{plot.title}](plots/{plot.name}.png)"
        sections += [picture, markdown_text(plot.caption), content.scenes_table.folded()]
    return sections


def _pose3d(content: Content) -> list[str]:
    """Return what only 3D poses have."""
    if not content.is_3d:
        return []
    sections = [
        "<details><summary>What is measured</summary>",
        markdown_list(measured_words(content.metrics)),
        "</details>",
        "## Averages",
        content.averages_table.markdown(),
        AVERAGES_LEGEND,
    ]
    for title, table, legend in (
        ("Sequences", content.sequences_table, SEQUENCES_LEGEND),
        ("Joints", content.joint_groups_table, JOINT_GROUPS_LEGEND),
    ):
        summary = f"{len(table.cells)} rows, this run's first for each metric"
        sections += [f"## {title}", table.folded(legend, summary=summary)]
    return sections


def _worst_persons(content: Content) -> list[str]:
    plot = content.worst_persons_plot
    if plot is None:
        return []
    caption = markdown_text(plot.caption)
    return [f"## {plot.title}", f"![{plot.title}](plots/{plot.name}.png)", caption]


def _attention(content: Content) -> list[str]:
    if not content.attention:
        return []
    sections = [
        "## Attention between persons",
        content.attention_table.folded_if_long(),
        markdown_text(ATTENTION_LEGEND),
    ]
    for plot in content.attention_plots:
        sections += [f"![{plot.title}](plots/{plot.name}.png)", markdown_text(plot.caption)]
    return sections


def _conditions(content: Content) -> list[str]:
    sections = ["## Conditions"]
    if not content.metrics.condition_facts:
        return [*sections, NO_CONDITIONS]
    if content.robustness_table.cells:
        sections += [content.robustness_table.markdown(), robustness_legend(content.metrics)]
    if content.condition_tables:
        sections.append(conditions_legend(content.metrics))
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


def _keypoint_errors(content: Content) -> list[str]:
    errors = content.metrics.keypoint_errors
    if errors is None:
        return []
    sections = [f"## {ERRORS_TITLE}", markdown_text(headline(errors))]
    table, by_overlap = content.errors_table, content.errors_by_overlap_table
    if table.cells:
        sections += [table.folded_if_long(), markdown_text(errors_legend(errors.n_persons))]
    if by_overlap.cells:
        sections += [f"### {OVERLAP_TITLE}", by_overlap.markdown(), markdown_text(OVERLAP_LEGEND)]
    return sections


def _published(content: Content) -> list[str]:
    title = "## Published results"
    if (reason := without_published(content)) is not None:
        return [title, markdown_text(reason)]
    return [
        title,
        published_introduction(content.metrics),
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
