"""HTML pages that are one file: no network, no foreign script, light and dark, screen and paper."""

from __future__ import annotations

import base64
import functools
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from crowdbench.markup import one_line


def render_page(template: str, **values: object) -> str:
    """Return a page from a template of ``reports/templates``, which extends ``page.html.j2``.

    Every value is escaped unless it is `Markup`, and loses control and invisible formatting
    characters. The page's policy forbids each script but ours.

    Args:
        template: its file name.
        **values: what it shows.
    """
    script = Markup(_templates().get_template("page.js.j2").render())
    digest = hashlib.sha256(script.encode()).digest()
    return (
        _templates()
        .get_template(template)
        .render(script=script, script_digest=base64.b64encode(digest).decode(), **values)
    )


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        finalize=lambda value: one_line(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
