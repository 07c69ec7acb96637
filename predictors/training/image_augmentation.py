"""Square cuts of whole images that differ each time: turned, scaled, shifted, mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictors.topdown.crop import UNIT
from predictors.training.augmentation import Views, turns_by


@dataclass(frozen=True)
class ImageAugmentation:
    """How far cuts may differ from the middle of the image.

    Attributes:
        rotation: degrees; the angle is anything up to it, either way.
        scales: least and largest side of the cut, in units of the image's short side.
        shift: how far the middle of the cut may lie from that of the image, to either side, in
            pixels of a cut that shows 200 pixels of the image.
        flip_probability: of a cut to be mirrored.
    """

    rotation: float
    scales: tuple[float, float]
    shift: float
    flip_probability: float


# HigherHRNet, DEKR, PINet and Global Relation Modeling.
PUBLISHED = ImageAugmentation(30, (0.75, 1.5), 40, 0.5)
# For trainings of a hundredth of the papers' length: cuts closer to those of a test.
MILD = ImageAugmentation(15, (0.8, 1.25), 20, 0.5)
MIDDLE = ImageAugmentation(0, (1, 1), 0, 0)


def draw_cut(
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    augmentation: ImageAugmentation,
    rng: np.random.Generator,
) -> tuple[Views, float]:
    """Return a random view of an image, and how much larger than the image it shows things.

    Args:
        image_size: height and width.
        input_size: height and width of the cut.
        augmentation: how far it may differ.
        rng: where the random numbers come from.

    Returns:
        One view, whose map leads from the image to the cut, and its factor.

    Source: HigherHRNet, ``RandomAffineTransform`` with ``SCALE_TYPE: short``. Deviations: shifts
    are not whole pixels. Mirrored or not, pixel i of the heatmaps stands for pixel 4i of the cut;
    the official program mirrors targets in their own pixels and images in theirs, which are three
    pixels of the image apart.
    """
    height, width = image_size
    side = min(height, width) * rng.uniform(*augmentation.scales)
    angle = rng.uniform(-1, 1) * augmentation.rotation
    reach = augmentation.shift * side / UNIT
    centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * reach
    mirrored = rng.random() < augmentation.flip_probability
    factor = input_size[1] / side
    linear = turns_by(np.array([angle])) * factor
    offsets = np.array(input_size[::-1]) / 2 - linear[0] @ centre
    maps = np.concatenate([linear, offsets[None, :, None]], axis=2)
    if mirrored:
        maps[:, 0] *= -1
        maps[:, 0, 2] += input_size[1] - 1
    return Views(maps, np.array([mirrored]), np.array([angle])), factor
