"""Figures that papers printed, read from ``data_manifests/published/``.

One file holds the results tables of all papers for one split; the README beside the files says what
each field means and how the figures were checked. Figures are as printed, in percent or mm.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import msgspec

from crowdbench.files import read_yaml
from crowdbench.metrics.catalogue import main_metric

# The papers behind the ids in `Place.paper`.
PAPERS = {
    "mipnet": "Multi-Instance Pose Networks (Khirodkar et al.)",
    "i2r-net": "I²R-Net (Ding et al.)",
    "pinet": (
        "Robust Pose Estimation in Crowded Scenes with Direct Pose-Level Inference (Wang et al.)"
    ),
    "pi-net-3d": "PI-Net, pose interacting network for 3D (Guo et al.)",
    "global-relation-modeling": (
        "Global Relation Modeling and Refinement for Bottom-Up Human Pose Estimation (Yin and Yin)"
    ),
}

# Splits whose file has another name.
_FILES = {"mupots": "mupots-3d"}
# What the file of 3D results calls our metrics. PI-Net aligns by rotation and shift alone.
_NAMES = {
    "pck3d_150_all": "3DPCK_all",
    "pck3d_150_matched": "3DPCK_matched",
    "mpjpe_mm": "MPJPE_mm",
    "pa_mpjpe_mm": "PA_MPJPE_rigid_mm",
}

Setting = str | int | float | bool


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a paper, or a passage of its text.

    Attributes:
        paper: id of the paper, a key of `PAPERS`.
        table: e.g. ``Table 3``.
    """

    paper: str
    table: str

    def __str__(self) -> str:
        return f"{self.paper}, {self.table}"


class Source(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row of a table.

    Attributes:
        row: as printed, with the paper's marks.
        section: heading inside the table.
        column: where one row holds figures of several data sets.
    """

    row: str
    section: str | None = None
    column: str | None = None


class Conflict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What another paper says otherwise about the same row."""

    metric: str
    here: str | float
    other: str | float
    other_source: Place
    note: str = ""

    def __str__(self) -> str:
        return f"{self.metric}: {self.other} in {self.other_source}. {self.note}".rstrip()


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One printed row.

    Attributes:
        method: canonical id; the same id does not mean the same settings.
        name: the method as the paper calls it.
        source: where it is printed.
        settings: ``boxes``, ``input_size``, ``backbone``, ``trained_on``, ``test`` and others, each
            only where the paper states it or `inferred` names it.
        metrics: figures by name; per-sequence and per-joint ones of 3D tables are nested.
        variant: what a row of an ablation varies.
        ablation: whether it is one.
        doubtful: metrics, or settings as ``settings.boxes``, that are printed so but do not fit the
            rest of the paper or another paper; `notes` or `conflicts` say why.
        inferred: fields concluded from other figures.
        lost: metrics whose cells could not be read; `as_printed` has what is there instead.
        filled: metrics taken from elsewhere in the paper, with the place.
        derived: figures computed from stated ones.
        notes: remarks.
        conflicts: other papers' figures for the same row.
    """

    method: str
    name: str
    source: Source
    settings: dict[str, Setting]
    metrics: dict[str, float | dict[str, dict[str, float]]]
    variant: str | None = None
    ablation: bool = False
    doubtful: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    as_printed: dict[str, str] = {}
    filled: dict[str, str] = {}
    derived: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def boxes(self) -> str:
        """Where the boxes came from: ``gt``, a detector, ``none`` or ``unknown``."""
        return str(self.settings.get("boxes", "unknown"))

    @property
    def doubtful_settings(self) -> tuple[str, ...]:
        """What is in doubt about the row itself rather than about a figure of it."""
        return tuple(field for field in self.doubtful if field not in self.metrics)

    @property
    def remarks(self) -> str:
        """Notes and conflicts in one line."""
        return " ".join((*self.notes, *map(str, self.conflicts)))


class Published(msgspec.Struct, frozen=True):
    """What papers printed about one split.

    Attributes:
        entries: all rows.
        context: by paper, what it says about training and testing.
    """

    entries: tuple[Entry, ...] = ()
    context: dict[str, str] = {}

    @property
    def main_entries(self) -> tuple[Entry, ...]:
        """The rows to compare with: those of no ablation, or all if there is nothing else.

        Rows with the same kind of boxes stand together (ground truth, detectors, none, unknown),
        the best by the main metric first.
        """
        chosen = [entry for entry in self.entries if not entry.ablation] or list(self.entries)
        return tuple(sorted(chosen, key=_rank))


def _rank(entry: Entry) -> tuple[int, str, float]:
    main = entry.metrics.get(main_metric(entry.metrics))
    place = {"gt": 0, "none": 2, "unknown": 3}.get(entry.boxes, 1)
    return place, entry.boxes, -main if isinstance(main, float) else 1.0


def published_names() -> list[str]:
    """Return the names there are files for: splits, and two studies of other things.

    >>> "crowdpose-val" in published_names()
    True
    """
    folder = files("data_manifests") / "published"
    names = (entry.name for entry in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_published(name: str) -> Published:
    """Return what papers printed about the split `name`; nothing if there is no file for it.

    Raises:
        InputError: if the file is not what it should be; the message names the field.

    >>> load_published("crowdpose-val").main_entries[0].name
    'MIPNet'
    """
    file = _FILES.get(name, name)
    if file not in published_names():
        return Published()
    with as_file(files("data_manifests") / "published" / f"{file}.yaml") as path:
        found = read_yaml(path, Published)
    entries = (
        msgspec.structs.replace(entry, metrics=_renamed(entry.metrics)) for entry in found.entries
    )
    return Published(tuple(entries), found.context)


def _renamed(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return figures, also nested ones, under our names of the metrics."""
    return {
        _NAMES.get(name, name): _renamed(value) if isinstance(value, dict) else value
        for name, value in metrics.items()
    }
