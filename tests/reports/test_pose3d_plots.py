"""The plots of 3D runs: curves, joints and the poses of the worst persons."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from crowdbench.drawn_3d import DrawnPerson3D
from crowdbench.skeletons import MUPOTS_17
from reports.figure import STYLES
from reports.plot import Plot
from reports.plots import condition_plots
from reports.pose3d_plots import joints_plot, pck_curve_plot
from reports.skeleton_plot import worst_persons_plot
from tests.reports.hostile import EVIL, with_hostile_texts
from tests.reports.records import make_metrics, make_run
from tests.reports.records_3d import (
    make_metric,
    make_metrics_3d,
    make_person,
    make_run_3d,
    make_worst_3d,
)

METRICS = make_metrics_3d(make_run_3d())


def texts(plot: Plot) -> list[str]:
    return [t.get_text() for t in plot.figure.findobj(Text) if t.get_text()]


def found(plot: Plot | None) -> Plot:
    assert plot is not None
    return plot


def test_all_kinds_of_3dpck_are_drawn_from_0_to_150_mm_with_their_auc() -> None:
    plot = found(pck_curve_plot(METRICS))
    (axes,) = plot.figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 31]
    assert [max(line.get_ydata()) for line in lines] == pytest.approx(
        [50.0 * (1 + i / 9) for i in range(4)]
    )
    assert len({str(line.get_linestyle()) + str(line.get_marker()) for line in lines}) == 4
    assert axes.get_xlim() == (0, 150)
    auc = make_metric("AUC_all").value or 0
    assert f"3DPCK_all (AUC {100 * auc:.2f})" in texts(plot)
    assert "30/31" in plot.caption
    assert "n = 226 evaluated persons" in plot.caption


def test_without_curves_or_joints_nothing_is_drawn() -> None:
    assert pck_curve_plot(make_metrics(make_run())) is None
    assert joints_plot(make_metrics(make_run())) is None
    assert METRICS.pose3d is not None
    empty = tuple(msgspec.structs.replace(c, values=()) for c in METRICS.pose3d.curves)
    facts = msgspec.structs.replace(METRICS.pose3d, curves=empty)
    assert pck_curve_plot(msgspec.structs.replace(METRICS, pose3d=facts)) is None
    assert worst_persons_plot((), MUPOTS_17) is None


def test_joints_have_a_panel_in_percent_and_one_in_mm() -> None:
    plot = found(joints_plot(METRICS))
    percent, mm = plot.figure.axes
    assert (percent.get_xlabel(), mm.get_xlabel()) == ("%", "mm")
    shown = texts(plot)
    assert {"Hd.", "Ank.", "head top", "pelvis", "3DPCK_all", "MPJPE_mm"} <= set(shown)
    # Pelvis, spine and head have an MPJPE and no 3DPCK.
    assert shown.count("not scored") == 3
    assert shown.count("50.0") == 2  # a group and its joint
    widths = [bar.get_width() for bar in mm.patches]
    assert len(widths) == 8 + 17
    assert widths[0] == pytest.approx(make_metric("MPJPE_mm").value)


def test_a_joint_without_a_value_is_a_gap_that_says_so() -> None:
    metric = make_metric("3DPCK_all")
    assert isinstance(metric.by_joint, dict)
    metric = msgspec.structs.replace(metric, by_joint=metric.by_joint | {"neck": None})
    plot = found(joints_plot(msgspec.structs.replace(METRICS, metrics={"3DPCK_all": metric})))
    assert texts(plot).count("no value") == 1
    assert len(plot.figure.axes) == 1


def test_conditions_draw_3d_metrics_of_one_unit() -> None:
    plots = condition_plots(METRICS)
    upper, _ = plots["distance"].figure.axes
    assert upper.get_ylabel() == "metric, %"
    shown = texts(plots["distance"])
    assert {"3DPCK_all", "3DPCK_matched", "no persons"} <= set(shown)
    assert "MPJPE_mm" not in shown
    assert plots["joint-visibility"].title == "Visible joints"


# Worst persons.


def panels(persons: tuple[DrawnPerson3D, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the joints of truth and prediction in each panel."""
    joints = []
    for axes in found(worst_persons_plot(persons, MUPOTS_17)).figure.axes:
        by_colour: dict[str, list[np.ndarray]] = {}
        for line in axes.lines:
            if line.get_linestyle() == "None":
                colour = to_hex(str(line.get_color()))
                by_colour.setdefault(colour, []).append(np.array(line.get_xydata()))
        truth, predicted = (
            np.concatenate(by_colour[drawn.colour]) for drawn in (STYLES[0], STYLES[1])
        )
        joints.append((truth, predicted))
    return joints


