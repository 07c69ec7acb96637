"""Attention in reports: what is shown, where heat and arrows are, shares, odd records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, Rectangle

from crowdbench.attention import Attention, write_attention
from crowdbench.errors import InputError
from crowdbench.record import RunFolder
from crowdbench.skeletons import CROWDPOSE_14
from crowdbench.structures import Array
from reports.attention_figure import _heat_map, attention_caption, attention_plot
from reports.attention_shown import ShownAttention, shown_attention
from reports.attention_table import attention_table
from reports.content import read_content
from reports.figure import svg_of
from reports.markdown import markdown_page
from reports.plot import Plot
from reports.run_page import html_page
from reports.writing import write_report
from tests.attention_samples import H, W, attend, make_attention, make_image
from tests.command import contents
from tests.reports.hostile import EVIL, Elements
from tests.reports.records import make_run, write_environment, write_picture, write_run

# Of the panels' lines: keypoints are at the row's colours.
POSE, QUERY, ARROW = "#27c4ff", "#ff3b30", "#ff9f0a"


def shown_of(attention: Attention, **image: Any) -> ShownAttention:
    return shown_attention(replace(make_image(attention), **image))


def plot_of(attention: Attention, folder: Path | None = None, **image: Any) -> Plot:
    return attention_plot(shown_of(attention, **image), CROWDPOSE_14, folder)


def moved_sample() -> Attention:
    """Return three persons; keypoint 9 of person 1 moved most, then keypoint 2 of person 2.

    Keypoint 9 of person 1 attends to the last cell of person 0.
    """
    attention = make_attention()
    before = attention.keypoints.copy()
    before[1, 9] += (20, 0)
    before[1, 3] += (18, 0)
    before[2, 2] += (0, 10)
    attend(attention, -1, (1, 9), (0, H - 1, W - 1))
    return replace(attention, before=before)


def queries_of(shown: ShownAttention) -> list[tuple[int, int]]:
    return [(query.person, query.keypoint) for query in shown.queries]


def test_of_two_persons_the_keypoints_that_moved_most_are_shown() -> None:
    shown = shown_of(moved_sample())
    assert queries_of(shown) == [(1, 9), (2, 2)]
    side = np.sqrt(30 * 60)
    assert [query.moved for query in shown.queries] == pytest.approx([20 / side, 10 / side])


def test_it_is_the_size_of_the_person_that_counts() -> None:
    sample = moved_sample()
    boxes = sample.boxes.copy()
    boxes[1, 2:] *= 3
    assert queries_of(shown_of(replace(sample, boxes=boxes))) == [(2, 2), (1, 9)]


def test_keypoints_outside_of_the_image_are_not_chosen_unless_all_are() -> None:
    assert queries_of(shown_of(moved_sample(), size=(84, 120))) == [(1, 3), (0, 0)]
    assert queries_of(shown_of(moved_sample(), size=(0, 0))) == [(1, 9), (2, 2)]
    assert queries_of(shown_of(moved_sample(), size=(2, 2))) == [(0, 0)]


def test_without_poses_before_those_that_attend_most_to_others_are_shown() -> None:
    attention = replace(make_attention(), before=None)
    attend(attention, -1, (2, 5), (0, 0, 0))
    attend(attention, 0, (1, 6), (0, 0, 0))  # not in the last layer
    shown = shown_of(attention)
    assert queries_of(shown) == [(2, 5), (0, 0)]
    assert [query.moved for query in shown.queries] == [None, None]


def test_persons_without_others_in_their_group_are_shown_only_where_all_are() -> None:
    # Persons 0 and 2 are a group; person 1, whose keypoints moved most, is alone.
    sample = moved_sample()
    shown = shown_of(replace(make_attention(groups=2), before=sample.before))
    assert shown.n_others.tolist() == [1, 0, 1]
    assert queries_of(shown) == [(2, 2), (0, 0)]
    alone = shown_of(replace(make_attention(groups=3), before=sample.before))
    assert queries_of(alone) == [(1, 9)]
    assert alone.queries[0].others == 0
    assert alone.queries[0].targets == ()


def test_an_image_of_one_person_is_shown() -> None:
    shown = shown_of(make_attention(1))
    assert queries_of(shown) == [(0, 0)]
    plot = attention_plot(shown, CROWDPOSE_14, None)
    assert "no other person in its group" in plot.caption


def test_shares_are_means_over_persons_and_keypoints_beside_the_even_ones() -> None:
    attention = make_attention(3, 14, groups=2)
    attend(attention, 1, (0, 0), (0, 1, 1))
    shown = shown_of(attention)
    assert shown.even == pytest.approx((0.5 + 0 + 0.5) / 3)
    # One of 42 queries has a quarter on others instead of a half.
    assert shown.layers.tolist() == pytest.approx([1 / 3, 1 / 3 - 0.25 / 42], abs=1e-6)
    table = attention_table([shown])
    assert table.cells == (
        ("7", "3", "1", "66.67", "33.33", "33.33"),
        ("7", "3", "2", "67.26", "32.74", "33.33"),
    )
    assert table.data["oneself"].tolist() == pytest.approx([1 - x for x in shown.layers])


def test_a_query_has_the_shares_of_the_last_layer() -> None:
    query = shown_of(moved_sample()).queries[0]
    assert query.shares.tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=1e-6)
    assert query.others == pytest.approx(5 / 6)
    assert query.even == pytest.approx(2 / 3)


def test_arrows_go_to_the_highest_cells_of_other_persons_that_are_well_above_even() -> None:
    attention = moved_sample()
    [target] = shown_of(attention).queries[0].targets
    assert target.person == 0
    left, top, width, height = attention.crops[0]
    assert target.place.tolist() == [left + width * (W - 0.5) / W, top + height * (H - 0.5) / H]
    attend(attention, -1, (1, 9), (1, 0, 0))
    assert [t.person for t in shown_of(attention).queries[0].targets] == [0]
    attend(attention, -1, (1, 9), (2, 0, 0))
    assert [t.person for t in shown_of(attention).queries[0].targets] == [2, 0]


def test_there_are_at_most_three_arrows() -> None:
    attention = make_attention(6)
    for person in (5, 4, 3, 2):
        attend(attention, -1, (0, 0), (person, 1, 1))
    query = shown_of(replace(attention, before=None)).queries[0]
    assert (query.person, query.keypoint) == (0, 0)
    assert [target.person for target in query.targets] == [2, 3, 4]


def test_heat_lies_where_the_cells_are_in_the_image_and_the_larger_counts() -> None:
    # Two crops of 3 x 4 cells of 10 x 10 pixels, the second a cell further down.
    heat = np.zeros((2, 3, 4))
    heat[0, 1, 2], heat[1, 0, 2], heat[1, 1, 1], heat[1, 2, 0] = 0.5, 0.25, 0.125, 0.0625
    crops = np.array([[-0.5, -0.5, 40, 30], [-0.5, 9.5, 40, 30]])
    found = _heat_map((0, 0, 60, 50), heat, crops, (60, 50))
    assert found.shape == (50, 60)
    # The centre of a cell is between two pixels, each of which has 0.95 of the weight.
    assert found.max() == pytest.approx(0.5 * 0.95**2)
    rows, columns = np.nonzero(found > 0.45)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (14, 15, 24, 25)
    assert found[24, 14] == pytest.approx(0.125 * 0.95**2)
    # From the centre of an outermost cell to the border nothing changes, and then all ends.
    assert found[39, 0] == 0.0625
    assert (found[40:] == 0).all()
    assert (found[:, 40:] == 0).all()
    half = _heat_map((20, 0, 30, 50), heat, crops, (60, 100))
    assert half.shape == (100, 60)
    assert np.unravel_index(half.argmax(), half.shape)[0] in (29, 30)
    assert np.unravel_index(half.argmax(), half.shape)[1] in (9, 10)


def arrows(axes: Axes) -> list[FancyArrowPatch]:
    found = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    return [patch for patch in found if to_hex(patch.get_edgecolor()) == ARROW]


def red_boxes(axes: Axes) -> list[Rectangle]:
    found = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [patch for patch in found if to_hex(patch.get_edgecolor()) == QUERY]


def red_dot(axes: Axes) -> Array:
    [dot] = [line for line in axes.lines if line.get_markerfacecolor() == QUERY]
    return np.asarray(dot.get_xydata())[0]


def test_each_row_shows_the_place_before_the_pose_after_and_the_attention() -> None:
    sample = moved_sample()
    plot = plot_of(sample)
    assert sample.before is not None
    before, after, attention = plot.figure.axes[:3]
    for axes, dot in ((before, sample.before[1, 9]), (after, sample.keypoints[1, 9])):
        [box] = red_boxes(axes)
        middle = np.add(box.get_xy(), (box.get_width() / 2, box.get_height() / 2))
        assert middle.tolist() == pytest.approx(sample.before[1, 9].tolist())
        assert red_dot(axes).tolist() == pytest.approx(dot.tolist())
        assert arrows(axes) == []
        joints = [
            line
            for line in axes.lines
            if (line.get_marker(), line.get_markerfacecolor()) == ("o", POSE)
        ]
        assert len(joints) == 1
    assert red_boxes(attention) == []
    [arrow] = arrows(attention)
    end = arrow._posA_posB[1]  # type: ignore[attr-defined]
    [target] = shown_of(sample).queries[0].targets
    assert tuple(end) == pytest.approx(tuple(target.place))
    assert {text.get_text() for text in attention.texts} >= {"67 %", "17 %"}
    # A row has three panels and the scale of its heat.
    assert len(plot.figure.axes) == 8
    assert arrows(plot.figure.axes[6]) == []


def test_each_row_is_cut_to_its_persons_and_all_panels_are_in_proportion() -> None:
    plot = plot_of(moved_sample())
    width, height = plot.figure.get_size_inches()
    for i, person in ((0, 1), (2, 1), (4, 2), (6, 2)):
        axes = plot.figure.axes[i]
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        x, y, w, h = make_attention().boxes[person]
        assert left < x
        assert right > x + w
        assert top < y
        assert bottom > y + h
        place = axes.get_position()
        drawn = (place.width * width) / (place.height * height)
        assert drawn == pytest.approx((right - left) / (bottom - top), rel=0.02)


def test_without_poses_before_a_row_has_two_panels() -> None:
    plot = plot_of(replace(moved_sample(), before=None))
    assert len(plot.figure.axes) == 6
    assert "pose before" not in plot.caption
    assert "a to b: " in plot.caption


def test_the_caption_says_which_keypoint_how_far_and_how_much() -> None:
    caption = attention_caption(shown_of(moved_sample()), CROWDPOSE_14)
    assert caption.startswith(
        "Image 7 (val/a.jpg), persons with a pose: 3. a to c: right_knee, moved by 0.47 box sides; "
        "83 % of its attention on the other 2 persons (67 % if even). d to f: left_elbow, moved "
        "by 0.24 box sides; 67 % of its attention on the other 2 persons (67 % if even). "
    )
    assert "layer 2 of 2" in caption
    assert "at most 3 other persons, where it has 2 times an even weight or more" in caption


def run_with(path: Path, *attention: tuple[int, Attention], name: str = "val/a.jpg") -> RunFolder:
    """Write a run without other plots, with attention on images of these ids."""
    folder = write_run(
        path, make_run(), conditions={}, condition_facts={}, curves=(), oks_histogram=None,
        keypoints=(),
    )  # fmt: skip
    for image_id, found in attention:
        write_attention(folder.attention, make_image(found, image_id, name))
    return folder


def test_a_report_without_attention_has_no_section(tmp_path: Path) -> None:
    content = read_content(run_with(tmp_path))
    assert "Attention" not in markdown_page(content)
    assert "attention" not in html_page(content)
    assert "attention" not in {table.name for table in content.tables}


def test_the_report_has_a_table_and_a_figure_for_each_image_by_id(tmp_path: Path) -> None:
    folder = run_with(tmp_path, (10, moved_sample()), (9, make_attention()))
    report = write_report(folder).parent
    plots = {f"plots/attention-{i}.{e}" for i in (9, 10) for e in ("svg", "png")}
    tables = {f"tables/attention.{e}" for e in ("csv", "tex", "md")}
    assert plots | tables <= set(contents(report))
    text = (report / "report.md").read_text()
    first, second = (text.index(f"plots/attention-{i}.png") for i in (9, 10))
    assert text.index("## Attention between persons") < first < second
    page = Elements((report / "index.html").read_text())
    assert "attention-section" in page.ids
    assert len(page.ids) == len(set(page.ids))
    assert "#attention-section" in page.addresses


def test_equal_attention_gives_equal_reports_and_none_takes_the_files_away(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(run_with(tmp_path / name, (9, moved_sample())))
    one, other = (contents(tmp_path / name / "report") for name in ("a", "b"))
    assert one == other
    (tmp_path / "a/attention/9.npz").unlink()
    write_report(RunFolder(tmp_path / "a"))
    assert not [name for name in contents(tmp_path / "a/report") if "attention" in name]


def test_a_broken_file_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    folder = run_with(tmp_path, (9, moved_sample()))
    (folder.attention / "10.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"10\.npz: not the attention"):
        write_report(folder)
    assert not folder.report.exists()


def test_the_heat_is_drawn_over_the_picture_where_its_file_is_there(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/val/a.jpg", 160, 120)
    plot = plot_of(moved_sample(), tmp_path / "images")
    plot.save(tmp_path, "x")
    drawn = cv2.imread(str(tmp_path / "attention-7.png"))
    assert drawn is not None
    assert all(len(axes.images) == 1 for axes in plot.figure.axes)
    before, after, attention = (np.asarray(a.images[0].get_array()) for a in plot.figure.axes[:3])
    assert (before == after).all()
    assert before.std() > 20
    # The target's cell is the brightest there is: the last of the first person's crop.
    [target] = shown_of(moved_sample()).queries[0].targets
    left, right = plot.figure.axes[2].get_xlim()
    bottom, top = plot.figure.axes[2].get_ylim()
    height, width = attention.shape[:2]
    x = int((target.place[0] - left) / (right - left) * width)
    y = int((target.place[1] - top) / (bottom - top) * height)
    assert attention[y, x, :2].min() > 150
    blank = plot_of(moved_sample())
    assert [len(axes.images) for axes in blank.figure.axes[:3]] == [0, 0, 1]


def test_the_picture_is_found_where_the_run_found_it(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/val/a.jpg", 160, 120)
    folder = run_with(tmp_path / "run", (9, moved_sample()))
    write_environment(folder, tmp_path / "images")
    assert len(read_content(folder).attention_plots[0].figure.axes[0].images) == 1


def test_a_hostile_name_and_places_far_away_are_drawn_as_nothing_more(tmp_path: Path) -> None:
    far = moved_sample()
    far.keypoints[0] = 9e8
    far.boxes[0] = (-9e8, -9e8, 1e-300, 0)
    far.crops[2] = (9e8, 9e8, 0.001, 0.001)
    folder = run_with(tmp_path / "a", (9, far), name=EVIL.replace("\x00", ""))
    page = html_page(read_content(folder))
    harmless = html_page(read_content(run_with(tmp_path / "b", (9, moved_sample()))))
    tags, expected = ({tag for tag, _ in Elements(text).kinds} for text in (page, harmless))
    assert tags == expected
    assert "&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_forty_persons_are_drawn(tmp_path: Path) -> None:
    shown = shown_of(make_attention(40, 14, layers=1))
    plot = attention_plot(shown, CROWDPOSE_14, tmp_path)
    assert "on the other 39 persons (98 % if even)" in plot.caption
    assert svg_of(plot.figure, plot.name).startswith("<svg")
