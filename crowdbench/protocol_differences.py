"""In words: where the protocols of runs differ, and whether the runs may stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from crowdbench.markup import one_line
from crowdbench.protocol import Protocol, options_of_base

Comparable = Literal["never", "if asked", "always"]


class _Field(NamedTuple):
    comparable: Comparable
    words: str
    remark: str = ""


# Every field of the protocol; the gravest first. What makes runs never comparable is another
# yardstick: other persons to find, or another rule by which a pose is right. Such numbers share a
# name only. Those to be asked for leave the yardstick and change what was held against it: the
# difference of two numbers is one, but not of the methods alone. What names the method itself is
# always comparable.
_FIELDS = {
    "split": _Field("never", "another split"),
    "annotations": _Field("never", "other annotations", "digests of the files"),
    "skeleton": _Field("never", "another keypoint layout"),
    "sigmas": _Field("never", "other OKS constants", "their digests"),
    "area": _Field("never", "another rule for the size of persons"),
    "oks": _Field("never", "other OKS thresholds"),
    "max_poses": _Field("never", "another number of poses that count in an image"),
    "version": _Field("never", "another version of the numbers", "run both with one crowdbench"),
    "pose3d": _Field("never", "other rules for 3D poses"),
    "boxes": _Field("if asked", "other boxes"),
    "scores": _Field("if asked", "other scores"),
    "merging": _Field("if asked", "other merging"),
    "crops": _Field("if asked", "other crops"),
    "flip_test": _Field("if asked", "another flip test"),
    "decoding": _Field("if asked", "another decoding of heatmaps"),
    "precision": _Field("if asked", "another precision of the network"),
    "options": _Field("if asked", "other options"),
    "skipped": _Field("if asked", "other images that could not be used"),
    "images": _Field("if asked", "another number of images"),
    "pose_area": _Field(
        "if asked",
        "another rule for the size of unmatched poses",
        "it moves AP_M, AP_L, AR_M and AR_L only",
    ),
    "levels": _Field("if asked", "other crowding levels"),
    "base": _Field("always", "another base"),
    "conditions": _Field("always", "other conditions"),
}


class Difference(NamedTuple):
    """One field in which a protocol is another than the first run's.

    Attributes:
        field: of the protocol.
        comparable: whether the numbers on the whole split may stand side by side: ``never``,
            ``if asked`` (and marked) or ``always``.
        words: e.g. ``other boxes (gt instead of none)``.
    """

    field: str
    comparable: Comparable
    words: str


def protocol_differences(here: Protocol, first: Protocol) -> tuple[Difference, ...]:
    """Return where a run's protocol is another than the first run's, the gravest first.

    A file of one's own with the bytes of a known split's is the same split under another name: the
    rules that the manifest adds to the file are fields of their own.

    >>> from msgspec.structs import replace
    >>> first = Protocol("demo", "0123456789ab", 2, "coco-17", "89abcdef", "annotation", "joints",
    ...                  "none", "given", "none")
    >>> protocol_differences(replace(first, boxes="gt"), first)[0].words
    'other boxes (gt instead of none)'
    """
    found = []
    for name, field in _FIELDS.items():
        a, b = getattr(here, name), getattr(first, name)
        if a == b:
            continue
        comparable = field.comparable
        if name == "split" and "own" in (a, b) and here.annotations == first.annotations:
            comparable = "if asked"
        # What one of the methods does not have, the other can't have otherwise.
        if name == "precision" and "none" in (a, b):
            comparable = "always"
        if name == "options" and not _have_other_values(here, first):
            comparable = "always"
        remark = f"; {field.remark}" if field.remark else ""
        words = f"{field.words} ({_value(a)} instead of {_value(b)}{remark})"
        found.append(Difference(name, comparable, words))
    return tuple(found)


def _have_other_values(here: Protocol, first: Protocol) -> bool:
    """Return whether an option that both predictors have is set otherwise.

    Options that one of the two alone has belong to its method. Those of a refiner's base are held
    against the same ones of a predictor that is no refiner.
    """
    a, b = _options(here), _options(first)
    if here.base != "none" and first.base == "none":
        a = options_of_base(a)
    elif first.base != "none" and here.base == "none":
        b = options_of_base(b)
    return any(a[name] != b[name] for name in a.keys() & b.keys())


def _options(protocol: Protocol) -> dict[str, str]:
    """Return the options of the predictor, by name."""
    pairs = (part.partition("=") for part in protocol.options.split(",") if "=" in part)
    return {name: value for name, _, value in pairs}


def _value(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else one_line(value)


def differences_words(
    names: Sequence[str], differences: Sequence[tuple[Difference, ...]]
) -> list[str]:
    """Return a clause for the runs that differ in the same way, e.g. ``b and c have other ...``.

    Args:
        names: of the runs.
        differences: of each run; none for those that do not differ.
    """
    groups: dict[tuple[Difference, ...], list[str]] = {}
    for name, found in zip(names, differences, strict=True):
        if found:
            groups.setdefault(found, []).append(name)
    return [
        f"{join_names(group)} {'has' if len(group) == 1 else 'have'} "
        f"{', '.join(difference.words for difference in found)}"
        for found, group in groups.items()
    ]


def join_names(names: Sequence[str]) -> str:
    """Return the names as an enumeration.

    >>> join_names(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
