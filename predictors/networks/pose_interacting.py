"""PI-Net: the poses in space of all persons of a scene in, better ones out.

Guo, Corona, Moreno-Noguer and Alameda-Pineda, PI-Net: Pose Interacting Network for Multi-Person
Monocular 3D Pose Estimation, WACV 2021. Parameter names, shapes and order of `RecurrentNet` are
those of the official program (GUO-W/PI-Net), so its checkpoint loads as it is. (PINet, a bottom-up
method for poses in the image, is `predictors.networks.pinet`.)

The first person of a sequence is the one to be refined, the others follow in an order that the
caller chooses. Coordinates are normalised over the whole sequence, refined in these units, and
turned back into millimetres with the same mean and deviation. Statistics and millimetres are kept
in float32 at least, whatever type the weights have: a coordinate of 4 m is 16 mm off in bfloat16.

The official program has one of the networks here, three bidirectional layers of GRU with attention.
Those of the paper's ablations (Tables 5 and 6) are its variations and were not released. What is
inferred is said at each class; the numbers of parameters are all there is to check it by:

=======  =====  =======  ========================================================================
network  paper  here     what tells it from other ways to build it
=======  =====  =======  ========================================================================
GRU, 2   2.23M  2225664  the attended embedding alone into the MLP: 2.09M
GRU, 3   3.41M  3408896  this is the official program's; the attended embedding alone: 3.28M
GRU, 4   4.59M  4592128  the attended embedding alone: 4.46M
LSTM, 2  2.78M  2778112  no learned state: 2.78M; learned hidden state and cell: 2.78M
LSTM, 3  4.36M  4355584  no learned state: 4.35M; learned hidden state and cell: 4.36M
LSTM, 4  5.93M  5933056  no learned state: 5.93M; learned hidden state and cell: 5.94M
GCN      34M     456839  see `GraphNet`
=======  =====  =======  ========================================================================
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# Of MuPoTS-3D.
JOINTS = 17
_FEATURES = JOINTS * 3
_HIDDEN = 256
_WIDTHS = (256, 128)
_LEAST_DEVIATION = 1e-4
_GRAPH_LAYERS = 4


class Normalised(NamedTuple):
    """Poses of B sequences in units of their own spread.

    Attributes:
        x: (B, N, 51), joint by joint x, y, z.
        mean: (B, 1, 1, 3) mm.
        deviation: (B, 1, 1, 3) mm, what `x` was divided by.
    """

    x: Tensor
    mean: Tensor
    deviation: Tensor

    def restored(self, x: Tensor) -> Tensor:
        """Return (B, n, 17, 3) mm of (B, n, 51) in the units of these sequences."""
        return _in_joints(x).to(self.mean.dtype) * self.deviation + self.mean


def _in_joints(x: Tensor) -> Tensor:
    """Return (B, n, 17, 3) of (B, n, 51)."""
    return x.reshape(*x.shape[:2], JOINTS, 3)


def normalised(poses: Tensor) -> Normalised:
    """Return poses with mean 0 and deviation 1 of each coordinate over a sequence.

    Args:
        poses: (B, N, 17, 3) mm in the axes of the camera. Those that pad a short sequence are 0 and
            take part.

    Source: the official program. The deviation is that of a sample (divisor n - 1), with 1e-4 mm on
    top, so that persons in the same plane, or in the same place, give no division by zero.
    """
    poses = poses.to(torch.promote_types(poses.dtype, torch.float32))
    mean = poses.mean(dim=(1, 2), keepdim=True)
    deviation = poses.std(dim=(1, 2), keepdim=True) + _LEAST_DEVIATION
    return Normalised(((poses - mean) / deviation).flatten(2), mean, deviation)


class PoseInteractingNet(nn.Module):
    """What the networks share: `interact` in normalised units, between millimetres."""

    def forward(
        self, poses: Tensor, lengths: Tensor | None = None, first_only: bool = False
    ) -> Tensor:
        """Return the refined poses of sequences.

        Args:
            poses: (B, N, 17, 3) mm in the axes of the camera, the person to refine first.
            lengths: (B,) int64, how many of the N poses each sequence has; the rest are 0. None if
                all have N. Padding changes the result, see `normalised` and `RecurrentNet`; to get
                what a sequence gives alone, leave no padding.
            first_only: leave the others out of the result, which saves time and changes nothing.

        Returns:
            (B, N or 1, 17, 3) mm, float32 or as precise as `poses`.
        """
        units = normalised(poses)
        x = units.x.to(next(self.parameters()).dtype)
        return units.restored(self.interact(x, lengths, first_only))

    def interact(
        self, x: Tensor, lengths: Tensor | None = None, first_only: bool = False
    ) -> Tensor:
        """Return the refined poses (B, N or 1, 51) of poses (B, N, 51), both normalised."""
        raise NotImplementedError


class RecurrentNet(PoseInteractingNet):
    """A recurrent network over the persons, attention among them, and an MLP for each.

    Source: the official program, which it equals to 1e-9 mm. Three of its details are not in the
    paper: the MLP gets a person's embedding beside the attended one (with the attended one alone
    the 3.41M parameters of Table 6 would be 3.28M); there is no activation between the second and
    the third linear layer; attention isn't masked, so the zeros that pad a batch take part.

    Inferred, for the ablations:

    * Without attention the MLP gets the embedding alone, as there is nothing else to give.
    * In one direction the embedding has 256 values, and attention and MLP are as much narrower. The
      person to refine still comes first, so without attention nothing of the others reaches it
      but through the normalisation.
    * The cells of an LSTM begin with zeros, the hidden state with what was learned, as in the GRU:
      only with one learned state do the parameters fit at all three depths (see the module). That
      it could be the first state of the cells as well can't be told from them.
    """

    def __init__(
        self, unit: Literal["gru", "lstm"], n_layers: int, bidirectional: bool, attention: bool
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        width = directions * _HIDDEN
        joined = width * 2 if attention else width
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[unit]
        self.h0 = nn.Parameter(torch.zeros(n_layers * directions, 1, _HIDDEN))
        self.rnn = kind(_FEATURES, _HIDDEN, n_layers, batch_first=True, bidirectional=bidirectional)
        self.linear1 = nn.Linear(joined, _WIDTHS[0])
        self.linear2 = nn.Linear(*_WIDTHS)
        self.linear3 = nn.Linear(_WIDTHS[1], _FEATURES, bias=False)
        self.b1 = nn.LayerNorm(joined)
        self.b2 = nn.LayerNorm(_WIDTHS[0])
        self.b3 = nn.LayerNorm(_WIDTHS[1])
        self.Wa = nn.Linear(width, width) if attention else None

    def embed(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the embeddings (B, N, 512; 256 in one direction) of normalised poses (B, N, 51).

        Those of padding are 0.
        """
        h0 = self.h0.repeat(1, len(x), 1)
        state = (h0, torch.zeros_like(h0)) if isinstance(self.rnn, nn.LSTM) else h0
        if lengths is None:
            return cast("Tensor", self.rnn(x, state)[0])
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        found = self.rnn(packed, state)[0]
        padded, _ = pad_packed_sequence(found, batch_first=True, total_length=x.shape[1])
        return padded

    def attend(self, queries: Tensor, embeddings: Tensor) -> Tensor:
        """Return how much each person looks at which, (B, n, N) with sums of 1.

        Args:
            queries: (B, n, E), the embeddings of the persons who look.
            embeddings: (B, N, E) of all persons.
        """
        assert self.Wa is not None
        scores: Tensor = queries @ self.Wa(embeddings).mT
        return scores.softmax(-1)

    def interact(
        self, x: Tensor, lengths: Tensor | None = None, first_only: bool = False
    ) -> Tensor:
        """Return the refined poses (B, N or 1, 51) of poses (B, N, 51), both normalised."""
        embeddings = self.embed(x, lengths)
        own = embeddings[:, :1] if first_only else embeddings
        if self.Wa is not None:
            own = torch.cat([own, self.attend(own, embeddings) @ embeddings], dim=-1)
        hidden = self.b2(functional.relu(self.linear1(self.b1(own))))
        return cast("Tensor", self.linear3(self.b3(self.linear2(hidden))))


