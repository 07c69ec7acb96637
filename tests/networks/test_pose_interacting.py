"""PI-Net: equal to the official program; the sizes of its ablations; any number of persons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crowdbench.errors import UsageError
from predictors.networks import VARIANTS, create
from predictors.networks.cost import cost_of, n_parameters
from predictors.networks.pose_interacting import (
    GraphNet,
    PoseInteractingNet,
    RecurrentNet,
    build_recurrent,
    normalised,
)
from tests.networks.filled import entries_of, error, filled, on_meta, reference

# Of the paper's Table 6, in millions; those that it leaves out are ours.
PARAMETERS = {
    "pi-net": (3_408_896, 3.41),
    "pi-net-gru-2": (2_225_664, 2.23),
    "pi-net-gru-4": (4_592_128, 4.59),
    "pi-net-lstm-2": (2_778_112, 2.78),
    "pi-net-lstm-3": (4_355_584, 4.36),
    "pi-net-lstm-4": (5_933_056, 5.93),
    "pi-net-no-attention": (3_014_144, None),
    "pi-net-unidirectional": (1_265_920, None),
    "pi-net-unidirectional-no-attention": (1_134_080, None),
    "pi-net-gcn": (456_839, None),
}


def poses_of(n: int, seed: int) -> Tensor:
    """Return the N persons of the reference's generator, (N, 17, 3) mm."""
    rng = np.random.Generator(np.random.PCG64(seed))
    joints = rng.standard_normal((n, 17, 3)) * 300
    middles = rng.uniform(-1, 1, (n, 1, 3)) * (1000, 200, 800) + (0, 0, 3500)
    return torch.from_numpy(joints + middles)


def padded_pair() -> tuple[Tensor, Tensor]:
    """Return a sequence of three and one of two, padded, and their lengths."""
    short = torch.cat([poses_of(2, 22), torch.zeros(1, 17, 3, dtype=torch.float64)])
    return torch.stack([poses_of(3, 21), short]), torch.tensor([3, 2])


def seeded(variant: str) -> Any:
    torch.manual_seed(0)
    return create(variant).double().eval()


# --- the official program -------------------------------------------------------------------------


@torch.inference_mode()
def test_embeddings_attention_and_poses_are_those_of_the_official_program(shared: Path) -> None:
    golden = reference(shared, "pi-net-3d/golden")
    network = filled(shared, "pi-net")
    assert isinstance(network, RecurrentNet)
    poses = poses_of(3, seed=7)
    assert float(poses.sum()) == pytest.approx(golden["input"]["sum_of_input"], abs=1e-6)
    embeddings = network.embed(normalised(poses[None]).x)
    outputs = golden["outputs"]
    assert error(embeddings, outputs["gru_hidden"]) < 1e-9
    attention = network.attend(embeddings, embeddings)
    assert error(attention, outputs["attention"]) < 1e-9
    refined = network(poses[None]).reshape(1, 51, 3)
    assert error(refined, outputs["refined"]) < 1e-6
    assert np.abs(refined.numpy().ravel() - outputs["refined"]["all_values"]).max() < 1e-6


@torch.inference_mode()
def test_padding_takes_part_as_in_the_official_program(shared: Path) -> None:
    golden = reference(shared, "pi-net-3d/golden")["padded_batch"]
    network: Any = filled(shared, "pi-net")
    poses, lengths = padded_pair()
    embeddings = network.embed(normalised(poses).x, lengths)
    assert error(network.attend(embeddings, embeddings), golden["attention"]) < 1e-9
    refined = network(poses, lengths)
    assert error(refined.reshape(2, 51, 3), golden["refined"]) < 1e-6
    alone = network(poses[1:, :2])
    assert (refined[1, :2] - alone[0]).abs().max() > 1


@pytest.mark.parametrize(
    "name",
    ["pi-net-3d/state_dict", "state_dicts/pi-net-3d-n5", "state_dicts/pi-net-3d-reordered"],
)
def test_the_tensors_are_the_official_ones_in_their_order(name: str, shared: Path) -> None:
    wanted = reference(shared, name)
    network = on_meta("pi-net")
    assert entries_of(network) == wanted["tensors"]
    assert n_parameters(network) == wanted["total_trainable_parameters"]


