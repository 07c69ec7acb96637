"""The recipes of networks that see whole images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from predictors.networks import VARIANTS
from predictors.training.image_augmentation import MILD, PUBLISHED, ImageAugmentation
from predictors.training.image_losses import CentreRegression, PartRegression
from predictors.training.image_samples import AreaRule, ImageSampling
from predictors.training.losses import Objective
from predictors.training.recipe import Recipe

# First and last pixel of the blocks where poses are learned.
_PINET_BLOCK, _DEKR_BLOCK = (-2, 1), (-4, 3)
_SMALL = 32.0 * 32
# Data and held-out data: those that the papers train and test on.
_DATA = MappingProxyType(
    {
        "coco": ("coco-train2017", "coco-val2017"),
        "crowdpose": ("crowdpose-trainval", "crowdpose-test"),
        "ochuman": ("ochuman-val", "ochuman-test"),
    }
)


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """A training on whole images, of which square cuts are made.

    Attributes:
        batch_size: images of a step.
        partition: of the body, each part with its centre; see `predictors.bottomup.partitions`.
        by_parts: whether the network is PINet or SPM, of centres of parts; else DEKR or Global
            Relation, of the persons' centres.
        augmentation: how far cuts may differ from the middle of the image.
        sigma: of the Gaussians, in pixels of the maps.
        centre_sigma: of those of the centres.
        area: see `ImageSampling`; so are the next three.
        least_box: px².
        least_area: px².
        n_chosen: how many places.
        offset_scale: what the features that offsets are made of begin with in the last batch-norm
            before them, in networks of persons' centres. Above 1 offsets of many pixels are
            learned in fewer steps.
    """

    partition: str
    by_parts: bool
    augmentation: ImageAugmentation
    sigma: float = 2
    centre_sigma: float = 2
    area: AreaRule = "box"
    least_box: float = 0
    least_area: float = 0
    n_chosen: int = 40
    offset_scale: float = 1

    @property
    def sampling(self) -> ImageSampling:
        """How samples are made of images."""
        return ImageSampling(
            VARIANTS[self.network].input_size,
            self.augmentation,
            self.partition,
            self.sigma,
            self.centre_sigma,
            _PINET_BLOCK if self.by_parts else _DEKR_BLOCK,
            self.area,
            self.least_box,
            self.least_area,
            self.n_chosen,
            self.seed,
        )

    @property
    def objective(self) -> Objective:
        """What is made small."""
        return PartRegression() if self.by_parts else CentreRegression()

    @property
    def boxes(self) -> None:
        """Boxes stay as they are annotated."""

    @property
    def batch_words(self) -> str:
        """A batch's size, as users are told it."""
        return f"{self.batch_size} images"


# The refinement learns from fewer places than the paper's 40, which would take longer than all else
# together.
_PINET_TINY = ImageRecipe(
    name="pinet-tiny",
    network="pinet-tiny",
    data="synthcrowd-train",
    held_out="synthcrowd-val",
    epochs=1,
    falls=(),
    batch_size=8,
    end_rate=2e-5,
    warm_up=100,
    start_from="hrnet-tiny",
    partition="part-large",
    by_parts=True,
    augmentation=MILD,
    n_chosen=16,
)


def _tiny(name: str, partition: str = "center", *, by_parts: bool = False) -> ImageRecipe:
    """Return the recipe of another tiny network.

    Those of persons' centres make an offset of five channels, not of all: from a scale of 1 the
    steps would not do.
    """
    return replace(
        _PINET_TINY,
        name=name,
        network=name,
        partition=partition,
        by_parts=by_parts,
        offset_scale=1 if by_parts else 8,
    )


def _pinet(data: str, network: str = "", partition: str = "part-large") -> ImageRecipe:
    """Return PINet's recipe for ``coco``, ``crowdpose`` or ``ochuman``, or of another network."""
    name = network or f"pinet-w32-{data}-512"
    is_crowdpose = data == "crowdpose"
    learned, held_out = _DATA[data]
    return ImageRecipe(
        name=name,
        network=name,
        data=learned,
        held_out=held_out,
        epochs=300 if is_crowdpose else 140,
        falls=(200, 260) if is_crowdpose else (90, 120),
        batch_size=20 if data == "ochuman" else 40,
        partition=partition,
        by_parts=True,
        augmentation=PUBLISHED,
        least_box=0 if is_crowdpose else _SMALL,
    )


def _dekr(network: str) -> ImageRecipe:
    """Return the recipe for COCO of DEKR, which Global Relation follows."""
    return ImageRecipe(
        name=network,
        network=network,
        data="coco-train2017",
        held_out="coco-val2017",
        epochs=140,
        falls=(90, 120),
        # PINet's, and half of it for the network that is twice as large: none is stated.
        batch_size=20 if "w48" in network else 40,
        partition="center",
        by_parts=False,
        augmentation=PUBLISHED,
        centre_sigma=4,
        area="origin",
        least_area=_SMALL,
    )


BOTTOM_UP = (
    _PINET_TINY,
    replace(_PINET_TINY, name="pinet-tiny-static-graph", network="pinet-tiny-static-graph"),
    replace(_PINET_TINY, name="pinet-tiny-no-graph", network="pinet-tiny-no-graph"),
    _tiny("spm-tiny", by_parts=True),
    _tiny("pinet-tiny-head", "head", by_parts=True),
    _tiny("pinet-tiny-part-small", "part-small", by_parts=True),
    _tiny("pinet-tiny-keypoint", "keypoint", by_parts=True),
    _tiny("dekr-tiny"),
    _tiny("grm-tiny"),
    _tiny("grm-tiny-grm"),
    _tiny("grm-tiny-mfa"),
    _tiny("grm-tiny-plain"),
    _pinet("coco"),
    _pinet("crowdpose"),
    _pinet("ochuman"),
    # On the data of the paper's ablation.
    _pinet("ochuman", "spm-w32-512", "center"),
    _dekr("dekr-w32-512"),
    _dekr("dekr-w48-640"),
    _dekr("global-relation-w32-512"),
    _dekr("global-relation-w48-640"),
)
