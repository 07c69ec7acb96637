"""Image names can't leave their folder; what is read is whole, red first and as it lies."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.datasets import image_path, read_image
from crowdbench.datasets.image_files import missing_images
from crowdbench.errors import CrowdbenchError, InputError, MissingError
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


def images_of(folder: Path, *names: str) -> Images:
    n = len(names)
    return Images(np.arange(n), names, np.zeros((n, 2), np.int64), folder)


def picture(path: Path, kind: str = ".jpg") -> bytes:
    """Write a picture whose upper left is red, and return its bytes."""
    pixels = np.full((40, 60, 3), 128, np.uint8)
    pixels[:20, :30] = (0, 0, 255)  # BGR
    done, data = cv2.imencode(kind, pixels)
    assert done
    path.write_bytes(data.tobytes())
    return data.tobytes()


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_an_image_is_read_as_red_green_blue(tmp_path: Path, kind: str) -> None:
    picture(tmp_path / f"a{kind}", kind)
    image = read_image(images_of(tmp_path, f"a{kind}"), 0)
    assert (image.shape, image.dtype) == ((40, 60, 3), np.uint8)
    assert image[5, 5, 0] > 240
    assert image[5, 5, 2] < 15


def test_the_orientation_tag_is_ignored(tmp_path: Path) -> None:
    data = picture(tmp_path / "a.jpg")
    # An EXIF segment that says: turn by 90 degrees.
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    body = b"Exif\0\0" + tiff
    exif = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    (tmp_path / "turned.jpg").write_bytes(data[:2] + exif + data[2:])
    assert cv2.imread(str(tmp_path / "turned.jpg")).shape == (60, 40, 3)
    images = images_of(tmp_path, "a.jpg", "turned.jpg")
    assert np.array_equal(read_image(images, 0), read_image(images, 1))


def test_a_grey_image_has_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5), 7, np.uint8))
    assert read_image(images_of(tmp_path, "a.png"), 0).tolist() == [[[7, 7, 7]] * 5] * 4


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_jpeg_without_its_end_is_refused(tmp_path: Path, share: float) -> None:
    data = picture(tmp_path / "a.jpg")
    # OpenCV decodes it, grey from there on.
    cut = data[: int(len(data) * share)]
    (tmp_path / "a.jpg").write_bytes(cut)
    with pytest.raises(InputError, match=rf"a\.jpg: cut short after {len(cut):,} bytes"):
        read_image(images_of(tmp_path, "a.jpg"), 0)


def test_what_surrounds_a_jpeg_does_not_matter(tmp_path: Path) -> None:
    data = picture(tmp_path / "a.jpg")
    # A thumbnail in front has an end of its own; bytes may follow the end.
    segment = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
    (tmp_path / "b.jpg").write_bytes(data[:2] + segment + data[2:] + b"more" * 500)
    images = images_of(tmp_path, "a.jpg", "b.jpg")
    assert np.array_equal(read_image(images, 0), read_image(images, 1))
    (tmp_path / "b.jpg").write_bytes(data[:2] + segment + data[2:-2])
    with pytest.raises(InputError, match="cut short"):
        read_image(images, 1)


def test_what_is_no_image_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    images = images_of(tmp_path, "empty.jpg", "text.jpg", "folder.jpg", "none.jpg", "../up.jpg")
    for row, said in enumerate(
        (
            "empty.jpg: the file is empty",
            "text.jpg: no image that OpenCV can decode",
            "folder.jpg: can't be read",
            "none.jpg: no such file",
            "'../up.jpg' is no file under the image folder",
        )
    ):
        with pytest.raises(CrowdbenchError) as refused:
            read_image(images, row)
        assert said in str(refused.value)
        assert str(tmp_path) not in str(refused.value)
    assert missing_images(images, [0, 1, 2, 3]) == [2, 3]
