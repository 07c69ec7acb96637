"""The signature changes with every value of the protocol and with nothing else."""

from __future__ import annotations

import msgspec
import pytest

from crowdbench.protocol import Protocol

PROTOCOL = Protocol(
    split="crowdpose-val",
    annotations="0123456789ab",
    images=2000,
    skeleton="crowdpose-14",
    sigmas="89abcdef",
    area="0.53*box",
    pose_area="box",
    boxes="predictions",
    scores="given",
    merging="none",
)


@pytest.mark.parametrize("field", Protocol.__struct_fields__)
def test_every_field_is_in_the_signature(field: str) -> None:
    value = getattr(PROTOCOL, field)
    changed = msgspec.structs.replace(
        PROTOCOL, **{field: value + 1 if isinstance(value, int) else value + "x"}
    )
    assert changed.signature != PROTOCOL.signature
    assert changed.signature.split("id=")[1] != PROTOCOL.signature.split("id=")[1]


def test_equal_protocols_have_equal_signatures_in_one_line() -> None:
    assert msgspec.structs.replace(PROTOCOL).signature == PROTOCOL.signature
    spaced = msgspec.structs.replace(PROTOCOL, boxes="file:my\nboxes 1.json")
    assert len(spaced.signature.splitlines()) == 1
    assert "boxes=file:my_boxes_1.json" in spaced.signature
