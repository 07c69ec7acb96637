"""Which published rows are of a run's setting."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from crowdbench.card import Card, Option, WeightFile
from predictors import hrnet, mipnet, pinet, pose_interacting, simplebaseline, three_dmppe
from reports.published import Entry, Source, load_published
from reports.same_setting import has_random_weights, is_same_setting, likeness
from tests.reports.records import MIPNET, make_network_run, make_run

CARDS = {
    found.card.name: found.card
    for module in (hrnet, mipnet, simplebaseline)
    for found in vars(module).values()
    if isinstance(getattr(found, "card", None), Card)
}
# The tiny ones are of no paper.
PUBLISHED = {name: card for name, card in CARDS.items() if card.published}


def make_entry(method: str = "mipnet", *, settings: Any = None, **changes: Any) -> Entry:
    """Return a row of `MIPNET`'s setting on annotated boxes, changed."""
    stated = {"boxes": "gt", "backbone": "HRNet-W48", "input_size": "384x288"}
    return Entry(
        method=method,
        name="MIPNet",
        source=Source(paper="mipnet", table="Table 4", row="MIPNet*"),
        settings={k: v for k, v in (stated | (settings or {})).items() if v is not None},
        metrics={"AP": 74.1},
        **changes,
    )


@pytest.mark.parametrize("card", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_every_network_of_ours_has_one_published_row_of_its_setting(card: Card) -> None:
    run = make_network_run(card, split="coco-val2017", images=5000)
    (same,) = (e for e in load_published("coco-val2017").entries if is_same_setting(run, e))
    assert same.source.table == "Table 2"
    assert same.settings["backbone"] == card.backbone
    assert same.settings["input_size"] == card.input_size


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (make_entry(), "same"),
        (make_entry(settings={"boxes": "faster-rcnn"}), "same"),
        (make_entry(settings={"test": "single-scale"}), "same"),
        (make_entry("hrnet-w48"), "other"),
        (make_entry(settings={"backbone": "HRNet-W32"}), "other"),
        (make_entry(settings={"input_size": "256x192"}), "other"),
        (make_entry(settings={"backbone": None, "input_size": "256x192"}), "other"),
        (make_entry(settings={"test": "multi-scale"}), "other"),
        (make_entry(settings={"refinement": "PoseFix"}), "other"),
        (make_entry(settings={"refinement": True}), "other"),
        (make_entry(settings={"backbone": None}), "maybe"),
        (make_entry(settings={"input_size": None}), "maybe"),
        (make_entry(inferred=("settings.backbone",)), "maybe"),
        (make_entry(inferred=("method", "split")), "maybe"),
        (make_entry(inferred=("settings.backbone",), settings={"backbone": "x"}), "other"),
    ],
)
def test_a_row_is_of_the_same_method_backbone_and_input_size_only_where_the_paper_says_so(
    entry: Entry, expected: str
) -> None:
    assert likeness(make_network_run(), entry) == expected


@pytest.mark.parametrize("fact", ["backbone", "input_size"])
def test_a_card_that_leaves_a_fact_open_has_no_row_that_is_surely_the_same(fact: str) -> None:
    run = make_network_run(replace(MIPNET, **{fact: ""}))
    assert likeness(run, make_entry()) == "maybe"


@pytest.mark.parametrize(
    ("scales", "test", "expected"),
    [
        ("1", None, "same"),
        ("1", "multi-scale", "other"),
        ("0.5+1+2", "multi-scale", "same"),
        ("0.5+1+2", "single-scale", "other"),
        ("0.5+1+2", None, "other"),
        ("1+2", "multi-scale", "other"),
    ],
)
def test_a_row_is_of_the_test_scales_of_the_run(
    scales: str, test: str | None, expected: str
) -> None:
    run = make_network_run(scales=scales)
    assert likeness(run, make_entry(settings={"test": test})) == expected


@pytest.mark.parametrize(
    ("trained_on", "expected"),
    [(None, "same"), ("coco-train", "same"), ("coco", "same"), ("ochuman-val", "maybe")],
)
def test_a_row_of_other_training_data_than_the_official_weights_may_be_another(
    trained_on: str | None, expected: str
) -> None:
    file = WeightFile("coco-17", "x.pth", "there", trained_on="coco-train")
    other = WeightFile("crowdpose-14", "y.pth", "there", trained_on="ochuman-val")
    run = make_network_run(replace(MIPNET, weights=(file, other)))
    entry = make_entry(settings={"trained_on": trained_on})
    assert likeness(run, entry) == expected


