"""Text from files (names, reasons, notes) made safe for Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# A pipe ends a table cell even in a code span, so it is written as the character it stands for.
_MARKDOWN = {ord(c): f"\\{c}" for c in "\\`*[]~$"} | {
    ord(c): entity for c, entity in {**_HTML, "|": "&#124;"}.items()
}
_OUTER_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BLOCK_START = re.compile(r"^(?=#+( |$)|[+-] |-{3,}$)")

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


def one_line(text: str) -> str:
    r"""Return the text on one line, without control and invisible formatting characters.

    >>> one_line("a\n\x1b[31mb  c")
    'a [31mb c'
    """
    visible = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(visible.split())


def markdown_text(text: str) -> str:
    r"""Return the text so that Markdown shows it as it is, in a table cell or a list item.

    >>> print(markdown_text("<b>|*left_eye*|</b>"))
    &lt;b&gt;&#124;\*left_eye\*&#124;&lt;/b&gt;
    """
    escaped = _OUTER_UNDERSCORE.sub(r"\\_", one_line(text).translate(_MARKDOWN))
    return _BLOCK_START.sub(r"\\", escaped)


def markdown_code(text: str) -> str:
    """Return the text as a Markdown code span; not for table cells.

    >>> print(markdown_code("a`b.json"))
    `` a`b.json ``
    """
    text = one_line(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def markdown_fence(line: str) -> str:
    """Return a line as a Markdown code block."""
    return "\n".join(("```text", one_line(line).lstrip("`"), "```"))


def markdown_list(lines: Iterable[str]) -> str:
    """Return plain lines as a Markdown list."""
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


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
