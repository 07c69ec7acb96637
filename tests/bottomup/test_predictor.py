"""Bottom-up predictors from images to poses: whatever the image, the batch and the options are."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError, UsageError
from crowdbench.merging import Merging, final_poses
from crowdbench.predictor import Request
from crowdbench.record import Run
from crowdbench.running.steps import Job, predict_job
from crowdbench.structures import Poses
from predictors import dekr, global_relation, higherhrnet, pinet
from predictors.bottomup.predictor import BottomUp
from predictors.networks.rescoring import RescoringNet
from tests.any_batches import run_in_any_batches
from tests.bottomup.pictures import noise, poses_in, raise_points, split_of, write_pictures
from tests.networks.filled import write_checkpoint

TINY: tuple[type[BottomUp], ...] = (
    pinet.Tiny, pinet.SPMTiny, pinet.TinyHead, pinet.TinyPartSmall, pinet.TinyKeypoint, dekr.Tiny,
    global_relation.Tiny, global_relation.TinyGRM, global_relation.TinyMFA,
    global_relation.TinyPlain,
)  # fmt: skip
SHIPPED = (pinet.Tiny, dekr.Tiny, global_relation.Tiny)
FULL: tuple[type[BottomUp], ...] = (
    higherhrnet.W32_512, higherhrnet.W32_640, higherhrnet.W48_640, dekr.W32_512, dekr.W48_640,
    pinet.COCO, pinet.OCHuman, pinet.SPM_W32, global_relation.W32_512, global_relation.W48_640,
)  # fmt: skip
every = pytest.mark.parametrize("kind", TINY, ids=lambda kind: kind.card.name)
shipped = pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.card.name)


@pytest.fixture(autouse=True)
def no_weights_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROWDBENCH_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """A picture of each shape."""
    pictures = [noise(96, 128), noise(128, 96), noise(1, 1), noise(100, 100)]
    return split_of(tmp_path_factory.mktemp("split"), pictures)


def predictor_for(kind: type[BottomUp], split: Split, **options: str) -> BottomUp:
    """Return a predictor whose random weights find people."""
    predictor = kind(Request(split, options=options))
    predictor.load("cpu", None)
    raise_points(predictor)
    return predictor


def same(one: Poses, other: Poses) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("image_index", "keypoints", "keypoint_scores", "scores", "areas")
    )


@every
def test_images_of_any_shape_have_poses_that_no_batch_changes(
    kind: type[BottomUp], split: Split
) -> None:
    predictor = predictor_for(kind, split)
    found = poses_in(predictor, split)
    counts = np.bincount(found.image_index, minlength=4)
    assert (counts > 0).all()
    assert counts.max() <= 30 * 13
    assert same(poses_in(predictor, split, 1), found)
    assert (found.box_index == -1).all()
    assert found.boxes is None
    # Sizes for suppression are those of tight boxes around all keypoints.
    sides = found.keypoints.max(axis=1) - found.keypoints.min(axis=1)
    assert found.areas is not None
    assert np.allclose(found.areas, sides[:, 0] * sides[:, 1])
    assert np.allclose(found.scores, found.keypoint_scores.mean(axis=1))
    assert (found.ranks is None) == issubclass(kind, pinet.PartBased)


def test_one_peak_is_a_pose_in_the_pixels_of_the_image(split: Split) -> None:
    predictor = predictor_for(pinet.SPMTiny, split)
    network = predictor.network_there
    with torch.no_grad():
        # Every pixel is a peak of the same height, and all offsets are 2 map pixels right and down.
        for name, layer in network.named_modules():
            if name.endswith("_head"):
                layer.weight.zero_()  # type: ignore[operator]
                layer.bias.fill_(1.0)  # type: ignore[operator]
        network.get_submodule("ppg.offset_head").bias.fill_(-2.0)  # type: ignore[operator]
    found = poses_in(predictor, split)
    # The first pixel of a map, row by row: with two views that both point right, x stays.
    of_first = found.keypoints[found.image_index == 0][0]
    # 96 x 128 becomes 256 x 384: scaled by 256 / 96 about the middle.
    factor, middle = 256 / 96, np.array([64, 48])
    expected = (np.array([0, 2]) * 4 - np.array([192, 128])) / factor + middle
    assert np.allclose(of_first, expected)
    assert np.allclose(found.scores, 1)


@shipped
def test_a_picture_of_nothing_has_no_poses(kind: type[BottomUp], tmp_path: Path) -> None:
    split = split_of(tmp_path, [np.zeros((40, 60, 3), np.uint8)])
    predictor = kind(Request(split, options={"scales": "0.5+1+2"}))
    predictor.load("cpu", None)
    with torch.no_grad():
        for name, layer in predictor.network_there.named_modules():
            if name.endswith(("detkptmap_head", "head_heatmap.1")):
                layer.weight.zero_()  # type: ignore[operator]
                layer.bias.zero_()  # type: ignore[operator]
    found = poses_in(predictor, split)
    assert len(found) == 0
    assert found.keypoints.shape == (0, 17, 2)


@shipped
def test_several_scales_give_more_people_the_largest_scale_first(
    kind: type[BottomUp], split: Split
) -> None:
    one = predictor_for(kind, split)
    three = predictor_for(kind, split, scales="0.5+1+2")
    assert three.settings.options["scales"] == "0.5+1+2"
    found, more = poses_in(one, split), poses_in(three, split)
    # Of each image, the poses of scale 1 stand in the middle; but for their scores, which are read
    # in heatmaps of all scales, they are those of scale 1 alone.
    for row in range(len(split.images)):
        alone, among = (each.keypoints[each.image_index == row] for each in (found, more))
        starts = range(len(among) - len(alone) + 1)
        [start] = [i for i in starts if np.array_equal(among[i : i + len(alone)], alone)]
        assert 0 < start < len(among) - len(alone)


@shipped
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_nearly_the_same_heights(
    kind: type[BottomUp], tmp_path: Path, precision: str
) -> None:
    split = split_of(tmp_path, [noise(128, 96)])
    predictors = predictor_for(kind, split), kind(Request(split, precision=precision))
    predictors[1].load("cpu", None)
    raise_points(predictors[1])
    found, half = (poses_in(predictor, split) for predictor in predictors)
    assert predictors[1].settings.precision == precision
    # Peaks of noise are nearly of one height, so that others may be among the highest.
    gaps = np.abs(found.scores - half.scores) / found.scores.max()
    assert np.median(gaps) < 0.02
    assert gaps.max() < 0.1
    assert not np.array_equal(found.scores, half.scores)


def test_the_refinement_keeps_its_weights_in_half_precision(split: Split) -> None:
    full, half = pinet.Tiny(Request(split)), pinet.Tiny(Request(split, precision="bf16"))
    for predictor in (full, half):
        predictor.load("cpu", None)
    weights, others = (p.network_there.get_submodule("pr").state_dict() for p in (full, half))
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


def test_numbers_that_are_not_finite_are_told_with_the_image(tmp_path: Path) -> None:
    split = split_of(tmp_path, [noise(40, 40)])
    predictor = predictor_for(pinet.SPMTiny, split)
    bias = predictor.network_there.get_parameter("ppg.heatmap_head.bias")
    torch.nn.init.constant_(bias, float("nan"))
    with pytest.raises(
        InputError, match=r"1.png \(image 1\): the network gave numbers that are not"
    ):
        poses_in(predictor, split)


# What is asked for.


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (pinet.Tiny, {"scales": "3"}, "--option scales=3: expected 1, 0.5+1, 1+2 or 0.5+1+2"),
        (pinet.Tiny, {"refinement": "of"}, "--option refinement=of: expected on or off"),
        (
            dekr.Tiny, {"merging": "fused"},
            "--option merging=fused: expected fusion, oks-nms or near-joints",
        ),
        (dekr.Tiny, {"matching": "yes"}, "--option matching=yes: expected off or on"),
        (
            dekr.W32_512, {"merging": "fusion", "rescoring": "net.pth"},
            "--option rescoring=net.pth goes with --option merging=near-joints alone",
        ),
    ],
)  # fmt: skip
def test_values_that_an_option_does_not_have_are_refused(
    split: Split, kind: type[BottomUp], options: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as raised:
        kind(Request(split, options=options))
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("kind", "options", "merging"),
    [
        (pinet.Tiny, {}, "oks-fusion(0.7)"),
        (pinet.Tiny, {"merging": "oks-nms"}, "oks-nms(0.7)"),
        (pinet.SPMTiny, {}, "oks-nms(0.7)"),
        (pinet.SPMTiny, {"merging": "fusion"}, "oks-fusion(0.7)"),
        (dekr.Tiny, {}, "near-joints(0.05,>8,30)"),
        (dekr.Tiny, {"scales": "0.5+1+2"}, "near-joints(0.15,>8,30)"),
        (dekr.Tiny, {"merging": "fusion"}, "oks-fusion(0.7)"),
        (higherhrnet.W32_512, {}, "none"),
    ],
)
def test_fusion_is_a_rule_for_any_regression(
    split: Split, kind: type[BottomUp], options: dict[str, str], merging: str
) -> None:
    assert str(kind(Request(split, options=options)).settings.merging) == merging


def test_of_fourteen_joints_fewer_have_to_be_near(tmp_path: Path) -> None:
    split = split_of(tmp_path, [noise(40, 40)], "crowdpose-14")
    settings = dekr.W32_512(Request(split)).settings
    assert str(settings.merging) == "near-joints(0.05,>7,30)"
    assert pinet.CrowdPose.card.skeletons == ("crowdpose-14",)


@pytest.mark.parametrize("kind", TINY + FULL, ids=lambda kind: kind.card.name)
def test_settings_name_every_option_of_the_card(split: Split, kind: type[BottomUp]) -> None:
    settings = kind(Request(split)).settings
    assert settings.options.keys() == {option.name for option in kind.card.options}
    assert settings.boxes == "none"
    # Papers have every default but DEKR's without the file of its rescoring network.
    assert settings.options["scales"] == "1"
    assert str(kind.method.short_side) == kind.card.input_size
    assert kind.card.name == kind.method.network


def rescoring_file(folder: Path, bias: float) -> Path:
    """Write a rescoring network that answers the same whatever it is asked."""
    network = RescoringNet(74)
    with torch.no_grad():
        network.l3.weight.zero_()
        network.l3.bias.fill_(bias)
    path = folder / "final_rescore_coco_kpt.pth"
    torch.save(network.state_dict(), path)
    return path


def test_a_rescoring_network_changes_scores_and_not_what_is_suppressed(
    split: Split, tmp_path: Path
) -> None:
    plain = poses_in(predictor_for(dekr.Tiny, split), split)
    path = rescoring_file(tmp_path, -0.5)
    predictor = predictor_for(dekr.Tiny, split, rescoring=str(path))
    found = poses_in(predictor, split)
    assert np.allclose(found.scores, -0.5 * plain.scores)
    assert np.array_equal(found.ranks, plain.ranks)  # type: ignore[arg-type]
    assert np.array_equal(found.keypoint_scores, plain.keypoint_scores)
    settings = predictor.settings
    digest = settings.inputs["rescoring"].sha256
    assert settings.options["rescoring"] == f"sha256:{digest[:12]}"
    assert settings.scores == "centre*mean(heat)*rescoring"


def test_the_official_rescoring_network_is_found_among_the_weights(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROWDBENCH_WEIGHTS", str(tmp_path))
    without = dekr.W32_512(Request(split)).settings
    assert without.options["rescoring"] == "off"
    assert "put final_rescore_coco_kpt.pth into $CROWDBENCH_WEIGHTS" in without.notes[0]
    path = rescoring_file(tmp_path, 1)
    settings = dekr.W32_512(Request(split)).settings
    assert settings.inputs["rescoring"].name == path.name
    assert settings.notes == ()
    # It is of the full networks, and of poses that are not fused.
    assert dekr.Tiny(Request(split)).settings.options["rescoring"] == "off"
    fused = dekr.W32_512(Request(split, options={"merging": "fusion"})).settings
    assert fused.options["rescoring"] == "off"
    assert "not rescored, as poses merged by fusion" in fused.notes[0]
    spelled = dekr.W32_512(Request(split, options={"merging": "near-joints"})).settings
    assert spelled.options["rescoring"].startswith("sha256:")
    off = dekr.W32_512(Request(split, options={"rescoring": "off"})).settings
    assert (off.options["rescoring"], off.notes) == ("off", ())


def test_a_rescoring_network_that_is_not_there_or_none_is_told(
    split: Split, tmp_path: Path
) -> None:
    with pytest.raises(MissingError, match=r"none\.pth is not there"):
        dekr.Tiny(Request(split, options={"rescoring": str(tmp_path / "none.pth")}))
    path = tmp_path / "other.pth"
    torch.save(RescoringNet(59).state_dict(), path)
    predictor = dekr.Tiny(Request(split, options={"rescoring": str(path)}))
    with pytest.raises(InputError, match="dekr-tiny's rescoring"):
        predictor.load("cpu", None)


def test_refinement_moves_the_poses_of_parts(split: Split) -> None:
    moved = poses_in(predictor_for(pinet.Tiny, split), split)
    coarse = poses_in(predictor_for(pinet.Tiny, split, refinement="off"), split)
    assert len(moved) == len(coarse)
    assert (moved.keypoints != coarse.keypoints).any(axis=(1, 2)).all()


# Whole runs.


def job(annotations: Path, output: Path, name: str, weights: str, *options: str) -> Job:
    return Job(
        name, annotations=annotations, skeleton="coco-17", images=annotations.parent,
        output=output, weights=weights, device="cpu", option=options, resamples=0,
    )  # fmt: skip


@pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.card.name)
def test_real_images_give_the_same_record_for_any_batches(
    shared: Path, tmp_path: Path, kind: type[BottomUp]
) -> None:
    name = kind.card.name
    weights = write_checkpoint(shared, tmp_path, name)
    asked = job(shared / "data/ochuman/test_ochuman.json", tmp_path / "r", name, str(weights))
    run = run_in_any_batches(asked, tmp_path).read(Run)
    assert " boxes=none " in run.signature
    assert "crops=image(short-side=256,multiple=64)" in run.signature
    assert "scales=1" in run.signature
    assert run.predictor.boxes_independent


def test_an_image_that_would_fill_the_memory_counts_as_unreadable(
    tmp_path: Path, split: Split
) -> None:
    with pytest.raises(InputError, match="of 2000 x 1 pixels becomes one of 512,000 x 256"):
        pinet.Tiny(Request(split)).prepare(noise(1, 2000), None)
    annotations = write_pictures(tmp_path / "d", [noise(60, 60), noise(2000, 10)])
    asked = job(annotations, tmp_path / "r", "pinet-tiny", "random")
    with pytest.raises(InputError, match=r"2.png \(image 2\): an image of 10 x 2000 pixels"):
        predict_job(asked)
    _, candidates = predict_job(msgspec.structs.replace(asked, skip_bad_images=True))
    assert [image.image_id for image in candidates.skipped] == [2]


@shipped
def test_of_two_hundred_people_the_surest_are_found(kind: type[BottomUp], tmp_path: Path) -> None:
    """Each person is a peak of its own height; the official lists hold 30 of each map."""
    n = 200
    split = split_of(tmp_path, [noise(256, 256)])
    predictor = predictor_for(kind, split)
    n_parts = 3 if kind is pinet.Tiny else 1
    peaks = torch.zeros(64, 64)
    rows, columns = np.divmod(np.arange(n), 15)
    peaks[2 + 4 * rows, 2 + 4 * columns] = torch.linspace(0.2, 0.9, n)
    with torch.no_grad():
        for name, layer in predictor.network_there.named_modules():
            if name.endswith(("detkptmap_head", "head_heatmap.1")):
                layer.register_forward_hook(lambda _m, _i, out: only(out, peaks))
    found = poses_in(predictor, split)
    assert len(found) == 30 * n_parts


def only(maps: torch.Tensor, peaks: torch.Tensor) -> torch.Tensor:
    """Return maps of both views that all have these peaks."""
    both = torch.stack([peaks, peaks.flip(-1)])[:, None]
    return both.expand_as(maps).contiguous()


def test_joints_are_matched_to_peaks_after_the_suppression(tmp_path: Path) -> None:
    split = split_of(tmp_path, [noise(64, 64)])
    plain, matched = (predictor_for(dekr.Tiny, split, matching=value) for value in ("off", "on"))
    # All joints of random offsets lie at the centre, and extents are small.
    wide = Merging("near-joints", share=30, joints=8, most=30)
    matched._suppressed = wide  # type: ignore[attr-defined]
    candidates, found = poses_in(plain, split), poses_in(matched, split)
    kept = final_poses(candidates, wide, split.skeleton.sigma_array)
    assert 0 < len(kept) == len(found) < len(candidates)
    assert np.array_equal(kept.scores, found.scores)
    assert (kept.keypoints != found.keypoints).any()
    settings = matched.settings
    assert str(settings.merging) == "none"
    assert settings.decoding == "regression(centre>0.01),near-joints(0.05,>8,30),matched"
    fused = dekr.Tiny(Request(split, options={"matching": "on", "merging": "fusion"})).settings
    assert (str(fused.merging), fused.decoding) == (
        "oks-fusion(0.7)", "regression(centre>0.01),matched",
    )  # fmt: skip
