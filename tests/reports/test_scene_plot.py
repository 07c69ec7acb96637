"""Scenes before and after refinement: what is drawn and written, the same bytes, odd scenes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from crowdbench.drawn_3d import DrawnScene3D
from crowdbench.record import SCHEMA_VERSION, RunFolder
from crowdbench.results import WorstImages
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array
from reports.content import read_content
from reports.figure import MUTED, STYLES
from reports.markdown import markdown_page
from reports.plot import Plot
from reports.refinement_table import rank_words, refinement_table, scenes_table
from reports.run_page import html_page
from reports.scene_plot import scene_plot
from reports.wording import method_facts
from reports.writing import write_report
from tests.command import contents
from tests.reports.hostile import EVIL, Elements, with_hostile_texts
from tests.reports.records import write_environment
from tests.reports.records_3d import make_run_3d, make_worst_3d, write_run_3d
from tests.reports.scenes_3d import REFINEMENT, make_refined, make_scene, make_scenes

replace = msgspec.structs.replace
# Of each kind of pose: its colour.
KINDS = {"truth": MUTED, "before": STYLES[1].colour, "after": STYLES[2].colour}


def plot_of(scenes: Sequence[DrawnScene3D], folder: Path | None = None) -> Plot:
    plot = scene_plot(scenes, make_refined(), MUPOTS_17, folder)
    assert plot is not None
    return plot


def texts(plot: Plot) -> list[str]:
    return [t.get_text() for t in plot.figure.findobj(Text) if t.get_text()]


def rows_of(plot: Plot) -> list[list[str]]:
    """Return the words that stand beside each other, from top to bottom, from left to right."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for text in plot.figure.texts:
        x, y = text.get_position()
        lines.setdefault(round(y, 6), []).append((x, text.get_text()))
    return [[words for _, words in sorted(lines[y])] for y in sorted(lines, reverse=True)]


def poses_in(axes: Axes, kind: str) -> list[Array]:
    """Return the ends of the limbs of each pose of a kind that a view shows."""
    lines = [line for line in axes.lines if line.get_color() == KINDS[kind]]
    return [np.array(line.get_xydata()) for line in lines]


def limb_ends(joints: Array) -> Array:
    gap = np.full((1, 2), np.nan)
    return np.concatenate([np.concatenate((joints[list(pair)], gap)) for pair in MUPOTS_17.limbs])


def with_scenes(path: Path, scenes: tuple[DrawnScene3D, ...], **changes: object) -> RunFolder:
    """Write a refined run with these scenes."""
    worst = replace(make_worst_3d(), scenes=scenes)
    return write_run_3d(path, worst=worst, pose3d=make_refined().pose3d, **changes)


def test_all_persons_of_a_scene_are_drawn_together_from_the_camera_and_from_above() -> None:
    scene = make_scenes()[1]
    front, above = plot_of((scene,)).figure.axes
    for kind in KINDS:
        for axes, (right, up), sign in ((front, (0, 1), -1), (above, (0, 2), 1)):
            drawn = poses_in(axes, kind)
            assert len(drawn) == 3
            for points, person in zip(drawn, scene.persons, strict=True):
                joints = np.array(getattr(person, kind))[:, [right, up]] * (1, sign)
                np.testing.assert_allclose(points, limb_ends(joints))


def test_kinds_differ_without_colour() -> None:
    front = plot_of(make_scenes()).figure.axes[0]
    looks = {(ln.get_linestyle(), ln.get_marker(), ln.get_linewidth()) for ln in front.lines}
    assert len(looks) == 3
    widths = {line.get_color(): line.get_linewidth() for line in front.lines}
    assert widths[KINDS["truth"]] > 2 * widths[KINDS["after"]]


