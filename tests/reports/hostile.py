"""Records in which every text is hostile, and what of a page they may not change."""

from __future__ import annotations

import dataclasses
import typing
from html.parser import HTMLParser
from typing import Any

import msgspec

EVIL = (
    "</script></style></svg></title>]]>--><script>alert(1)</script>"
    "<img src=x onerror=alert(2)>\"' onload='alert(3) {{ 7*7 }} $\\alpha_{x}$ \x00\x1b[31m\u202e人"
)


def with_hostile_texts(value: Any) -> Any:
    """Return a record with every free text replaced; keys of dictionaries get it as their end."""
    if isinstance(value, str):
        return EVIL
    if isinstance(value, tuple):
        return tuple(map(with_hostile_texts, value))
    if isinstance(value, dict):
        return {key + EVIL: with_hostile_texts(item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        # Literals are words of the format, not of a user.
        texts = {
            name: with_hostile_texts(getattr(value, name))
            for name, kind in typing.get_type_hints(type(value)).items()
            if not any(
                typing.get_origin(part) is typing.Literal for part in (kind, *typing.get_args(kind))
            )
        }
        return msgspec.structs.replace(value, **texts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        texts = {
            f.name: with_hostile_texts(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **texts)
    return value


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, without texts.

    Attributes:
        kinds: pairs of element and attribute, and elements alone.
        ids: in their order.
        addresses: what links and pictures point at.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.kinds: set[tuple[str, str]] = set()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.kinds |= {(tag, ""), *((tag, name) for name, _ in attributes)}
        self.ids += [value or "" for name, value in attributes if name == "id"]
        self.addresses += [
            value or "" for name, value in attributes if name in ("href", "src", "srcset", "action")
        ]
