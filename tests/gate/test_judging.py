from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from crowdbench.errors import UsageError
from crowdbench.files import FileDigest
from crowdbench.gate.baseline import Scored
from crowdbench.gate.judgement import Judgement
from crowdbench.gate.judging import judge
from crowdbench.gate.rules import parse_rule
from crowdbench.gate.settings import Settings, Undecided
from crowdbench.metrics.sample import Key
from crowdbench.structures import Array
from tests.gate.means import PROTOCOL, Means, offer, scored

AP, MPJPE = Key("AP"), Key("MPJPE_mm")
NEAR = Key("AP", "person-iou", "0.6 - 0.8")


def of_images(n: int = 400, seed: int = 0) -> Array:
    values = np.random.default_rng(seed).uniform(0.4, 0.8, n)
    return values - values.mean() + 0.6


def judged(
    monkeypatch: pytest.MonkeyPatch,
    run: Scored,
    baseline: Scored,
    *rules: str,
    undecided: Undecided = "pass",
    resamples: int = 400,
) -> Judgement:
    settings = Settings(tuple(parse_rule(rule, "--rule") for rule in rules), undecided)
    return judge(*offer(monkeypatch, run, baseline), settings, resamples)


def noise(n: int, spread: float, mean: float) -> Array:
    values = np.random.default_rng(1).normal(0, spread, n)
    return (values - values.mean()) / values.std() * spread + mean