def as_rows(points: np.ndarray) -> list[tuple[float, float]]:
    return sorted((round(x, 6), round(y, 6)) for x, y in points.tolist())


def test_each_person_is_drawn_from_the_camera_and_from_the_side() -> None:
    person = make_person(3)
    front, side = panels((person,))
    for pose, values in ((0, person.truth), (1, person.predicted)):
        points = np.array(values)
        assert as_rows(front[pose]) == as_rows(points[:, [0, 1]])
        assert as_rows(side[pose]) == as_rows(points[:, [2, 1]])
    plot = found(worst_persons_plot((person,), MUPOTS_17))
    assert "1. TS1/img_000003.jpg" in texts(plot)
    assert "person 403, 318.5 mm" in texts(plot)


def test_all_panels_have_one_scale_that_does_not_distort() -> None:
    plot = found(worst_persons_plot(make_worst_3d(5).persons, MUPOTS_17))
    assert len(plot.figure.axes) == 10
    width, height = plot.figure.get_size_inches()
    scales = []
    for axes in plot.figure.axes:
        place = axes.get_position()
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert bottom > top  # y points down
        scales += [place.width * width / (right - left), place.height * height / (bottom - top)]
    assert scales == pytest.approx([scales[0]] * 20)
    places = [axes.get_position() for axes in plot.figure.axes]
    assert all(p.x0 >= 0 and p.x1 <= 1 and p.y0 >= 0 and p.y1 <= 1 for p in places)
    assert not any(a.overlaps(b) for i, a in enumerate(places) for b in places[:i])


def test_a_pose_far_away_does_not_make_the_others_small() -> None:
    near = make_person(0)
    far = msgspec.structs.replace(
        near, predicted=tuple((1000 * x, 1000 * y, 1000 * z) for x, y, z in near.predicted)
    )
    widths = []
    for persons in ((near,), (near, far)):
        axes = found(worst_persons_plot(persons, MUPOTS_17)).figure.axes[0]
        widths.append(np.ptp(axes.get_xlim()))
    assert widths[1] <= 1.7 * widths[0]


def test_occluded_joints_are_open_and_prediction_and_truth_differ_without_colour() -> None:
    person = make_person(0)
    axes = found(worst_persons_plot((person,), MUPOTS_17)).figure.axes[0]
    limbs = [line for line in axes.lines if line.get_linestyle() != "None"]
    assert len({str(line.get_linestyle()) for line in limbs}) == 2
    joints = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert len({line.get_marker() for line in joints}) == 2
    is_open = [line for line in joints if line.get_markerfacecolor() == "#ffffff"]
    assert [len(line.get_xdata()) for line in is_open] == [sum(person.is_occluded)]


@pytest.mark.parametrize("case", ["short", "flat", "hostile", "one joint"])
def test_odd_persons_are_drawn_without_complaint(tmp_path: Path, case: str) -> None:
    person = make_person(0)
    odd = {
        "short": {"truth": person.truth[:3], "is_occluded": person.is_occluded[:3]},
        "flat": {"truth": ((0.0, 0.0, 0.0),) * 17, "predicted": ((0.0, 0.0, 0.0),) * 17},
        "one joint": {"truth": person.truth[:1], "predicted": (), "is_occluded": (True,)},
        "hostile": {},
    }[case]
    person = msgspec.structs.replace(person, **odd)
    if case == "hostile":
        person = with_hostile_texts(person)
    plot = found(worst_persons_plot((person,), MUPOTS_17))
    plot.save(tmp_path, "x")
    assert EVIL not in (tmp_path / "worst-persons.svg").read_text(encoding="utf-8")
    assert "<script" not in str(plot.inline())


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        metrics = make_metrics_3d(make_run_3d())
        worst = worst_persons_plot(make_worst_3d().persons, MUPOTS_17)
        for plot in (pck_curve_plot(metrics), joints_plot(metrics), worst):
            found(plot).save(tmp_path / folder, "replay on mupots")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [
        *("joints.png", "joints.svg", "pck-curve.png", "pck-curve.svg"),
        *("worst-persons.png", "worst-persons.svg"),
    ]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
