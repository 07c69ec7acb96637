"""Sentences that stand in every form of a report, plain text."""

from __future__ import annotations

from crowdbench.record import Run
from crowdbench.results import ConditionFacts
from reports.content import Content
from reports.markup import one_line
from reports.published import PAPERS
from reports.tables import MOST_SKIPPED

# Counts that belong together, in words; further counts follow under their own names.
_COUNT_WORDS = (
    "{images} images, {images_without_poses} of them without poses",
    "{persons_evaluated} evaluated persons of {persons} annotated ({persons_crowd} crowd regions)",
    "{poses} poses, of which {poses_counted} count",
    "at OKS 0.50: {true_positives_at_50} persons found, {missed_at_50} missed",
    "{false_positives_at_50} wrong poses",
)

METRICS_LEGEND = (
    "n: evaluated persons; for PCK and OKS_matched keypoints. Higher is better, unless the remark "
    "says otherwise."
)
CONDITIONS_LEGEND = (
    "Metrics in percent, each condition by itself on the whole split. The CSV files have every "
    "metric with its n."
)
NO_CONDITIONS = "No condition was evaluated."
NO_ROBUSTNESS = "No figures: no condition was evaluated."
ROBUSTNESS_LEGEND = (
    "In percent or percentage points, AP_slope in points per unit of the condition's axis; "
    "docs/robustness.md says how each is made."
)
KEYPOINTS_LEGEND = (
    "PCK: share of the labelled keypoints of evaluated persons that are close, those of missed "
    "persons counting as wrong. OKS: mean similarity over persons matched at OKS 0.50."
)
PUBLISHED_INTRODUCTION = "In percent, as printed; grouped by boxes, the best AP first."
PUBLISHED_LEGEND = (
    "Boxes: gt is the ground truth, none a method without boxes, unknown not stated. Settings: "
    "input size (one number: the short side), backbone, training data, test scales; what a paper "
    "does not state is left out, or marked where other figures imply it (inferred)."
)


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
    card, protocol = run.predictor.card, run.protocol
    independence = (
        "each pose depends on its own box alone"
        if card.boxes_independent
        else "poses depend on the other boxes of the image"
    )
    facts = {
        "method": card.method,
        "paper": card.paper,
        "year": "" if card.year is None else str(card.year),
        "licence": card.licence,
        "backbone": card.backbone,
        "input size": card.input_size,
        "keypoint layouts": ", ".join(card.skeletons),
        "flip test": protocol.flip_test,
        "decoding": protocol.decoding,
        "precision": protocol.precision,
        "merging": f"{run.predictor.merging}; {independence}",
    }
    return {name: value for name, value in facts.items() if value not in ("", "none", "given")}


def skipped_words(content: Content) -> str:
    """Return how many images were left out."""
    n = len(content.metrics.skipped_images)
    return f"{n:,} {'image' if n == 1 else 'images'} that could not be read"


def more_skipped_words(content: Content) -> str:
    """Return how many more were left out than the table shows, or nothing."""
    n = len(content.metrics.skipped_images) - MOST_SKIPPED
    return f"and {n:,} more, see skipped_images in metrics.json" if n > 0 else ""
