"""What the variants of a method share."""

from __future__ import annotations

from dataclasses import dataclass

from crowdbench.card import Option


@dataclass(frozen=True)
class Family:
    """What the variants of a method share on their cards; see `crowdbench.card.Card`."""

    method: str
    paper: str
    year: int
    licence: str = ""
    options: tuple[Option, ...] = ()
    shows_attention: bool = False
