"""Image names can't leave their folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.datasets import image_path
from crowdbench.errors import InputError, MissingError
from crowdbench.structures import Images


def image(name: str, folder: Path | None = Path("/data/images")) -> Images:
    return Images(np.array([42]), [name], np.zeros((1, 2), np.int64), folder)


@pytest.mark.parametrize("name", ["000001.jpg", "val2017/1.jpg", "./1.jpg", "a..b.jpg", "ü 1.png"])
def test_relative_names_stand_under_the_image_folder(name) -> None:
    assert image_path(image(name), 0) == Path("/data/images") / name


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../secret.jpg",
        "a/../../secret.jpg",
        "a/..",
        "..\\secret.jpg",
        "C:\\secret.jpg",
        "C:secret.jpg",
        "\\\\host\\share\\secret.jpg",
        "",
        " ",
        ".",
        "..",
        "a\0.jpg",
    ],
)
def test_names_that_leave_the_folder_are_refused_with_the_image_id(name) -> None:
    with pytest.raises(InputError, match=r"image 42: file_name .* expected a relative name"):
        image_path(image(name), 0)


def test_without_an_image_folder_the_image_is_missing() -> None:
    with pytest.raises(MissingError, match=r"image 42: no image folder, so '1\.jpg'"):
        image_path(image("1.jpg", None), 0)


@given(st.lists(st.sampled_from(["..", ".", "a", "", "b.jpg"]), min_size=1).map("/".join))
def test_no_accepted_name_leaves_the_folder(name) -> None:
    try:
        path = image_path(image(name), 0)
    except InputError:
        return
    assert path.resolve().is_relative_to("/data/images")