class GraphNet(PoseInteractingNet):
    """A graph-convolutional network over the joints of two persons, for each pair of persons.

    Source: two sentences of the paper (sections 3.2 and 4.4), and nothing else. From there: the
    nodes are the 34 joints of a pair with their coordinates; the adjacency is learned from the
    input and differs from pair to pair; there are four layers. Inferred:

    * The adjacency comes from all coordinates of the pair by two linear layers with ReLU in between
      (102 to 256 to 34 x 34) and a softmax over each row, so a node knows which joint it is. All
      four layers share it. Half of what a node gets is its own, as Kipf and Welling add
      self-connections.
    * A layer mixes the nodes and then their features, 3 to 256 to 256 to 256 to 3, with biases, and
      ReLU but after the last. 256 is the width of the recurrent networks.
    * A person's refined pose is the mean over the pairs it makes with each of the others, of whom
      the order therefore does not matter; a lone person is paired with itself, as in training.
      Those that pad a sequence make no pairs.

    The paper's 34M parameters follow from nothing that it says (0.46M here), so no attempt is made
    to meet them.
    """

    def __init__(self) -> None:
        super().__init__()
        nodes = 2 * JOINTS
        self.adjacency = nn.Sequential(
            nn.Linear(nodes * 3, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, nodes * nodes)
        )
        widths = (3, *(_HIDDEN,) * (_GRAPH_LAYERS - 1), 3)
        self.layers = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))

    def connections(self, pairs: Tensor) -> Tensor:
        """Return how much each node gets of which, (..., 34, 34) with rows of sum 1.

        Args:
            pairs: (..., 34, 3), the joints of one person and then of the other, normalised.
        """
        nodes = pairs.shape[-2]
        learned = self.adjacency(pairs.flatten(-2)).reshape(*pairs.shape[:-1], nodes).softmax(-1)
        itself = torch.eye(nodes, dtype=pairs.dtype, device=pairs.device)
        return cast("Tensor", (learned + itself) / 2)

    def interact(
        self, x: Tensor, lengths: Tensor | None = None, first_only: bool = False
    ) -> Tensor:
        """Return the refined poses (B, N or 1, 51) of poses (B, N, 51), both normalised."""
        n = x.shape[1]
        poses = _in_joints(x)
        own = poses[:, :1] if first_only else poses
        nodes = torch.cat(
            [
                own[:, :, None].expand(-1, -1, n, -1, -1),
                poses[:, None].expand(-1, own.shape[1], -1, -1, -1),
            ],
            dim=-2,
        )
        connections = self.connections(nodes)
        for i, layer in enumerate(self.layers):
            nodes = layer(connections @ (functional.relu(nodes) if i else nodes))
        counts = self._counted(x, lengths)[:, : own.shape[1], :, None]
        of_pairs = nodes[..., :JOINTS, :].flatten(-2)
        return (of_pairs * counts).sum(2) / counts.sum(2)

    @staticmethod
    def _counted(x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (B, N, N) of 0 and 1: with whom each person makes a pair."""
        n = x.shape[1]
        there = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if lengths is not None:
            there = torch.arange(n, device=x.device) < lengths.to(x.device)[:, None]
        itself = torch.eye(n, dtype=torch.bool, device=x.device)
        is_alone = there.sum(1) == 1
        return torch.where(is_alone[:, None, None], itself, there[:, None] & ~itself).to(x.dtype)


def build_recurrent(
    unit: Literal["gru", "lstm"], n_layers: int, bidirectional: bool, attention: bool
) -> RecurrentNet:
    """Return PI-Net, or one of its ablations with a recurrent network."""
    return RecurrentNet(unit, n_layers, bidirectional, attention)


def build_graph() -> GraphNet:
    """Return the ablation of PI-Net with a graph-convolutional network."""
    return GraphNet()
