"""The small network that tells from the form of a pose how far its score is to be trusted.

Geng et al., Bottom-Up Human Pose Estimation via Disentangled Keypoint Regression, CVPR 2021; the
names are those of the official program (HRNet/DEKR), so its checkpoints load as they are.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

_HIDDEN = 256


class RescoringNet(nn.Module):
    """Three linear layers, with ReLU between them."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.l1 = nn.Linear(n_features, _HIDDEN)
        self.l2 = nn.Linear(_HIDDEN, _HIDDEN)
        self.l3 = nn.Linear(_HIDDEN, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n,), the factors on the scores of n poses with features (n, n_features)."""
        hidden = functional.relu(self.l2(functional.relu(self.l1(features))))
        found: Tensor = self.l3(hidden)
        return found[:, 0]