def test_every_size_is_that_of_the_paper() -> None:
    assert {name for name in VARIANTS if name.startswith("pi-net")} == PARAMETERS.keys()
    for name, (wanted, millions) in PARAMETERS.items():
        found = n_parameters(on_meta(name))
        assert found == wanted, name
        assert millions in (None, round(found / 1e6, 2)), name
        assert VARIANTS[name].input_size == (0, 0)


def test_the_number_of_joints_is_fixed() -> None:
    with pytest.raises(UsageError, match="network pi-net takes no 'num_joints'; it takes none"):
        create("pi-net", num_joints=14)


def test_the_cost_is_counted_of_recurrent_layers_too() -> None:
    cost = cost_of(lambda: create("pi-net"), lambda net: net(torch.empty(1, 2, 17, 3)))
    biases = 6 * 2 * 768 + 512 + 256 + 128
    weights = 3_408_896 - biases - 6 * 256 - 2 * (1024 + 256 + 128)
    # Once for each of the two persons, and twice 2 x 512 x 2 between them.
    assert cost.multiply_adds == 2 * weights + 2 * 2 * 512 * 2


# --- what the ablations are -----------------------------------------------------------------------


@torch.inference_mode()
def test_normalisation_is_over_all_joints_of_the_sequence() -> None:
    poses = torch.stack([poses_of(4, 1), poses_of(4, 2) * 3])
    units = normalised(poses)
    for sequence, x in zip(poses, units.x, strict=True):
        table = sequence.reshape(-1, 3).numpy()
        wanted = (table - table.mean(0)) / (table.std(0, ddof=1) + 1e-4)
        np.testing.assert_allclose(x.reshape(-1, 3), wanted, atol=1e-12)
    torch.testing.assert_close(units.restored(units.x), poses)
    assert normalised(poses.bfloat16()).x.dtype == torch.float32


@torch.inference_mode()
def test_an_lstm_begins_with_what_was_learned_and_empty_cells() -> None:
    torch.manual_seed(0)
    network = build_recurrent("lstm", 1, bidirectional=False, attention=False).double()
    torch.nn.init.normal_(network.h0)
    x = torch.randn(1, 1, 51, dtype=torch.float64)
    rnn: Any = network.rnn
    gates = (
        rnn.weight_ih_l0 @ x[0, 0]
        + rnn.bias_ih_l0
        + rnn.weight_hh_l0 @ network.h0[0, 0]
        + rnn.bias_hh_l0
    )
    i, _, g, o = gates.chunk(4)
    wanted = o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()
    torch.testing.assert_close(network.embed(x)[0, 0], wanted)


@torch.inference_mode()
def test_without_attention_the_mlp_gets_the_embedding_alone() -> None:
    network = seeded("pi-net-no-attention")
    assert network.Wa is None
    x = normalised(poses_of(3, 1)[None]).x
    hidden = network.linear1(network.b1(network.embed(x))).clamp(min=0)
    wanted = network.linear3(network.b3(network.linear2(network.b2(hidden))))
    assert torch.equal(network.interact(x), wanted)


@pytest.mark.parametrize("variant", PARAMETERS)
@torch.inference_mode()
def test_the_others_matter_unless_nothing_leads_from_them(variant: str) -> None:
    network = seeded(variant)
    x = normalised(poses_of(4, 1)[None]).x
    other = torch.cat([x[:, :1], x[:, 1:] + 0.5], dim=1)
    change = (network.interact(x) - network.interact(other))[:, 0].abs().max()
    if variant == "pi-net-unidirectional-no-attention":
        assert change == 0
    else:
        assert change > 1e-4


@torch.inference_mode()
def test_the_order_of_the_others_matters_to_the_recurrent_network_alone() -> None:
    poses = poses_of(4, 1)[None]
    changed = poses[:, [0, 3, 1, 2]]
    recurrent, graph = seeded("pi-net"), seeded("pi-net-gcn")
    assert (recurrent(poses) - recurrent(changed))[:, 0].abs().max() > 1e-2
    torch.testing.assert_close(graph(poses)[:, 0], graph(changed)[:, 0], rtol=0, atol=1e-9)


