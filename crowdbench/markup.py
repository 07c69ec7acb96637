"""Text from files (names, reasons, notes) made safe for Markdown."""

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