@pytest.mark.parametrize(
    ("key", "rule", "change", "verdict"),
    [
        (AP, "AP: drop <= 0.5", 0.0, "pass"),
        (AP, "AP: drop <= 0.5", 0.02, "pass"),
        (AP, "AP: drop <= 0.5", -0.005, "undecided"),
        (AP, "AP: drop <= 0.5", -0.02, "fail"),
        (AP, "AP: drop <= 3", -0.02, "pass"),
        (MPJPE, "MPJPE_mm: rise <= 0.005", 0.02, "fail"),
        (MPJPE, "MPJPE_mm: rise <= 0.005", -0.02, "pass"),
        (MPJPE, "MPJPE_mm: rise <= 0.005", 0.005, "undecided"),
        (MPJPE, "MPJPE_mm: <= 0.9", 0, "pass"),
        (MPJPE, "MPJPE_mm: <= 0.6", 0, "undecided"),
        (MPJPE, "MPJPE_mm: <= 0.5", 0, "fail"),
        (AP, "AP: >= 0.5", 0, "pass"),
        (AP, "AP: >= 0.6", 0, "undecided"),
        (AP, "AP: >= 0.7", 0, "fail"),
        (NEAR, "AP@person-iou=0.6-0.8: drop <= 1", -0.05, "fail"),
        (NEAR, "AP@person-iou=0.6-0.8: drop <= 1", -0.01, "undecided"),
    ],
)
def test_each_verdict(
    key: Key, rule: str, change: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_images()
    after = before + noise(len(before), 0.05, change)
    found = judged(monkeypatch, scored("run", {key: after}), scored("base", {key: before}), rule)
    (finding,) = found.findings
    assert finding.verdict == verdict
    assert found.outcome == ("fail" if verdict == "fail" else "pass")
    assert found.exit_code == (1 if verdict == "fail" else 0)
    assert finding.run == pytest.approx(after.mean())
    assert finding.change == pytest.approx(change, abs=1e-12)
    assert finding.interval is not None
    low, high = finding.interval
    assert low <= (change if finding.is_change else after.mean()) <= high
    # The spread of a mean of 400.
    spread = 0.05 if finding.is_change else after.std()
    assert high - low == pytest.approx(2 * 1.96 * spread / 20, rel=0.25)


def test_the_same_run_passes_the_strictest_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (1, 5, 400):
        same = scored("run", {AP: of_images(n)})
        found = judged(monkeypatch, same, same, "AP: drop <= 0", undecided="fail")
        assert found.exit_code == 0
        assert found.findings[0].interval == (0, 0)


def test_undecided_counts_as_asked_and_says_what_the_images_can_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = of_images()
    after = before + noise(400, 0.1, -0.005)
    sides = scored("run", {AP: after}), scored("base", {AP: before})
    for undecided, code in (("pass", 0), ("fail", 1)):
        found = judged(monkeypatch, *sides, "AP: drop <= 0.5", undecided=undecided)  # type: ignore[arg-type]
        assert (found.findings[0].verdict, found.exit_code) == ("undecided", code)
        assert f"1 is undecided, which counts as {undecided}" in found.sentence
    # Standard error 0.5 points: (1.96 + 0.84) * 0.5 = 1.4 points below the limit of -0.5.
    shown = float(found.findings[0].words.partition("a true change of ")[2].split()[0])
    assert shown == pytest.approx(-1.9, abs=0.1)
    assert "On 400 images a true change of -" in found.findings[0].words


def test_intervals_widen_with_the_number_of_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = scored("run", {AP: of_images(seed=1)}), scored("base", {AP: of_images()})
    rules = ["AP: drop <= 1", "AP: >= 0.1", "AP: drop <= 2", "AP: >= 0.2"]
    one = judged(monkeypatch, *sides, rules[0], resamples=4000)
    four = judged(monkeypatch, *sides, *rules, resamples=4000)
    assert (one.level, four.level) == (0.95, 0.9875)
    widths = [j.findings[0].interval[1] - j.findings[0].interval[0] for j in (one, four)]  # type: ignore[index]
    assert widths[1] / widths[0] == pytest.approx(2.498 / 1.96, rel=0.05)


def test_false_alarms_are_rare_and_real_drops_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a limit of 0, of 200 runs without a difference, and of those that lost 3 errors."""
    fails = {0.0: 0, -0.0075: 0}
    for drop in fails:
        for seed in range(200):
            rng = np.random.default_rng(seed)
            before = rng.uniform(0.4, 0.8, 400)
            after = before + rng.normal(drop, 0.05, 400)
            sides = scored("run", {AP: after}), scored("base", {AP: before})
            found = judged(monkeypatch, *sides, "AP: drop <= 0", resamples=200)
            fails[drop] += found.exit_code == 1
    assert fails[0.0] <= 0.05 * 200
    assert fails[-0.0075] >= 0.7 * 200


def test_few_images_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of_images(9)
    sides = scored("run", {AP: before - 0.3}), scored("base", {AP: before})
    found = judged(monkeypatch, *sides, "AP: drop <= 1", "AP: >= 0.9")
    assert [f.verdict for f in found.findings] == ["undecided", "undecided"]
    assert found.findings[0].interval is None
    assert "9 images say too little" in found.findings[0].words


OF_ITS_OWN = ("conditions", "base")
SAME = msgspec.structs.asdict(PROTOCOL) | {"precision": "fp32", "options": "depth=2"}
NEVER_SAME = {
    name: value + 1 if isinstance(value, int) else f"{value}-else"
    for name, value in SAME.items()
    if name not in OF_ITS_OWN
}


@pytest.mark.parametrize("field", NEVER_SAME)
def test_a_baseline_of_another_protocol_is_not_judged(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scored("run", {AP: of_images()}, **{field: NEVER_SAME[field]})
    base = scored("base", {AP: of_images()}, **{field: SAME[field]})
    found = judged(monkeypatch, run, base, "AP: drop <= 1")
    assert (found.outcome, found.exit_code) == ("cannot judge", 3)
    assert found.problem is not None
    assert "run is not comparable with base: it has " in found.problem
    assert f"({NEVER_SAME[field]} instead of " in found.problem
    assert found.findings[0].verdict == "cannot judge"


@pytest.mark.parametrize(
    ("field", "value"),
    [("conditions", "size(0,32)"), ("base", "3dmppe"), ("options", "order=random")],
)
def test_other_conditions_and_methods_are_no_obstacle(
    field: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scored("run", {AP: of_images()}, **{field: value})
    found = judged(monkeypatch, run, scored("base", {AP: of_images()}), "AP: drop <= 1")
    assert found.exit_code == 0


def test_other_annotations_or_images_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    base = scored("base", {AP: of_images()})
    digest = FileDigest("demo.json", "ab" * 31 + "cd", 1234)
    summary = msgspec.structs.replace(base.summary, inputs={"annotations": digest})
    found = judged(monkeypatch, base._replace(name="run", summary=summary), base, "AP: drop <= 1")
    assert found.exit_code == 3
    assert f"another annotation file ({digest.sha256} instead of {'ab' * 32})" in found.sentence
    other = base._replace(name="run", sample=Means({AP: of_images()}, images_per_unit=2))
    found = judged(monkeypatch, other, base, "AP: drop <= 1")
    assert found.exit_code == 3
    assert "the same images can't be drawn for both" in found.sentence


def test_what_was_not_evaluated_is_not_judged_but_the_rest_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = of_images()
    run = scored("run", {AP: values, NEAR: values})
    base = scored("base", {AP: values, Key("AR"): values})
    rules = (
        "AP: drop <= 1",
        "AR: drop <= 1",
        "AP50: drop <= 1",
        "AP@person-iou=0.6-0.8: drop <= 1",
    )
    found = judged(monkeypatch, run, base, *rules)
    assert [f.verdict for f in found.findings] == ["pass", *["cannot judge"] * 3]
    assert [f.words for f in found.findings[1:]] == [
        "run has no AR: it was not evaluated",
        "run has no AP50: it was not evaluated",
        "base has no AP (person-iou 0.6 - 0.8): it was not evaluated",
    ]
    assert (found.outcome, found.exit_code) == ("cannot judge", 3)
    # A floor asks nothing of the baseline.
    found = judged(monkeypatch, run, base, "AP@person-iou=0.6-0.8: >= 0.2")
    assert found.exit_code == 0
    # A condition that nobody evaluated has no rows to suggest.
    found = judged(monkeypatch, run, base, "AP@size=32-96: drop <= 1")
    assert found.findings[0].words == "run has no AP (size 32-96): it was not evaluated"


def test_a_value_that_is_none_is_not_judged_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = scored("base", {AP: of_images()})
    none = msgspec.structs.replace(base.summary.metrics["AP"], value=None, reason="no person")
    summary = msgspec.structs.replace(base.summary, metrics={"AP": none})
    found = judged(monkeypatch, base._replace(name="run", summary=summary), base, "AP: >= 0.1")
    assert found.findings[0].words == "AP has no value in run: no person"
    assert found.exit_code == 3


def test_a_failing_rule_fails_whatever_else_can_not_be_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = of_images()
    sides = scored("run", {AP: values - 0.1}), scored("base", {AP: values})
    found = judged(monkeypatch, *sides, "AP: drop <= 1", "AR: drop <= 1")
    assert (found.outcome, found.exit_code) == ("fail", 1)
    assert found.sentence == (
        "FAIL: of 2 rules, 1 fails (AP: drop <= 1), 1 can't be judged (AR: drop <= 1)"
    )


def test_a_condition_by_another_rule_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    base = scored("base", {AP: of_images(), NEAR: of_images()})
    other = msgspec.structs.replace(base.summary.conditions["person-iou"], rule="another")
    summary = msgspec.structs.replace(base.summary, conditions={"person-iou": other})
    run = base._replace(name="run", summary=summary)
    found = judged(monkeypatch, run, base, "AP@person-iou=0.6-0.8: drop <= 1")
    assert found.exit_code == 3
    words = "run has person-iou by another rule than base: another instead of its rule"
    assert found.findings[0].words == words


def test_matches_of_other_numbers_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    base = scored("base", {AP: of_images()})
    run = base._replace(name="run", sample=Means({AP: of_images() - 0.1}))
    found = judged(monkeypatch, run, base, "AP: drop <= 1")
    assert found.exit_code == 3
    assert "run: AP is 0.6 as recorded" in found.sentence
    assert "score the run again" in found.sentence


def test_a_row_that_nobody_has_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    both = scored("run", {AP: of_images(), NEAR: of_images()})
    with pytest.raises(UsageError, match=r"form: AP@person-iou=0\.6 - 0\.8: drop <= 1$"):
        judged(monkeypatch, both, both, "AP@person-iou=0.6-0.9: drop <= 1")


def test_a_missing_run_or_baseline_is_in_the_judgement(tmp_path: Path) -> None:
    settings = Settings((parse_rule("AP: drop <= 1", ""),), "pass")
    found = judge(tmp_path / "none", tmp_path / "base.json", settings)
    assert found.exit_code == 3
    assert "no such run folder" in found.sentence
