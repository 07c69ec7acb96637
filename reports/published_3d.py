"""Published 3D results: the rows of one method, which papers spread over several tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from reports.published import Entry

# What papers call the sequences and the groups of joints, and what the data do.
SEQUENCES = {f"S{i}": f"TS{i}" for i in range(1, 21)}
GROUPS = {
    "head": "Hd.",
    "neck": "Nck.",
    "shoulder": "Sho.",
    "elbow": "Elb.",
    "wrist": "Wri.",
    "hip": "Hip",
    "knee": "Kn.",
    "ankle": "Ank.",
}


def rows_of_methods(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the rows with those of one method, paper and setting put together.

    Rows that give different figures for one metric stay apart.

    Args:
        entries: the order of the first row of each method stays.
    """
    rows: list[list[Entry]] = []
    for entry in entries:
        for parts in rows:
            if all(_belong_together(part, entry) for part in parts):
                parts.append(entry)
                break
        else:
            rows.append([entry])
    return tuple(_together(parts) for parts in rows)


def _belong_together(a: Entry, b: Entry) -> bool:
    same = (a.method, a.source.paper, a.settings) == (b.method, b.source.paper, b.settings)
    figures = [
        {name: v for name, v in entry.metrics.items() if isinstance(v, float)} for entry in (a, b)
    ]
    return same and all(figures[1].get(name, value) == value for name, value in figures[0].items())


def _together(parts: Sequence[Entry]) -> Entry:
    if len(parts) == 1:
        return parts[0]
    metrics: dict[str, Any] = {}
    for part in parts:
        for name, value in part.metrics.items():
            metrics[name] = metrics.get(name, {}) | value if isinstance(value, dict) else value
    first = parts[0]
    places = {_place(part): part for part in parts}
    return replace(
        first,
        metrics=metrics,
        source=replace(
            first.source,
            table=", ".join(sorted({part.source.table for part in parts})),
            section=_joined(part.source.section for part in parts),
            row=_joined(part.source.row for part in parts) or first.source.row,
        ),
        doubtful=tuple(dict.fromkeys(name for part in parts for name in part.doubtful)),
        notes=tuple(
            note if all(note in part.notes for part in parts) else f"{place}: {note}"
            for place, note in dict.fromkeys(
                (place if not all(note in p.notes for p in parts) else "", note)
                for place, part in places.items()
                for note in part.notes
            )
        ),
        conflicts=tuple(conflict for part in parts for conflict in part.conflicts),
    )


def _place(entry: Entry) -> str:
    return ", ".join(filter(None, (entry.source.table, entry.source.section)))


def _joined(texts: Any) -> str | None:
    return "; ".join(dict.fromkeys(text for text in texts if text)) or None
