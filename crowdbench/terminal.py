"""What the commands print: tables on the terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crowdbench.markup import one_line
from crowdbench.metrics.catalogue import LEVEL_METRICS, main_metric

if TYPE_CHECKING:
    from crowdbench.card import Card
    from crowdbench.datasets.synthcrowd.making import Made
    from crowdbench.datasets.verify import CountCheck, DatasetFacts, SplitCheck, SplitFiles
    from crowdbench.doctor import Finding
    from crowdbench.metrics.official import Check, CheckResult
    from crowdbench.record import Speed
    from crowdbench.results import ConditionFacts, ConditionRow, Interval, Metric, Metrics
    from crowdbench.running.check import Verdict


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction as percent, ``-`` for none.

    >>> percent(0.49577), percent(-1e-17)
    ('49.58', '0.00')
    """
    # + 0.0: what rounds to zero has no sign.
    return "-" if value is None else f"{round(100 * value, digits) + 0.0:.{digits}f}"


# What stands behind or above a number of each unit, and behind a difference of two.
UNIT_SIGNS = {"fraction": "%", "mm": "mm"}
DIFFERENCE_UNITS = {"fraction": "points", "mm": "mm"}


def number(value: float | None, unit: str, digits: int = 2) -> str:
    """Return a number as tables show it: fractions in percent, millimetres with one decimal.

    Args:
        value: ``-`` stands for none.
        unit: ``fraction`` or ``mm``.
        digits: decimals of percentages.

    >>> number(0.49577, "fraction"), number(88.4321, "mm"), number(0.49577, "fraction", 1)
    ('49.58', '88.4', '49.6')
    """
    if unit == "fraction":
        return percent(value, digits)
    # + 0.0: what rounds to zero has no sign.
    return "-" if value is None else f"{round(value, 1) + 0.0:,.1f}"


def difference(value: float, unit: str, digits: int = 2) -> str:
    """Return a difference of two numbers of a unit: signed, points for fractions.

    >>> difference(0.0125, "fraction"), difference(-1e-9, "fraction"), difference(-4.26, "mm")
    ('+1.25', '0.00', '-4.3')
    """
    text = f"{100 * value:+.{digits}f}" if unit == "fraction" else f"{value:+,.1f}"
    return text[1:] if not text.strip("+-0.") else text


def interval_words(interval: Interval, unit: str, digits: int = 1) -> str:
    """Return an interval as tables show it, without the unit.

    >>> from crowdbench.results import Interval
    >>> interval_words(Interval((0.589, 0.612), None, 0.006), "fraction")
    '58.9 - 61.2'
    >>> interval_words(Interval((-4.26, 1.5), None, 1.5), "mm")
    '-4.3 to 1.5'
    """
    low, high = interval.percentile
    between = " to " if low < 0 else " - "
    return number(low, unit, digits) + between + number(high, unit, digits)


def interval_header(metrics: Metrics) -> tuple[str, ...]:
    """Return the column that intervals have, if there are any."""
    return () if metrics.bootstrap is None else (f"{100 * metrics.bootstrap.level:g} % interval",)


def interval_cell(metric: Metric) -> str:
    """Return the cell of a number below `interval_header`."""
    interval = metric.interval
    if interval is None or interval is msgspec.UNSET:
        return ""
    return interval_words(interval, metric.unit)


