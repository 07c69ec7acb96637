from __future__ import annotations

import pytest
from msgspec.structs import replace

from crowdbench.protocol import Protocol
from crowdbench.protocol_differences import differences_words, protocol_differences

FIRST = Protocol(
    "demo", "ab" * 6, 2, "coco-17", "89abcdef", "annotation", "joints", "none", "given", "none"
)


def test_every_field_of_the_protocol_is_known() -> None:
    for name in Protocol.__struct_fields__:
        value = getattr(FIRST, name)
        other = value + 1 if isinstance(value, int) else f"{value}, or another"
        assert [d.field for d in protocol_differences(replace(FIRST, **{name: other}), FIRST)] == [
            name
        ]
    assert protocol_differences(FIRST, FIRST) == ()


def test_the_gravest_difference_comes_first_and_conditions_last() -> None:
    other = replace(FIRST, conditions="size(0,32)", images=3, split="else")
    found = protocol_differences(other, FIRST)
    assert [d.comparable for d in found] == ["never", "if asked", "always"]
    (words,) = differences_words(["a", "b", "c"], [(), found[:2], found[:2]])
    assert words.startswith("b and c have another split (else instead of demo), another number of ")


def test_a_file_of_ones_own_with_the_bytes_of_a_split_is_that_split() -> None:
    (found,) = protocol_differences(replace(FIRST, split="own"), FIRST)
    assert found.comparable == "if asked"
    found, _ = protocol_differences(replace(FIRST, split="own", annotations="cd" * 6), FIRST)
    assert found.comparable == "never"


@pytest.mark.parametrize(
    ("first", "here", "comparable"),
    [
        # Of one method.
        (("none", "grouping=all"), ("none", "grouping=single"), "if asked"),
        (("made", "by=1,base.roots=gt"), ("made", "by=2,base.roots=gt"), "if asked"),
        (("made", "by=1,base.roots=gt"), ("made", "by=1,base.roots=file"), "if asked"),
        # Of two: what one of them does not have is no difference in their setting.
        (("none", "none"), ("none", "grouping=all"), "always"),
        (("none", "roots=gt"), ("made", "by=1,base.roots=gt"), "always"),
        (("made", "by=1,base.roots=gt"), ("none", "roots=gt"), "always"),
        (("none", "roots=gt"), ("made", "by=1,base.roots=file"), "if asked"),
        (("made", "by=1,base.roots=gt"), ("none", "roots=file"), "if asked"),
        # An option of the refiner is another than the base's of that name.
        (("none", "by=3"), ("made", "by=1,base.by=3"), "always"),
        (("made", "by=1,base.by=3"), ("made", "by=1,base.by=4"), "if asked"),
    ],
)
def test_options_differ_where_both_predictors_have_them(
    first: tuple[str, str], here: tuple[str, str], comparable: str
) -> None:
    a, b = (replace(FIRST, base=base, options=options) for base, options in (first, here))
    found = {d.field: d.comparable for d in protocol_differences(b, a)}
    assert found.pop("options") == comparable
    assert set(found.values()) <= {"always"}


def test_a_precision_is_another_only_where_both_have_one() -> None:
    half, full = (replace(FIRST, precision=each) for each in ("bf16", "fp32"))
    for here, first, comparable in ((half, full, "if asked"), (half, FIRST, "always")):
        for pair in ((here, first), (first, here)):
            (found,) = protocol_differences(*pair)
            assert (found.field, found.comparable) == ("precision", comparable)
