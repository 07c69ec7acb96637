"""Mirror images: where what is seen in them comes to lie."""

from __future__ import annotations

import pytest
import torch

from predictors.bottomup.views import Mirroring, mirrored

IMAGE = torch.arange(2 * 3 * 4 * 8, dtype=torch.float64).reshape(2, 3, 4, 8)[:1] + 1


@pytest.mark.parametrize("rule", ["plain", "shifted", "shifted-kept"])
def test_the_first_view_is_the_image(rule: Mirroring) -> None:
    views = mirrored(IMAGE, rule)
    assert views.shape == (2, 3, 4, 8)
    assert torch.equal(views[:1], IMAGE)


def test_plain() -> None:
    assert torch.equal(mirrored(IMAGE, "plain")[1], IMAGE[0].flip(-1))


def test_shifted_as_by_assignments() -> None:
    wanted = IMAGE.flip(-1).numpy().copy()
    wanted[..., :-3] = wanted[..., 3:].copy()
    assert torch.equal(mirrored(IMAGE, "shifted-kept")[1:], torch.from_numpy(wanted))
    wanted[..., -3:] = 0
    assert torch.equal(mirrored(IMAGE, "shifted")[1:], torch.from_numpy(wanted))


@pytest.mark.parametrize("rule", ["shifted", "shifted-kept"])
def test_pixels_of_a_map_of_stride_four_fall_onto_each_other(rule: Mirroring) -> None:
    views = mirrored(IMAGE, rule)[..., ::4]
    assert torch.equal(views[1].flip(-1), views[0])


def test_the_type_is_kept() -> None:
    assert mirrored(IMAGE.half(), "shifted").dtype == torch.float16
