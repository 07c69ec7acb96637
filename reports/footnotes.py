"""Footnotes of tables and plots."""

from __future__ import annotations

from crowdbench.markup import one_line
from reports.markup import superscript


class Footnotes:
    """Footnotes, each once, in the order in which they are first referred to."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        """The footnotes."""
        return tuple(self._numbers)

    @property
    def lines(self) -> list[str]:
        """The footnotes behind their marks."""
        return [f"{superscript(number)} {text}" for text, number in self._numbers.items()]

    def mark(self, text: str | None) -> str:
        """Return the mark that refers to the footnote; nothing for no text."""
        if not text:
            return ""
        return superscript(self._numbers.setdefault(one_line(text), len(self._numbers) + 1))