def value_header(units: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that values of these units have: the unit itself, or value and unit.

    >>> value_header(["fraction"]), value_header(["fraction", "mm"])
    (('%',), ('value', 'unit'))
    """
    signs = {UNIT_SIGNS[unit] for unit in units} or {"%"}
    return tuple(signs) if len(signs) == 1 else ("value", "unit")


def value_cells(metric: Metric, header: Sequence[str]) -> tuple[str, ...]:
    """Return the cells of a number below the columns of `value_header`."""
    cells = number(metric.value, metric.unit), UNIT_SIGNS[metric.unit]
    return cells[: len(header)]


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int] = (),
    to_stderr: bool = False,
) -> None:
    """Print a table; `numbers` are the columns to align to the right."""
    console = _console(to_stderr)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        table.add_column(Text(name), justify="right" if i in numbers else "left", overflow="fold")
    for row in rows:
        # Text, not markup: names from files may hold brackets.
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def print_metrics(metrics: Metrics, folder: Path) -> None:
    """Print the metrics, the signature and where the record is."""
    values = value_header(metric.unit for metric in metrics.metrics.values())
    ranges = interval_header(metrics)
    print_table(
        ("metric", *values, *ranges, "n", ""),
        [
            (
                name,
                *value_cells(metric, values),
                *(interval_cell(metric) for _ in ranges),
                f"{metric.n:,}",
                metric.reason or "",
            )
            for name, metric in metrics.metrics.items()
        ],
        numbers=(1, 1 + len(values) + len(ranges)),
    )
    main = main_metric(metrics.metrics)
    ends = [
        (*cells, *(interval_cell(metrics.robustness[name][f"{main}_drop"]) for _ in ranges))
        for name, rows in metrics.conditions.items()
        if (cells := _condition_cells(metrics.condition_facts[name], name, rows, main))
    ]
    if ends:
        of_drop = ("interval",) if ranges else ()
        header = (f"{main} by", "easiest", "%", "hardest", "%", "drop", *of_drop)
        print_table(header, ends, numbers=(2, 4, 5))
    words = (
        f"{n:,} {name.replace('_at_50', ' at OKS 0.50').replace('_', ' ')}"
        for name, n in metrics.counts.items()
        if n
    )
    print(f"{metrics.predictor} on {metrics.split}: {', '.join(words)}")
    print(metrics.signature)
    print(f"run: {folder}")


def _condition_cells(
    facts: ConditionFacts, name: str, rows: Sequence[ConditionRow], main: str
) -> tuple[str, ...] | None:
    """Return a condition's ends, of the rows with a main metric; None if fewer than two have it."""
    known = [(row.label, value) for row in rows if (value := row.metrics[main].value) is not None]
    if len(known) < 2:
        return None
    (easy, high), (hard, low) = (
        (known[0], known[-1]) if facts.harder == "up" else (known[-1], known[0])
    )
    return name, easy, percent(high), hard, percent(low), percent(high - low)


def print_check(result: CheckResult, to_stderr: bool = False) -> None:
    """Print an official tool's numbers beside ours."""

    def full(value: float | None) -> str:
        return "-" if value is None else f"{value:.12f}"

    print_table(
        ("metric", "crowdbench", result.tool, "difference", ""),
        [
            (
                check.metric,
                full(check.ours),
                full(check.theirs),
                "-"
                if check.ours is None or check.theirs is None
                else f"{check.ours - check.theirs:.1e}",
                _verdict(check),
            )
            for check in result.checks
        ],
        numbers=(1, 2, 3),
        to_stderr=to_stderr,
    )
    console = _console(to_stderr)
    for remark in result.remarks:
        console.print(f"known: {remark}", markup=False)


def _verdict(check: Check) -> str:
    if not check.agrees:
        return "DIFFERS"
    return "equal, as rounded" if check.metric in LEVEL_METRICS and check.theirs else "equal"


def _console(to_stderr: bool) -> Console:
    console = Console(stderr=to_stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A file or another program reads this: lines are not to be folded.
        console.width = 1000
    return console


def speed_words(speed: Speed) -> str:
    """Return how fast a network was and what it costs; nothing for a predictor without one.

    >>> from crowdbench.record import Speed
    >>> speed_words(Speed("cpu, 2 threads", 8, 0, 2, 3, 5, 1.0, 0.9, 3.0, 5.0, 300.1, 4, 28603313,
    ...                   10547168768, 9.82))
    '5.0 persons/s, 3.0 images/s, latency 300.1 ms; 28.6 M parameters, 9.8 GFLOPs; cpu, 2 threads'
    """
    pace = [
        f"{value:.1f} {unit}"
        for value, unit in (
            (speed.persons_per_second, "persons/s"),
            (speed.images_per_second, "images/s"),
        )
        if value is not None
    ]
    if speed.latency_ms is not None:
        pace.append(f"latency {speed.latency_ms:.1f} ms")
    if speed.parameters is None or speed.gflops is None:
        return ""
    costs = f"{speed.parameters / 1e6:.1f} M parameters, {speed.gflops:.1f} GFLOPs"
    return "; ".join(filter(None, (", ".join(pace), costs, speed.device)))


def print_verdict(verdict: Verdict) -> None:
    """Print one thing that was checked about a predictor."""
    detail = f": {verdict.detail}" if verdict.detail else ""
    print(f"{'ok  ' if verdict.passes else 'FAIL'}  {verdict.what}{detail}", flush=True)


def print_doctor(findings: Sequence[Finding]) -> None:
    """Print what works and what does not."""
    print_table(
        ("", "what", ""),
        [("ok" if f.works else "MISSING", f.what, f.detail) for f in findings],
    )


def print_splits(splits: Sequence[SplitFiles], root: Path) -> None:
    """Print which splits are there and where the others are to be had."""
    print_table(
        ("", "split", f"annotations below {root}"),
        [
            (
                "ok" if split.path else "can be made" if split.can_be_made else "missing",
                split.name,
                _below(split.path, root) if split.path else _advice(split),
            )
            for split in splits
        ],
    )


def _advice(split: SplitFiles) -> str:
    return f"make it: {split.get}" if split.can_be_made else f"get it from {split.get}"


def print_facts(facts: DatasetFacts, root: Path) -> None:
    """Print everything known of a data set, and what of it is there."""
    manifest = facts.manifest
    print(f"{manifest.title}: {manifest.description}\n")
    print(f"licence   {manifest.licence}")
    print(f"skeleton  {manifest.skeleton}, person size: {manifest.area}")
    print(f"official  {manifest.official_tool}")
    if manifest.version:
        print(f"version   {manifest.version}")
    place = manifest.url or f"crowdbench data make {manifest.name}"
    print(f"get it    {place}\n{manifest.get}\n")
    rows = []
    for split, files in zip(facts.splits, facts.files, strict=True):
        counts = ", ".join(
            f"{n:,} {name}" for name, n in msgspec.structs.asdict(split.counts).items() if n
        )
        rows.append((split.name, "counts", counts or "not known for certain"))
        wanted = split.annotations[0]
        found = _below(files.path, root) if files.path else f"missing: {wanted}"
        rows.append(("", "annotations", found))
        wanted = ", ".join(split.images)
        found = _below(files.images, root) if files.images else f"missing: {wanted}"
        rows.append(("", "images", found))
        for name, path in files.boxes.items():
            rows.append(("", f"boxes {name}", _below(path, root) if path else "missing"))
    print_table(("split", "", f"below {root}"), rows)
    folders = ", ".join(manifest.folders)
    print(f"\nEach may lie in any of these folders below the data root: {folders}")
    print(f"\n{manifest.citation}")


def print_card(card: Card) -> None:
    """Print everything known of a predictor."""
    needed = {
        "images": card.needs_images,
        "person boxes": card.needs_boxes,
        "weights": card.needs_weights,
        "the poses of another predictor (--base NAME), and what that needs": card.refines,
    }
    network = ", ".join(filter(None, (card.backbone, card.input_size)))
    method = f"{card.method}, {card.year}" if card.method and card.year else card.method
    facts = {
        "method": method,
        "paper": card.paper,
        "licence": card.licence,
        "network": network,
        "keypoints": ", ".join(card.skeletons) or "any",
        "needs": ", ".join(what for what, is_needed in needed.items() if is_needed) or "nothing",
        "attention": "can be kept (--save-attention)" if card.shows_attention else "",
    }
    print(f"{card.name}: {one_line(card.description)}\n")
    for what, value in facts.items():
        if value:
            print(f"{what:<9} {one_line(value)}")
    if not card.options:
        print("options   none")
    for option in card.options:
        print(f"\n--option {option.name}={'|'.join(option.values)}")
        print(f"    {one_line(option.help)}")
        if option.study:
            print(f"    crowdbench ablate --vary {option.name} compares {', '.join(option.study)}")


def print_made(name: str, made: Made) -> None:
    """Print what a split that is made here consists of, and where it is."""
    there = "is there already" if made.was_there else "made"
    print(f"{name}: {there}: {made.n_images:,} images, {made.n_persons:,} persons")
    places = made.places
    print(f"  annotations  {places.annotations}\n               sha256 {made.annotations.sha256}")
    if places.boxes is not None and made.boxes is not None:
        print(f"  boxes        {places.boxes}\n               sha256 {made.boxes.sha256}")
    print(f"  images       {places.images}", flush=True)


def print_verification(checks: Sequence[SplitCheck]) -> None:
    """Print the counts of the files that are there beside the known ones."""
    rows = []
    for check in checks:
        name = check.files.name
        if check.passes is None:
            rows.append(("missing", name, _advice(check.files)))
            continue
        rows.append(("ok" if check.passes else "WRONG", name, str(check.files.path)))
        if check.problem:
            rows.append(("", "", check.problem))
        if check.sha256:
            rows.append(("", "", _digest_words(check.sha256, check.expected_sha256)))
        rows += [("", "", _count_words(count)) for count in check.counts]
        if check.images:
            rows.append(
                ("", "", f"{check.images.n_present:,} of {check.images.n_listed:,} image files")
            )
    print_table(("", "split", ""), rows)


def _digest_words(found: str, expected: str | None) -> str:
    if expected is None:
        return f"sha256 {found}"
    verdict = "as it should be" if found == expected else f"EXPECTED {expected}"
    return f"sha256 {found}: {verdict}"


def _count_words(count: CountCheck) -> str:
    found = "?" if count.found is None else f"{count.found:,}"
    if count.expected is None:
        return f"{found} {count.what}"
    if count.is_certain:
        verdict = "as it should be" if count.state == "ok" else f"EXPECTED {count.expected:,}"
    else:
        verdict = f"papers state {count.expected:,}, which nobody has confirmed"
    return f"{found} {count.what}: {verdict}"


def _below(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
