from __future__ import annotations

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
