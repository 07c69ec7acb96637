"""What the variants of a method share, and how they are sent to other processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crowdbench.card import Option
from crowdbench.predictor import Predictor
from crowdbench.registry import load_predictor


@dataclass(frozen=True)
class Family:
    """What the variants of a method share on their cards; see `crowdbench.card.Card`."""

    method: str
    paper: str
    year: int
    licence: str = ""
    options: tuple[Option, ...] = ()
    shows_attention: bool = False


def reduced(predictor: Predictor) -> tuple[Callable[[str], Predictor], tuple[str], Any]:
    """Return what a predictor is made of again in another process; its ``__reduce__``.

    The classes of variants are made by a call and have no name in a module, by which pickle would
    look for them: they are found by the name on their card.
    """
    return _blank, (predictor.card.name,), predictor.__getstate__()


def _blank(name: str) -> Predictor:
    kind = load_predictor(name)
    return kind.__new__(kind)