# --- the graph ------------------------------------------------------------------------------------


def graph_by_hand(network: GraphNet, own: Tensor, other: Tensor) -> Tensor:
    """Return what a pair says of its first person, (51,); the two are (51,)."""
    nodes = torch.cat([own, other]).reshape(34, 3)
    first, _, second = network.adjacency
    learned = (second(first(nodes.reshape(-1)).clamp(min=0))).reshape(34, 34)
    hidden = nodes
    for number, layer in enumerate(network.layers):
        mixed = torch.stack(
            [
                (hidden[i] + sum(w * h for w, h in zip(row.softmax(0), hidden, strict=True))) / 2
                for i, row in enumerate(learned)
            ]
        )
        hidden = layer(mixed)
        if number < 3:
            hidden = hidden.clamp(min=0)
    return hidden[:17].reshape(-1)


@torch.inference_mode()
def test_graph_convolutions_are_over_pairs() -> None:
    network = seeded("pi-net-gcn")
    (x,) = normalised(poses_of(3, 5)[None]).x
    wanted = torch.stack(
        [
            torch.stack([graph_by_hand(network, x[n], x[m]) for m in range(3) if m != n]).mean(0)
            for n in range(3)
        ]
    )
    torch.testing.assert_close(network.interact(x[None])[0], wanted)
    alone = network.interact(x[None, :1])[0, 0]
    torch.testing.assert_close(alone, graph_by_hand(network, x[0], x[0]))


@torch.inference_mode()
def test_padding_makes_no_pairs() -> None:
    network = seeded("pi-net-gcn")
    poses, _ = padded_pair()
    x = normalised(poses).x
    found = network.interact(x, torch.tensor([1, 2]))
    torch.testing.assert_close(found[0, :1], network.interact(x[:1, :1])[0])
    torch.testing.assert_close(found[1, :2], network.interact(x[1:, :2])[0])
    assert found.isfinite().all()


# --- any persons, any precision -------------------------------------------------------------------


@pytest.mark.parametrize("variant", PARAMETERS)
@torch.inference_mode()
def test_any_number_of_persons_and_the_first_alone(variant: str) -> None:
    network = seeded(variant)
    assert isinstance(network, PoseInteractingNet)
    for n in (1, 2, 20):
        poses = torch.stack([poses_of(n, 1), poses_of(n, 2)])
        refined = network(poses)
        assert refined.shape == poses.shape
        assert refined.isfinite().all()
        first = network(poses, first_only=True)
        assert first.shape == (2, 1, 17, 3)
        torch.testing.assert_close(first, refined[:, :1], rtol=0, atol=1e-9)
        full = network(poses, torch.tensor([n, n]))
        torch.testing.assert_close(full, refined, rtol=0, atol=1e-9)
    poses, lengths = padded_pair()
    first = network(poses, lengths, first_only=True)
    torch.testing.assert_close(first, network(poses, lengths)[:, :1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("variant", ["pi-net", "pi-net-gcn"])
@torch.inference_mode()
def test_persons_in_the_same_place_are_no_division_by_zero(variant: str) -> None:
    network = seeded(variant).float()
    same = poses_of(1, 1).float().repeat(3, 1, 1)
    point = torch.full((1, 17, 3), 2000.0)
    for poses in (same, point):
        assert network(poses[None]).isfinite().all()
    # All joints in a point: nothing is moved by more than units of a ten-thousandth mm.
    assert (network(point[None]) - point).abs().max() < 0.01


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("variant", ["pi-net", "pi-net-lstm-2", "pi-net-gcn"])
@torch.inference_mode()
def test_coordinates_keep_their_precision_where_weights_do_not(
    variant: str, dtype: torch.dtype
) -> None:
    network = seeded(variant)
    poses = poses_of(3, 1)[None]
    exact = network(poses)
    half = network.to(dtype)
    found = half(poses.float())
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 30
    # Half a kilometre away is 2 m more or less in bfloat16.
    far = half(poses + 500_000) - 500_000
    assert (far - half(poses)).abs().max() < 1e-3
