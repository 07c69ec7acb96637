"""Precision-recall curves: by hand, against the reference's curves, and their properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.metrics.average_precision import (
    OKS_THRESHOLDS,
    RECALL_LEVELS,
    Curves,
    level_scores,
    precision_recall,
)
from tests.metrics.problems import SETS, load_set

EPS = np.spacing(1.0)


def curves_of(outcomes: str, n_persons: int) -> Curves:
    """Return the curves of one variant and threshold.

    Args:
        outcomes: a letter per pose by descending score: true or false positive or ignored.
        n_persons: evaluated persons.
    """
    letters = np.array(list(outcomes), "U1")
    return precision_recall(
        (letters == "t")[None, None],
        np.cumsum(letters == "f")[None, None],
        np.array([n_persons]),
    )


def scores_of(curves: Curves, scores: list[float]) -> list[float]:
    """Return the scores at the recall levels, from those of the poses by descending score."""
    found = level_scores(curves, np.array(scores, float), max(scores, default=0.0))
    return list(found[0, 0].tolist())


def test_thresholds_and_levels_are_the_floats_of_the_reference() -> None:
    assert OKS_THRESHOLDS.tolist()[8] == 0.8999999999999999
    assert len(OKS_THRESHOLDS) == 10
    off = [i for i, level in enumerate(RECALL_LEVELS.tolist()) if level != i / 100]
    assert len(RECALL_LEVELS) == 101
    assert off == [35, 41, 47, 57, 69, 70, 82, 83, 94, 95]


def test_a_curve_worked_out_by_hand() -> None:
    # Precision 1, 1/2, 2/3, 2/4, 3/5 at recall 1/4, 1/4, 2/4, 2/4, 3/4; the ignored one is flat.
    curves = curves_of("tfitft", 4)
    expected = np.zeros(101)
    expected[:26] = 1
    expected[26:51] = 2 / 3
    expected[51:76] = 3 / 5
    np.testing.assert_allclose(curves.precision[0, 0], expected, rtol=0, atol=1e-15)
    by_level = np.repeat([9.0, 6.0, 4.0, 0.0], [26, 25, 25, 25])
    assert scores_of(curves, [9, 8, 7, 6, 5, 4]) == by_level.tolist()
    assert curves.recall.tolist() == [[0.75]]
    assert curves.n_persons.tolist() == [4]


def test_precision_has_the_reference_s_epsilon_in_its_denominator() -> None:
    assert curves_of("t", 1).precision[0, 0].tolist() == [1 / (1 + EPS)] * 101
    assert 1 / (1 + EPS) < 1


def test_precision_never_rises_with_recall_even_where_later_poses_are_better() -> None:
    curves = curves_of("fftttt", 4)
    np.testing.assert_allclose(curves.precision[0, 0], np.full(101, 4 / 6), atol=1e-15)


def test_a_recall_of_seven_tenths_reaches_the_level_of_that_float_only() -> None:
    # Level 70 is 0.7000000000000001, above 7 / 10; level 30 is exactly 3 / 10.
    precision = curves_of("t" * 7, 10).precision[0, 0]
    assert precision[69] > 0.99
    assert precision[70] == 0
    precision = curves_of("t" * 3, 10).precision[0, 0]
    assert precision[30] > 0.99
    assert precision[31] == 0


def test_without_evaluated_persons_everything_is_nan() -> None:
    curves = curves_of("fi", 0)
    assert np.isnan(curves.precision).all()
    assert np.isnan(scores_of(curves, [0.75, 0.5])).all()
    assert np.isnan(curves.recall).all()


def test_without_poses_everything_is_zero() -> None:
    curves = curves_of("", 3)
    assert not curves.precision.any()
    assert not any(scores_of(curves, []))
    assert not curves.recall.any()


def test_the_first_pose_reaches_recall_zero_though_nothing_is_found() -> None:
    curves = curves_of("ff", 3)
    assert not curves.precision.any()
    assert scores_of(curves, [0.75, 0.5]) == [0.75] + [0] * 100


@pytest.mark.parametrize("name", SETS)
def test_curves_equal_the_reference(shared: Path, name: str) -> None:
    result = load_set(shared, name).evaluate()
    curves = result.curves
    reference = np.load(shared / "reference" / "oks" / f"{name}_curves.npz")
    # Ours are (areas, thresholds, levels) and NaN where the reference has -1.
    for field, found, axes in (
        ("precision", curves.precision, (1, 2, 0)),
        ("scores", result.level_scores, (1, 2, 0)),
        ("recall", curves.recall, (1, 0)),
    ):
        ours = np.nan_to_num(found.transpose(axes), nan=-1)
        assert ours.shape == reference[field].shape
        np.testing.assert_allclose(ours, reference[field], rtol=0, atol=1e-12, err_msg=field)
    assert (reference["precision"] > 0).any()


outcomes = st.text("tfi", max_size=60)


def plain_curve(outcomes: str, n_persons: int, scores: list[float]) -> tuple[list[float], ...]:
    """Return precision and scores at the levels and the recall, pose by pose."""
    tp = fp = 0
    recall, precision = [], []
    for letter in outcomes:
        tp, fp = tp + (letter == "t"), fp + (letter == "f")
        recall.append(tp / n_persons)
        precision.append(tp / (fp + tp + EPS))
    for i in reversed(range(1, len(precision))):
        precision[i - 1] = max(precision[i - 1], precision[i])
    first = [next((i for i, r in enumerate(recall) if r >= x), None) for x in RECALL_LEVELS]
    return (
        [0.0 if i is None else precision[i] for i in first],
        [0.0 if i is None else scores[i] for i in first],
        recall[-1:] or [0.0],
    )


def persons_for(outcomes: str, missed: int) -> int:
    return max(1, outcomes.count("t") + missed)


@given(outcomes, st.integers(0, 12))
def test_a_curve_equals_the_one_made_pose_by_pose(outcomes: str, missed: int) -> None:
    n_persons = persons_for(outcomes, missed)
    scores = [float(100 - i) for i in range(len(outcomes))]
    curves = curves_of(outcomes, n_persons)
    ours = (
        curves.precision[0, 0].tolist(),
        scores_of(curves, scores),
        curves.recall[0].tolist(),
    )
    assert ours == plain_curve(outcomes, n_persons, scores)


@given(outcomes, st.integers(0, 12))
def test_precision_lies_in_zero_to_one_and_never_rises(outcomes: str, missed: int) -> None:
    precision = curves_of(outcomes, persons_for(outcomes, missed)).precision[0, 0]
    assert ((precision >= 0) & (precision <= 1)).all()
    assert (np.diff(precision) <= 0).all()


@given(outcomes, st.integers(0, 60))
def test_ignored_poses_change_neither_precision_nor_recall(outcomes: str, place: int) -> None:
    n_persons = persons_for(outcomes, 2)
    one, other = (
        curves_of(letters, n_persons)
        for letters in (outcomes, outcomes[:place] + "i" + outcomes[place:])
    )
    assert one.precision.tolist() == other.precision.tolist()
    assert one.recall.tolist() == other.recall.tolist()


@given(outcomes, st.integers(0, 60))
def test_a_false_positive_never_raises_precision(outcomes: str, place: int) -> None:
    n_persons = persons_for(outcomes, 2)
    before = curves_of(outcomes, n_persons)
    after = curves_of(outcomes[:place] + "f" + outcomes[place:], n_persons)
    assert (after.precision <= before.precision).all()
    assert after.recall.tolist() == before.recall.tolist()
    # Below the last true positive it changes nothing.
    last = curves_of(outcomes + "f", n_persons)
    assert last.precision.tolist() == before.precision.tolist()


@given(st.lists(st.tuples(outcomes, st.integers(0, 3)), min_size=1, max_size=3))
def test_variants_and_thresholds_do_not_touch_each_other(columns: list[tuple[str, int]]) -> None:
    length = max(len(letters) for letters, _ in columns)
    tables = np.array([list(letters.ljust(length, "i")) for letters, _ in columns], "U1")
    tables = tables.reshape(len(columns), length)
    n_persons = np.array([persons_for(letters, n) if n else 0 for letters, n in columns])
    # Two thresholds: the letters as they are, and what was found made false.
    true = np.stack([tables == "t", np.zeros_like(tables, bool)], 1)
    false = np.cumsum(np.stack([tables == "f", tables == "t"], 1), 2)
    together = precision_recall(true, false, n_persons)
    for v in range(len(columns)):
        for t in range(2):
            cut = np.s_[v : v + 1], np.s_[t : t + 1]
            alone = precision_recall(true[cut], false[cut], n_persons[v : v + 1])
            for ours, whole in zip(alone, together, strict=True):
                np.testing.assert_array_equal(ours, whole[cut[: whole.ndim]])
