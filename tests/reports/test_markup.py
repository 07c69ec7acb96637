from __future__ import annotations

import pytest
from markdown_it import MarkdownIt  # rich depends on it

from crowdbench.markup import markdown_code, markdown_fence, markdown_text
from reports.markup import latex_text
from reports.tables import Table

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b|c",
    "a\\|b",
    "ends in a backslash\\",
    "`code` and ``more``",
    "*bold* _it_ __x__ ~~gone~~",
    "[link](javascript:alert(1)) ![i](x)",
    "<!-- comment",
    "&lt;b&gt; &amp; $x$",
    "# heading",
    "#",
    "- item",
    "---",
    "> quote",
    "left_eye",
]


def render(markdown: str) -> str:
    return str(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))


def html_text(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(char, entity)
    return text


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_any_text_as_it_is_in_a_list(text: str) -> None:
    item = f"<ul>\n<li>{html_text(text)}</li>\n</ul>\n"
    assert render(f"- {markdown_text(text)}") == item


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_any_text_as_it_is_in_a_table_cell(text: str) -> None:
    table = f"| {markdown_text(text)} | b |\n|---|---|\n| {markdown_text(text)} | 2 |"
    html = render(table)
    assert f"<th>{html_text(text)}</th>\n<th>b</th>" in html
    assert f"<td>{html_text(text)}</td>\n<td>2</td>" in html


@pytest.mark.parametrize("text", [*HOSTILE, "`", "``", "a`"])
def test_a_code_span_shows_any_text_as_it_is(text: str) -> None:
    assert render(markdown_code(text)) == f"<p><code>{html_text(text)}</code></p>\n"


def test_a_code_block_cannot_be_left() -> None:
    html = render(markdown_fence("```\n```\n<script>"))
    assert html.count("<pre>") == 1
    assert "<script>" not in html
    assert html.endswith("</code></pre>\n")


def test_line_breaks_and_invisible_characters_become_spaces() -> None:
    assert markdown_text("a\nb\r\n\x1b[0m\u202ec\x00") == "a b \\[0m c"


def test_latex_specials_are_escaped() -> None:
    escaped = r"\textbackslash{}input\{x\} \& 5\% \$y\$ \#1 a\_b\^{}c\textasciitilde{}"
    assert latex_text(r"\input{x} & 5% $y$ #1 a_b^c~") == escaped


def test_a_table_escapes_headers_cells_and_footnotes_in_latex() -> None:
    import pandas as pd

    cells = (("MIP_Net & co", r"50\%"), ("I²R-Net†", "58.7⁴"))
    table = Table("t", pd.DataFrame(), ("a_b", "%"), cells, frozenset("%"), ("100% {sure}",))
    latex = table.latex()
    assert r"a\_b" in latex
    assert r"MIP\_Net \& co" in latex
    assert r"50\textbackslash{}\%" in latex
    assert r"I\textsuperscript{2}R-Net\dag{}" in latex
    assert r"58.7\textsuperscript{4}" in latex
    assert r"\par{\footnotesize\noindent \textsuperscript{1} 100\% \{sure\}\par}" in latex
    assert r"\begin{tabular}{lr}" in latex
