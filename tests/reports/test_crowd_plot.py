"""The strip of crowded images: how it was chosen, what is drawn, the same bytes, odd records."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from crowdbench.drawn_2d import CrowdImages, DrawnImage
from crowdbench.record import RunFolder
from crowdbench.skeletons import CROWDPOSE_14
from crowdbench.structures import Array
from reports.content import read_content
from reports.crowd_plot import crowd_caption, crowd_plot
from reports.figure import svg_of
from reports.markdown import markdown_page
from reports.plot import Plot
from reports.run_page import html_page
from reports.writing import write_report
from tests.command import contents
from tests.reports.hostile import EVIL, with_hostile_texts
from tests.reports.records import (
    make_crowd,
    make_run,
    make_worst,
    write_environment,
    write_picture,
    write_run,
)

GREY = (0x6B, 0x70, 0x78)  # of a panel without a picture


def plot_of(crowd: CrowdImages, folder: Path | None = None) -> Plot:
    return crowd_plot(crowd, CROWDPOSE_14, folder)


def with_images(**changes: object) -> CrowdImages:
    crowd = make_crowd()
    images = tuple(msgspec.structs.replace(image, **changes) for image in crowd.images)
    return msgspec.structs.replace(crowd, images=images)


def colours(axes: Axes) -> list[str]:
    """Return the colours of the lines of a panel in the order of drawing, without outlines."""
    found = [to_hex(line.get_color()) for line in axes.lines if line.get_linestyle() != "None"]
    assert found[::2] == ["#10141a"] * (len(found) // 2)
    return found[1::2]


def run_with(path: Path, crowd: CrowdImages) -> RunFolder:
    """Write a run whose report has no other plot."""
    return write_run(
        path,
        make_run(),
        worst=make_worst(crowd=crowd),
        conditions={},
        condition_facts={},
        curves=(),
        oks_histogram=None,
        keypoints=(),
    )


def saved(plot: Plot, folder: Path) -> tuple[dict[str, bytes], Array]:
    """Return the files of the plot and the pixels of the PNG, in RGB."""
    plot.save(folder, "x")
    pixels = cv2.imread(str(folder / "crowd.png"))
    assert pixels is not None
    return contents(folder), cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def test_the_caption_says_how_the_images_were_chosen_and_what_is_drawn() -> None:
    caption = crowd_caption(make_crowd())
    assert caption.startswith(
        "The images are 3 at equal steps among the 44 most crowded of 431 images in which "
        "evaluated persons overlap"
    )
    assert "annotations alone decide which" in caption
    assert "(here at least 0.52)" in caption
    assert "with N of them, the N poses with the highest scores are drawn" in caption
    assert "over all 44 images its mean is 0.71." in caption
    assert caption.endswith("a: image 30, b: image 31, c: image 32.")
    assert plot_of(make_crowd()).caption == caption


def test_the_caption_of_few_images_says_that_they_are_all() -> None:
    few = msgspec.structs.replace(make_crowd(), n_crowded=3, n_overlapping=4)
    assert crowd_caption(few).startswith("The images are the 3 most crowded of 4 images in which")
    one = msgspec.structs.replace(make_crowd(1), n_crowded=1, n_overlapping=1)
    assert crowd_caption(one).startswith("The image is the only one in which evaluated persons")


def test_as_many_poses_are_drawn_as_persons_are_evaluated_the_best_on_top_of_the_annotated() -> (
    None
):
    for axes in plot_of(make_crowd()).figure.axes:
        # Two annotated persons of three, then the second-best pose, then the best, of three.
        white, _, second, best = colours(axes)
        assert colours(axes)[:2] == [white, white] == ["#fdfdfd"] * 2
        assert len({white, second, best}) == 3
        joints = [line for line in axes.lines if line.get_marker() == "o"]
        assert [line.get_markerfacecolor() for line in joints] == [second, best]
        assert joints[1].get_xydata()[:2].tolist() == [[61.0, 42.0], [63.0, 45.0]]


def test_each_image_is_cut_to_its_persons_and_not_distorted() -> None:
    plot = plot_of(make_crowd(6))
    width, height = plot.figure.get_size_inches()
    assert len(plot.figure.axes) == 6
    for axes in plot.figure.axes:
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        # Boxes and joints of the two evaluated persons: 54 to 90 and 36 to 86.
        assert 30 < left < 54 - 4
        assert 90 + 4 < right < 120
        assert 15 < top < 36 - 4
        assert 86 + 4 < bottom < 110
        place = axes.get_position()
        shown = place.width * width / (place.height * height)
        assert shown == pytest.approx((right - left) / (bottom - top), rel=0.01)


def test_panels_do_not_overlap_and_fill_rows_of_one_width() -> None:
    sizes = [(500, 100), (100, 500), (160, 120), (160, 120), (120, 160), (2000, 30)]
    images = []
    for image, (width, height) in zip(make_crowd(6).images, sizes, strict=True):
        box = (0.0, 0.0, float(width), float(height))
        persons = tuple(msgspec.structs.replace(p, box=box) for p in image.persons)
        images.append(msgspec.structs.replace(image, size=(width, height), persons=persons))
    figure = plot_of(msgspec.structs.replace(make_crowd(6), images=tuple(images))).figure
    places = [axes.get_position() for axes in figure.axes]
    for i, one in enumerate(places):
        assert one.x0 >= 0
        assert one.x1 <= 1.001
        for other in places[:i]:
            beside = one.x0 >= other.x1 or other.x0 >= one.x1
            assert beside or one.y1 < other.y0 or other.y1 < one.y0
    assert len({round(place.y0, 6) for place in places}) > 1


def test_pixels_are_those_of_the_file_where_it_was_cut(tmp_path: Path) -> None:
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:, :, 2] = 200  # red, and green where the persons are not
    pixels[:, :40] = (0, 255, 0)
    (tmp_path / "val").mkdir()
    cv2.imwrite(str(tmp_path / "val" / "a.png"), pixels)
    plot = plot_of(with_images(file_name="val/a.png"), tmp_path)
    for axes in plot.figure.axes:
        (image,) = axes.images
        shown = np.asarray(image.get_array())
        left, right = axes.get_xlim()
        border = round((39.5 - left) / (right - left) * shown.shape[1])
        assert (shown[:, border + 10 :] == (200, 0, 0)).all()
        assert (shown[:, : max(border - 10, 0)] == (0, 255, 0)).all()
    _, png = saved(plot, tmp_path / "plots")
    assert (png[3, -3] == (200, 0, 0)).all()


def test_without_image_files_poses_are_on_grey_fields_that_say_so(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "val" / "b.jpg", 80, 60)
    for crowd, folder in (
        (make_crowd(), None),
        (make_crowd(), tmp_path / "images"),
        # Of another size than the annotations say, and outside of the folder.
        (with_images(file_name="val/b.jpg"), tmp_path / "images"),
        (with_images(file_name="../images/val/b.jpg"), tmp_path / "images"),
    ):
        plot = plot_of(crowd, folder)
        for axes in plot.figure.axes:
            assert not axes.images
            assert [text.get_text() for text in axes.texts] == ["no picture"]
            assert len(colours(axes)) == 4
        _, png = saved(plot, tmp_path / "plots")
        assert (png[3, -3] == GREY).all()
        # In the page, too, where figures have no background.
        assert "#6b7078" in svg_of(plot.figure, "crowd")


def test_equal_records_and_files_give_equal_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        write_picture(folder / "images" / "val" / "a.jpg", 160, 120)
        run = run_with(folder / "run", make_crowd())
        write_environment(run, folder / "images")
        content = read_content(run)
        assert content.crowd_plot is not None
        files, _ = saved(content.crowd_plot, folder / "plots")
        found.append((files, html_page(content), markdown_page(content)))
    assert found[0] == found[1]
    files, page, text = found[0]
    assert set(files) == {"crowd.svg", "crowd.png"}
    for written in (files["crowd.svg"].decode(), page, text):
        assert "of-here" not in written
        assert str(tmp_path) not in written


def test_pictures_in_the_svg_and_in_the_page_are_small_jpegs(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "val" / "a.jpg", 160, 120)
    folder = run_with(tmp_path / "run", make_crowd())
    write_environment(folder, tmp_path / "images")
    content = read_content(folder)
    assert content.crowd_plot is not None
    files, _ = saved(content.crowd_plot, tmp_path / "plots")
    section = html_page(content).split('id="crowd-section"')[1].split("</section>")[0]
    for svg in (files["crowd.svg"].decode(), section):
        assert "data:image/png" not in svg
        found = re.findall(r'href="data:image/jpeg;base64,([^"]*)"', svg)
        assert len(found) == 3
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(found[0]), np.uint8), 1)
        assert pixels is not None
        assert min(pixels.shape[:2]) > 200


def test_the_strip_is_in_every_form_of_the_report_and_goes_when_it_is_gone(tmp_path: Path) -> None:
    folder = run_with(tmp_path, make_crowd())
    page = write_report(folder).read_text(encoding="utf-8")
    plots = folder.report / "plots"
    assert {path.name for path in plots.iterdir()} == {"crowd.svg", "crowd.png"}
    assert page.index("<h2>In crowds</h2>") < page.index("<h2>Metrics</h2>")
    assert '<li><a href="#crowd-section">In crowds</a></li>' in page
    caption = crowd_caption(make_crowd())
    assert caption in page
    text = (folder.report / "report.md").read_text(encoding="utf-8")
    assert f"## In crowds\n\n![Poses in crowds](plots/crowd.png)\n\n{caption}\n" in text

    folder.write(make_worst())
    page = write_report(folder).read_text(encoding="utf-8")
    assert not list(plots.iterdir())
    assert "In crowds" not in page
    assert "In crowds" not in (folder.report / "report.md").read_text(encoding="utf-8")


def test_hostile_file_names_reach_no_file_and_no_text(tmp_path: Path) -> None:
    crowd = with_hostile_texts(make_crowd())
    assert crowd.images[0].file_name == EVIL
    folder = run_with(tmp_path / "run", crowd)
    write_environment(folder, tmp_path)
    content = read_content(folder)
    assert content.crowd_plot is not None
    files, _ = saved(content.crowd_plot, tmp_path / "plots")
    section = html_page(content).split('id="crowd-section"')[1].split("</section>")[0]
    for written in (files["crowd.svg"].decode(), section, crowd_caption(crowd)):
        assert "alert" not in written
        assert "onerror" not in written


def test_a_text_that_looks_like_a_picture_stays_text(tmp_path: Path) -> None:
    evil = '<image href="data:image/png;base64,AAAA"/>'
    plot_of(make_crowd(1)).save(tmp_path, evil)
    svg = (tmp_path / "crowd.svg").read_text(encoding="utf-8")
    assert 'href="data:image/png;base64,AAAA"/&gt;.' in svg
    assert "<image" not in svg


def odd(image: DrawnImage, case: str) -> DrawnImage:
    replace = msgspec.structs.replace
    if case == "far":
        far = tuple((1e300, -1e300) for _ in CROWDPOSE_14.keypoints)
        return replace(image, poses=tuple(replace(pose, keypoints=far) for pose in image.poses))
    if case == "few joints":
        poses = tuple(replace(pose, keypoints=pose.keypoints[:3]) for pose in image.poses)
        return replace(image, poses=poses)
    if case == "huge":
        box = (-1e300, -1e300, 1e301, 1e301)
        return replace(
            image, size=(0, 0), persons=tuple(replace(p, box=box) for p in image.persons)
        )
    sizes = {"no size": (0, 0), "one pixel": (1, 1), "slim": (1, 100_000), "wide": (100_000, 1)}
    poses = () if case == "no size" else image.poses
    return replace(image, size=sizes[case], poses=poses)


@pytest.mark.parametrize(
    "case", ["far", "few joints", "huge", "no size", "one pixel", "slim", "wide"]
)
def test_odd_images_are_drawn_without_complaint(tmp_path: Path, case: str) -> None:
    images = tuple(odd(image, case) for image in make_crowd(2).images)
    crowd = msgspec.structs.replace(make_crowd(), images=images)
    files, png = saved(plot_of(crowd), tmp_path)
    assert min(png.shape[:2]) > 50
    assert b"nan" not in files["crowd.svg"]
    assert max(map(len, re.findall(rb"[0-9.e+-]+", files["crowd.svg"]))) < 20