def test_views_do_not_distort_or_overlap_and_show_every_annotated_joint_and_number() -> None:
    far = make_scene(((-600, 0, 3500), (600, 0, 4000), (4000, 300, 19000)), "median", 4)
    same = make_scene(((0, 0, 4000),) * 4, "worst", 5)
    scenes = (*make_scenes()[:1], far, same)
    plot = plot_of(scenes)
    width, height = plot.figure.get_size_inches()
    places = [axes.get_position() for axes in plot.figure.axes]
    assert len(places) == 6
    for i, axes in enumerate(plot.figure.axes):
        place, scene = places[i], scenes[i // 2]
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert (right - left) / (place.width * width) == pytest.approx(
            (top - bottom) / (place.height * height)
        )
        shown = np.concatenate(poses_in(axes, "truth"))
        shown = shown[~np.isnan(shown[:, 0])]
        assert ((shown > (left, bottom)) & (shown < (right, top))).all()
        assert not any(place.overlaps(other) for other in places[:i])
        numbers = [t for t in axes.texts if t.get_text().isdigit()]
        assert len(numbers) == len(scene.persons)
        ends = [t.get_window_extent() for t in numbers]
        panel = axes.get_window_extent()
        for j, box in enumerate(ends):
            assert panel.y0 < box.y0 < box.y1 <= panel.y1 + 1
            assert not any(box.overlaps(other) for other in ends[:j])


def test_every_person_has_its_errors_beside_the_views_and_the_scene_its_mean() -> None:
    scene = make_scenes()[0]
    persons = tuple(
        replace(person, before_mm=before, after_mm=after)
        for person, before, after in zip(
            scene.persons, (1234.56, 80), (1200.04, 80.04), strict=True
        )
    )
    scene = replace(scene, persons=persons, before_mm=657.28, after_mm=640.02)
    assert rows_of(plot_of((scene,))) == [
        ["Gained most: TS1/img_000000.jpg (id 70)"],
        ["no.", "before", "after", "change"],
        ["1", "1,234.6", "1,200.0", "-34.5"],
        ["2", "80.0", "80.0", "0.0"],
        ["mean", "657.3", "640.0", "-17.3"],
    ]


def test_names_of_scenes_are_true_whatever_refinement_did() -> None:
    gained, lost = make_scene(((0, 0, 4000),) * 2), make_scene(((0, 0, 4000),) * 2)
    gained, lost = replace(gained, after_mm=gained.before_mm - 1), replace(lost, after_mm=1e3)
    as_before = replace(gained, after_mm=gained.before_mm)
    names = [
        rank_words(replace(scene, rank=rank))
        for scene in (gained, lost, as_before)
        for rank in ("best", "median", "worst")
    ]
    assert names == [
        *("Gained most", "Median", "Gained least"),
        *("Lost least", "Median", "Lost most"),
        *("Unchanged", "Median", "Unchanged"),
    ]


def test_the_caption_says_how_the_scenes_were_chosen_and_what_became_of_all_persons() -> None:
    caption = plot_of(make_scenes()).caption
    assert caption.startswith(
        "Of the 57 images with two or more evaluated persons who have a pose before and after, the "
        "one whose mean error fell most, the median one, and the one whose mean error rose most or "
        "fell least (of equal changes the lower id first)."
    )
    after = make_refined().metrics["MPJPE_mm"].value
    assert f"Over all 226 persons with a pose the mean is 140.0 mm before and {after:.1f} mm" in (
        caption
    )
    fewer = replace(REFINEMENT.metrics["MPJPE_mm"], n=1225)
    metrics = make_refined(replace(REFINEMENT, metrics=REFINEMENT.metrics | {"MPJPE_mm": fewer}))
    plot = scene_plot(make_scenes(), metrics, MUPOTS_17, None)
    assert plot is not None
    assert "Over all persons with a pose (1,225 before, 226 after) the mean is" in plot.caption
    for n, words in ((1, "The only image with two"), (2, "fell more or rose less")):
        metrics = make_refined(replace(REFINEMENT, n_scenes=n))
        plot = scene_plot(make_scenes()[:n], metrics, MUPOTS_17, None)
        assert plot is not None
        assert words in plot.caption.split(". ")[0]


def test_poses_far_outside_do_not_make_the_others_small() -> None:
    scene = make_scenes()[0]
    far = tuple((1e8, -1e8, 1e8) for _ in MUPOTS_17.keypoints)
    persons = tuple(replace(person, before=far) for person in scene.persons)
    for usual, odd in zip(
        plot_of((scene,)).figure.axes,
        plot_of((replace(scene, persons=persons),)).figure.axes,
        strict=True,
    ):
        assert np.ptp(odd.get_xlim()) < 2 * np.ptp(usual.get_xlim())
        assert np.nanmax(np.abs(poses_in(odd, "before"))) < 1e5


def test_the_photo_stands_below_the_errors_with_the_numbers_at_the_roots(tmp_path: Path) -> None:
    scene = make_scenes()[0]
    (tmp_path / "TS1").mkdir()
    path = tmp_path / scene.file_name
    cv2.imwrite(str(path), np.full((1080, 1920, 3), 120, np.uint8))
    plot = plot_of((scene,), tmp_path)
    _, _, photo = plot.figure.axes
    (left, right), (bottom, top) = photo.get_xlim(), photo.get_ylim()
    for text, person in zip(photo.texts, scene.persons, strict=True):
        x, y = text.get_position()
        place = (x - left) / (right - left) * 1920, (y - top) / (bottom - top) * 1080
        assert place == pytest.approx(person.root_px, abs=6)
    width, height = plot.figure.get_size_inches() * photo.get_position().size
    assert width / height == pytest.approx(16 / 9, rel=0.01)
    # An image of another size is not the annotated one, and one outside of the folder is not read.
    cv2.imwrite(str(path), np.full((80, 60, 3), 120, np.uint8))
    for name in (scene.file_name, f"../{tmp_path.name}/{scene.file_name}"):
        assert len(plot_of((replace(scene, file_name=name),), tmp_path).figure.axes) == 2


@pytest.mark.parametrize("case", ["flat", "few joints", "hostile", "many", "no size"])
def test_odd_scenes_are_drawn_without_complaint(tmp_path: Path, case: str) -> None:
    scene = make_scenes()[0]
    point = ((0.0, 0.0, 4000.0),) * 17
    first, *others = scene.persons
    scene = {
        "flat": replace(
            scene,
            persons=tuple(
                replace(p, truth=point, before=point, after=point) for p in scene.persons
            ),
        ),
        "few joints": replace(
            scene, persons=(replace(first, truth=first.truth[:3], after=()), *others)
        ),
        "hostile": with_hostile_texts(scene),
        "many": make_scene([(300.0 * i, 0.0, 3000.0 + 50 * i) for i in range(20)]),
        "no size": replace(scene, size=(0, 0)),
    }[case]
    plot = plot_of((scene,), tmp_path)
    plot.save(tmp_path, "x")
    svg = (tmp_path / "refinement-scenes.svg").read_text(encoding="utf-8")
    assert "nan" not in svg
    assert EVIL not in svg
    assert "<script" not in str(plot.inline())


def test_tables_have_the_numbers_before_and_after(tmp_path: Path) -> None:
    metrics = make_refined(replace(REFINEMENT, metrics={
        "MPJPE_mm": replace(REFINEMENT.metrics["MPJPE_mm"], before=123.456),
        "PA_MPJPE_mm": replace(REFINEMENT.metrics["PA_MPJPE_mm"], before=None, n=0),
    }))  # fmt: skip
    after = metrics.metrics["MPJPE_mm"].value
    assert after is not None
    table = refinement_table(metrics)
    assert table.header == (
        *("metric", "before", "after", "change", "persons", "closer", "further"),
    )
    assert table.cells[0] == (
        *("MPJPE_mm", "123.5", f"{after:.1f}", f"{after - 123.456:+.1f}", "226", "150", "70"),
    )
    assert table.cells[1][:5] == (
        "PA_MPJPE_mm", "-", f"{metrics.metrics['PA_MPJPE_mm'].value:.1f}", "-",
        "0 before, 226 after",
    )  # fmt: skip
    table.save(tmp_path)
    data = pd.read_csv(tmp_path / "refinement.csv")
    assert data.before[0] == 123.456
    assert (data.persons_before.tolist(), data.persons.tolist()) == ([226, 0], [226, 226])
    assert data.change[0] == pytest.approx(after - 123.456)

    scenes = make_scenes()
    table = scenes_table(scenes)
    assert [row[2] for row in table.cells] == [
        *("1", "2", "mean", "1", "2", "3", "mean", "1", "2", "3", "4", "5", "mean"),
    ]
    assert table.cells[0][:4] == ("Gained most", "TS1/img_000000.jpg (id 70)", "1", "900")
    assert len(table.sort_keys()) == 13
    table.save(tmp_path)
    data = pd.read_csv(tmp_path / "refinement-scenes.csv")
    assert data.after_mm[0] == scenes[0].persons[0].after_mm
    assert data.person_id.isna().sum() == 3


def test_refinement_is_in_every_form_of_the_report_and_goes_when_it_is_gone(
    tmp_path: Path,
) -> None:
    folder = with_scenes(tmp_path, make_scenes())
    page = write_report(folder).read_text(encoding="utf-8")
    assert page.index("<h2>Metrics</h2>") < page.index("<h2>Refinement</h2>")
    assert '<li><a href="#refinement-section">Refinement</a></li>' in page
    text = (folder.report / "report.md").read_text(encoding="utf-8")
    assert "## Refinement\n" in text
    assert "![Scenes before and after refinement](plots/refinement-scenes.png)" in text
    ours = {path.name for path in folder.report.rglob("refinement*")}
    assert ours == {
        *("refinement.csv", "refinement.md", "refinement.tex", "refinement-scenes.csv"),
        *("refinement-scenes.md", "refinement-scenes.tex"),
        *("refinement-scenes.svg", "refinement-scenes.png"),
    }
    page = write_report(write_run_3d(tmp_path)).read_text(encoding="utf-8")
    assert "refinement" not in page.lower()
    assert not list(folder.report.rglob("refinement*"))


def test_without_scenes_there_is_the_table_and_no_figure(tmp_path: Path) -> None:
    assert scene_plot((), make_refined(), MUPOTS_17, None) is None
    content = read_content(with_scenes(tmp_path, ()))
    assert content.scene_plot is None
    for page in (html_page(content), markdown_page(content)):
        assert "Refinement" in page
        assert "refinement-scenes" not in page
    (tmp_path / "worst_images.json").unlink()
    assert read_content(RunFolder(tmp_path)).scene_plot is None


def test_records_without_refinement_are_read(tmp_path: Path) -> None:
    folder = write_run_3d(tmp_path)
    for name, field in (("metrics.json", "refinement"), ("worst_images.json", "scenes")):
        path = tmp_path / name
        content = path.read_text(encoding="utf-8")
        shorter = re.sub(rf',\s*"{field}":\s*(null|\[\])', "", content)
        assert shorter != content
        path.write_text(shorter, encoding="utf-8")
    assert folder.read(WorstImages).scenes == ()
    assert read_content(folder).refinement_table.cells == ()


def test_equal_records_and_files_give_equal_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        images = tmp_path / name / "images"
        (images / "TS1").mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 255, (1080 // 8, 1920 // 8, 3), np.uint8)
        path = images / "TS1" / "img_000000.jpg"
        cv2.imwrite(str(path), cv2.resize(pixels, (1920, 1080)))
        folder = with_scenes(tmp_path / name / "run", make_scenes())
        write_environment(folder, images)
        content = read_content(folder)
        assert content.scene_plot is not None
        assert len(content.scene_plot.figure.axes) == 7
        content.scene_plot.save(tmp_path / name / "files", "x")
        for table in (content.scenes_table, content.refinement_table):
            table.save(tmp_path / name / "files")
        found.append((contents(tmp_path / name / "files"), content.scene_plot.inline()))
    assert found[0] == found[1]
    files, svg = found[0]
    for written in (files["refinement-scenes.svg"].decode(), svg):
        assert written.count("data:image/jpeg;base64,") == 1
        assert str(tmp_path) not in written


def test_hostile_texts_bring_nothing_into_the_page(tmp_path: Path) -> None:
    run = make_run_3d("own-split", own=True)
    pages = []
    for name, change in (("benign", lambda scene: scene), ("evil", with_hostile_texts)):
        scenes = tuple(change(scene) for scene in make_scenes())
        worst = WorstImages(SCHEMA_VERSION, (), None, (), scenes)
        folder = write_run_3d(tmp_path / name, run, worst=worst, pose3d=make_refined().pose3d)
        content = read_content(folder)
        pages.append(html_page(content))
        assert EVIL not in markdown_page(content)
        for table in (content.scenes_table, content.refinement_table):
            table.save(tmp_path / name)
    assert Elements(pages[1]).kinds == Elements(pages[0]).kinds
    assert pages[1].count("<script") == 1
    assert not set(pages[1]) & {"\x00", "\x1b", "\u202e"}
    for path in (tmp_path / "evil").glob("refinement*.md"):
        assert EVIL not in path.read_text(encoding="utf-8")


def test_numbers_on_the_photo_do_not_cover_each_other(tmp_path: Path) -> None:
    scene = make_scene(((0, 0, 4000),) * 3)
    (tmp_path / "TS1").mkdir()
    cv2.imwrite(str(tmp_path / scene.file_name), np.full((1080, 1920, 3), 120, np.uint8))
    photo = plot_of((scene,), tmp_path).figure.axes[-1]
    boxes = [text.get_window_extent() for text in photo.texts]
    assert len(boxes) == 3
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])


def test_the_report_names_whose_poses_were_refined() -> None:
    run = make_run_3d()
    run = replace(run, protocol=replace(run.protocol, base="3dmppe"))
    assert method_facts(run)["refines the poses of"] == "3dmppe"
    assert "refines the poses of" not in method_facts(make_run_3d())