def test_the_networks_of_pinet_are_those_of_their_data() -> None:
    rows = {}
    for kind in (pinet.COCO, pinet.OCHuman):
        run = make_network_run(
            kind.card, split="ochuman-test", images=2231, boxes="none", scales="1",
            refinement="on", merging="fusion",
        )  # fmt: skip
        rows[kind] = [
            entry.metrics["AP"]
            for entry in load_published("ochuman-test").main_entries
            if is_same_setting(run, entry)
        ]
    assert set(rows[pinet.OCHuman]) == {59.8}
    # Of the row trained on COCO, the paper does not say that it is of one scale.
    assert rows[pinet.COCO] == []


@pytest.mark.parametrize(
    ("value", "expected"), [("on", "same"), ("file", "same"), ("off", "other")]
)
def test_options_that_no_paper_has_make_another_method(value: str, expected: str) -> None:
    card = replace(MIPNET, options=(Option("pairing", (), "", published=("on", "f*")),))
    assert likeness(make_network_run(card, pairing=value), make_entry()) == expected


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("gt", "gt", True),
        ("gt", "faster-rcnn", False),
        ("none", "none", True),
        ("faster-rcnn", "faster-rcnn", False),
        ("file:det.json#0123456789ab", "faster-rcnn", False),
        ("unknown", "unknown", False),
    ],
)
def test_only_annotated_boxes_and_none_at_all_are_surely_the_same(
    here: str, there: str, expected: bool
) -> None:
    entry = make_entry(settings={"boxes": there})
    assert is_same_setting(make_network_run(boxes=here), entry) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"inferred": ("settings.boxes",)},
        {"doubtful": ("settings.boxes",)},
        {"doubtful": ("split",)},
        {"inferred": ("settings.backbone",)},
    ],
)
def test_a_row_whose_setting_is_in_doubt_is_not_of_the_same(changes: Any) -> None:
    assert not is_same_setting(make_network_run(), make_entry(**changes))


REPLAYED = Card("replay", "")


@pytest.mark.parametrize(
    ("base", "options", "of_3dmppe", "of_pi_net"),
    [
        (None, {"roots": "gt"}, "maybe", "other"),
        (None, {"roots": "rootnet"}, "other", "other"),
        (three_dmppe.ThreeDMPPE.card, {"base.roots": "gt"}, "other", "maybe"),
        (three_dmppe.ThreeDMPPE.card, {"base.roots": "rootnet"}, "other", "other"),
        (three_dmppe.Tiny.card, {"base.roots": "gt"}, "other", "other"),
        (REPLAYED, {}, "other", "maybe"),
        (replace(REPLAYED, method="XNect"), {}, "other", "other"),
    ],
)
def test_refined_poses_are_held_against_those_refined_from_the_same_method(
    base: Card | None, options: dict[str, str], of_3dmppe: str, of_pi_net: str
) -> None:
    # No paper says which network and crops 3DMPPE had, so that nothing is certain.
    kind = three_dmppe.ThreeDMPPE if base is None else pose_interacting.PINet
    usual = {"order": "near-to-far", "distance": "boxes"} if base is not None else {}
    run = make_network_run(kind.card, split="mupots", skeleton="mupots-17", images=8320,
                           **usual, **options)  # fmt: skip
    run = replace(run, predictor=replace(run.predictor, base=base))
    found = {
        method: {likeness(run, e) for e in load_published("mupots").main_entries
                 if e.method == method}
        for method in ("3dmppe", "pi-net-3d")
    }  # fmt: skip
    assert found == {"3dmppe": {of_3dmppe}, "pi-net-3d": {of_pi_net}}


def test_a_doubtful_figure_leaves_the_setting_as_it_is() -> None:
    assert is_same_setting(make_network_run(), make_entry(doubtful=("AP",)))


def test_random_weights_are_no_papers_setting() -> None:
    run = make_network_run(weights=None)
    assert has_random_weights(run)
    assert not is_same_setting(run, make_entry())
    refined = make_network_run(pose_interacting.PINet.card)
    facts = replace(refined.predictor, base=three_dmppe.ThreeDMPPE.card)
    assert has_random_weights(replace(refined, predictor=facts))
    inputs = facts.inputs | {"base weights": facts.inputs["weights"]}
    assert not has_random_weights(replace(refined, predictor=replace(facts, inputs=inputs)))
    assert not has_random_weights(make_network_run())
    assert not has_random_weights(make_run())
