"""The loss of refined poses by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crowdbench.skeletons import MUPOTS_17
from predictors.networks.pose_interacting import PoseInteractingNet, normalised
from predictors.training.pose_losses import PoseRefinement, Statistics
from predictors.training.pose_recipes import POSES, PoseRecipe
from predictors.training.pose_scenes import Passes, SceneSamples
from predictors.training.start import begin_network

ROOT = MUPOTS_17.root


class Echo(PoseInteractingNet):
    """Gives back what goes in, in the precision of a low one."""

    def interact(
        self, x: Tensor, lengths: Tensor | None = None, first_only: bool = False
    ) -> Tensor:
        return x.bfloat16()


def passes(p: int, n: int, seed: int = 0) -> Passes:
    torch.manual_seed(seed)
    base = torch.randn(p, n, 17, 3) * 300 + torch.tensor([0.0, 0, 4000])
    return Passes(base, base + torch.randn_like(base) * 50)


def outcome(samples: SceneSamples, statistics: Statistics = "input") -> tuple[Tensor, ...]:
    inputs = [together.base_mm for together in samples.passes]
    loss, found, figures = PoseRefinement(statistics, ROOT)(Echo(), inputs, samples)
    return loss, found, *figures.values()


@pytest.mark.parametrize("statistics", ["input", "truth"])
def test_the_loss_is_the_mean_absolute_error_of_all_poses_of_every_pass(
    statistics: Statistics,
) -> None:
    samples = SceneSamples((passes(2, 2), passes(3, 3, 1)))
    errors = []
    for base, true in samples.passes:
        for scene, wanted in zip(base, true, strict=True):
            of = scene if statistics == "input" else wanted
            mean = of.reshape(-1, 3).mean(0)
            deviation = of.reshape(-1, 3).std(0, correction=1) + 1e-4
            got = normalised(scene[None]).x[0].reshape(-1, 17, 3)
            errors.append((got - (wanted - mean) / deviation).abs().flatten())
    loss, *_ = outcome(samples, statistics)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(torch.cat(errors).mean().item(), rel=1e-2)


def test_a_whole_scene_in_the_wrong_place_is_an_error_by_the_inputs_statistics_alone() -> None:
    base = passes(1, 2).base_mm
    samples = SceneSamples((Passes(base, base * 1.1 + 500),))
    assert outcome(samples, "input")[0].item() > 1
    assert outcome(samples, "truth")[0].item() < 5e-3


def test_joints_within_10_cm_of_their_place_seen_from_the_root_are_right() -> None:
    base = passes(1, 2).base_mm
    true = base.clone()
    # Root and all else moved together, one joint by 99 mm and two by 101; of the other person all.
    true[0, 0, 3, 0] += 90
    true[0, 0, 5, 1] -= 110
    true[0, 0, 6, 2] += 110
    true[0, 0] += 1000
    true[0, 1, 2:7] += 5000
    _, found, after, before = outcome(SceneSamples((Passes(base, true),)))
    assert found.shape == (16,)
    assert int(found.sum()) == 14
    assert before.tolist() == pytest.approx([(90 + 110 + 110) / 17], rel=1e-3)
    # The echo is rounded to eight bits: a few mm.
    assert after.tolist() == pytest.approx(before.tolist(), abs=6)


def test_a_wrong_root_is_seen_in_all_other_joints() -> None:
    base = passes(1, 1).base_mm
    true = base.clone()
    true[0, 0, ROOT] += 200
    _, found, *_ = outcome(SceneSamples((Passes(base, true),)))
    assert found.tolist() == [False] * 16


@pytest.mark.parametrize("recipe", POSES, ids=lambda recipe: recipe.name)
def test_the_loss_moves_all_of_the_network(recipe: PoseRecipe) -> None:
    network = begin_network(recipe, 17, None)
    samples = SceneSamples((passes(2, 2), passes(3, 3, 1)))
    loss = recipe.objective(network, recipe.inputs(samples), samples).loss
    loss.backward()  # type: ignore[no-untyped-call]
    for name, value in network.named_parameters():
        # The bias of attention is the same for all persons, so softmax does not see it.
        if name != "Wa.bias":
            assert value.grad is not None, name
            assert value.grad.abs().sum() > 0, name
