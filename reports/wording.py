"""Sentences that stand in every form of a report, plain text."""

from __future__ import annotations

from collections.abc import Iterable

from crowdbench.markup import one_line
from crowdbench.metrics.catalogue import METRICS, main_metric
from crowdbench.record import Run
from crowdbench.results import ConditionFacts, Metric, Metrics
from reports.content import Content
from reports.intervals import intervals_legend, level_text
from reports.published import PAPERS
from reports.tables import MOST_SKIPPED

# Counts that belong together, in words; further counts follow under their own names.
_COUNT_WORDS = (
    "{images} images, {images_without_poses} of them without poses",
    "{persons_evaluated} evaluated persons of {persons} annotated ({persons_crowd} crowd regions)",
    "{persons_evaluated} evaluated persons of {persons} annotated, {persons_matched} matched",
    "{poses} poses, of which {poses_counted} count",
    "at OKS 0.50: {true_positives_at_50} persons found, {missed_at_50} missed",
    "{false_positives_at_50} wrong poses",
)

NO_CONDITIONS = "No condition was evaluated."
NO_ROBUSTNESS = "No figures: no condition was evaluated."
KEYPOINTS_LEGEND = (
    "PCK: share of the labelled keypoints of evaluated persons that are close, those of missed "
    "persons counting as wrong. OKS: mean similarity over persons matched at OKS 0.50."
)
AVERAGES_LEGEND = (
    "The mean of the sequences' values, of the frames' values, and over all persons at once. The "
    "default is the one that papers print and that all other tables have."
)
SEQUENCES_LEGEND = (
    "3DPCK and AUC in percent, MPJPE in millimetres, lower is better; published rows as printed. "
    "The average of this run is the metric's value, that of a published row the printed one."
)
JOINT_GROUPS_LEGEND = (
    "3DPCK and AUC in percent, MPJPE in millimetres, lower is better; published rows as printed. "
    "The average is over all joints of the metric: for MPJPE_mm and PA_MPJPE also pelvis, spine "
    "and head, which are in no group."
)
PUBLISHED_LEGEND = (
    "Boxes: gt is the ground truth, none a method without boxes, unknown not stated. Settings: "
    "input size (one number: the short side), backbone, training data, test scales; what a paper "
    "does not state is left out, or marked where other figures imply it (inferred)."
)


def unit_words(metrics: Iterable[Metric]) -> str:
    """Return in which units the numbers are shown.

    >>> unit_words([Metric(0.5, 1, True, None), Metric(88.4, 1, False, None, "mm")])
    'in percent, those named _mm in millimetres'
    """
    in_mm = any(metric.unit == "mm" for metric in metrics)
    return f"in percent{', those named _mm in millimetres' if in_mm else ''}"


def metrics_legend(metrics: Metrics) -> str:
    """Return what must be known to read the metrics."""
    n = (
        "persons who take part"
        if metrics.pose3d is not None
        else "evaluated persons; for PCK and OKS_matched keypoints"
    )
    return (
        f"n: {n}. Higher is better, unless the remark says otherwise."
        f"{intervals_legend(metrics.bootstrap)}"
    )


def measured_words(metrics: Metrics) -> list[str]:
    """Return what each of the metrics is, and by whose rules."""
    return [
        f"{name}: {METRICS[name].description} ({METRICS[name].source})"
        for name in metrics.metrics
        if name in METRICS
    ]


def conditions_legend(metrics: Metrics) -> str:
    """Return what must be known to read the tables of the conditions."""
    shown = (
        metric
        for rows in metrics.conditions.values()
        for row in rows
        for metric in row.metrics.values()
    )
    intervals = "" if metrics.bootstrap is None else " and interval"
    return (
        f"Metrics {unit_words(shown)}, each condition by itself on the whole split. The CSV files "
        f"have every metric with its n{intervals}."
    )


def robustness_legend(metrics: Metrics) -> str:
    """Return what must be known to read the figures that sum up the conditions."""
    main, sampled = main_metric(metrics.metrics), metrics.bootstrap
    intervals = "" if sampled is None else f"; in brackets the {level_text(sampled)} interval"
    return (
        f"In percent or percentage points, {main}_slope in points per unit of the condition's "
        f"axis{intervals}; docs/robustness.md says how each is made."
    )


def published_introduction(metrics: Metrics) -> str:
    """Return what must be known to read the published table."""
    main = main_metric(metrics.metrics)
    units = unit_words(metrics.metrics.values())
    return f"{units[0].upper()}{units[1:]}, as printed; grouped by boxes, the best {main} first."


def counts_words(counts: dict[str, int]) -> str:
    """Return the counts as one sentence."""
    words, rest = [], dict(counts)
    numbers = {name: f"{n:,}" for name, n in counts.items()}
    for template in _COUNT_WORDS:
        try:
            words.append(template.format_map(numbers))
        except KeyError:  # not all of these counts are there
            continue
        rest = {name: n for name, n in rest.items() if f"{{{name}}}" not in template}
    words += [f"{n:,} {one_line(name.replace('_', ' '))}" for name, n in rest.items()]
    return "; ".join(words) + "."


def condition_words(facts: ConditionFacts) -> list[str]:
    """Return what to know about a condition, as sentences: its rule, its notes."""
    return [*([f"Rule: {facts.rule}"] if facts.rule else []), *facts.notes]


def without_published(content: Content) -> str | None:
    """Return why no published results are shown; None if there are some."""
    if content.run.split.own:
        return "None: the annotations are the user's own file, not a known split."
    if not content.entries:
        return f"None are on file for {content.run.split.name}."
    return None


def papers_words(content: Content) -> list[str]:
    """Return the papers behind the published rows and what they say about their settings."""
    papers = sorted({entry.source.paper for entry in content.entries})
    return [
        f"{paper}: {PAPERS[paper]}. {content.published.context.get(paper, '')}".strip()
        for paper in papers
    ]


def options_words(content: Content) -> str:
    """Return the options of the predictor in a line, nothing if it has none."""
    return ", ".join(f"{key}={value}" for key, value in content.run.predictor.options.items())


def method_facts(run: Run) -> dict[str, str]:
    """Return what is known of the method and of how it was run, by name.

    Facts that are empty are left out, as are ``none`` and ``given``, which the protocol has for
    what a predictor does not do.
    """
    card, maker, protocol = run.predictor.card, run.predictor.maker, run.protocol
    independence = (
        "each pose depends on its own box alone"
        if run.predictor.boxes_independent
        else "poses depend on the other boxes of the image"
    )
    facts = {
        "method": card.method,
        "paper": card.paper,
        "year": "" if card.year is None else str(card.year),
        "licence": card.licence,
        "backbone": maker.backbone,
        "input size": maker.input_size,
        "refines the poses of": protocol.base,
        "keypoint layouts": ", ".join(card.skeletons),
        "crops": protocol.crops,
        "flip test": protocol.flip_test,
        "decoding": protocol.decoding,
        "precision": protocol.precision,
        "merging": f"{protocol.merging}; {independence}",
    }
    return {name: value for name, value in facts.items() if value not in ("", "none", "given")}


def skipped_words(content: Content) -> str:
    """Return how many images were left out."""
    n = len(content.metrics.skipped_images)
    return f"{n:,} {'image' if n == 1 else 'images'} that could not be used"


def more_skipped_words(content: Content) -> str:
    """Return how many more were left out than the table shows, or nothing."""
    n = len(content.metrics.skipped_images) - MOST_SKIPPED
    return f"and {n:,} more, see skipped_images in metrics.json" if n > 0 else ""
