"""Text from files (names, reasons, notes) made safe for LaTeX."""

from __future__ import annotations

from crowdbench.markup import one_line

_LATEX_SPECIAL = {ord(c): f"\\{c}" for c in "&%$#_{}"} | {
    ord("\\"): r"\textbackslash{}",
    ord("^"): r"\^{}",
    ord("~"): r"\textasciitilde{}",
    ord("<"): r"\textless{}",
    ord(">"): r"\textgreater{}",
}
# What pdfLaTeX has no glyph for, of the characters in paper tables and in our own footnotes.
_LATEX = str.maketrans(
    {digit: rf"\textsuperscript{{{i}}}" for i, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | {"⋆": r"$\star$", "†": r"\dag{}"}
)


def superscript(number: int) -> str:
    """Return the number in superscript digits, plain characters in every format.

    >>> superscript(12)
    '¹²'
    """
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(number))


def latex_text(text: str) -> str:
    r"""Return the text as LaTeX running text; tabulate does the same for table cells.

    >>> print(latex_text("AP_M 50% of {a}"))
    AP\_M 50\% of \{a\}
    """
    return one_line(text).translate(_LATEX_SPECIAL)


def latex_glyphs(latex: str) -> str:
    r"""Return LaTeX source with the characters replaced that pdfLaTeX can't print.

    Characters of other scripts stay: a document that has them needs LuaLaTeX or XeLaTeX.

    >>> print(latex_glyphs("I²R-Net 58.7⁴"))
    I\textsuperscript{2}R-Net 58.7\textsuperscript{4}
    """
    return latex.translate(_LATEX)
