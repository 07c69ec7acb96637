"""The recipes of networks that see crops of persons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from predictors.networks import VARIANTS
from predictors.topdown.crop import Convention
from predictors.training.augmentation import HRNET, MILD, Augmentation
from predictors.training.losses import EveryInstance, Objective, OnePerson, PersonsTogether
from predictors.training.person_samples import PersonSampling
from predictors.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class PersonRecipe(Recipe):
    """A training on crops of persons.

    Attributes:
        batch_size: crops of a step; images of a step, where persons go through together.
        sigma: of the target Gaussians, in pixels of the heatmap.
        n_instances: how many persons the network finds in each crop.
        augmentation: how far crops may differ from their boxes.
        convention: of crops and targets.
        max_persons: how many persons of an image go through the network together at most; None of
            networks that take each by itself.
    """

    sigma: float
    n_instances: int = 1
    augmentation: Augmentation = HRNET
    convention: Convention = "classical"
    max_persons: int | None = None

    @property
    def sampling(self) -> PersonSampling:
        """How samples are made of images."""
        variant = VARIANTS[self.network]
        return PersonSampling(
            variant.input_size,
            self.sigma,
            self.augmentation,
            self.n_instances,
            self.seed,
            self.convention,
            grouped=self.max_persons is not None,
            max_persons=self.max_persons,
            masks=variant.config.get("needs_masks", False),
        )

    @property
    def objective(self) -> Objective:
        """What is made small."""
        if self.max_persons is not None:
            return PersonsTogether()
        return OnePerson() if self.n_instances == 1 else EveryInstance(self.n_instances)

    @property
    def boxes(self) -> Convention:
        """The convention of crops, by which boxes are clipped."""
        return self.convention

    @property
    def batch_words(self) -> str:
        """A batch's size, as users are told it."""
        if self.max_persons is None:
            return f"{self.batch_size} crops"
        return f"{self.batch_size} images with up to {self.max_persons} persons each"


_HRNET_TINY = PersonRecipe(
    name="hrnet-tiny",
    network="hrnet-tiny",
    data="synthcrowd-train",
    held_out="synthcrowd-val",
    epochs=6,
    falls=(4.5, 5.5),
    batch_size=32,
    sigma=1.5,
    augmentation=MILD,
    warm_up=200,
)
# As the paper's, it goes on from the network without modulation blocks.
_MIPNET_TINY = replace(
    _HRNET_TINY,
    name="mipnet-tiny",
    network="mipnet-tiny",
    epochs=3,
    falls=(2, 2.7),
    n_instances=2,
    start_from="hrnet-tiny",
)


# As the paper's, it goes on from its first stage. Eight images have about thirty persons.
_I2R_NET_TINY = replace(
    _HRNET_TINY,
    name="i2r-net-tiny",
    network="i2r-net-tiny",
    epochs=2,
    falls=(),
    batch_size=8,
    learning_rate=5e-4,
    end_rate=2e-5,
    warm_up=100,
    start_from="hrnet-tiny",
    convention="size-minus-one",
    max_persons=6,
)


def _published(network: str, start_from: str | None = None) -> PersonRecipe:
    """Return the recipe of the paper of HRNet, or of MIPNet if it starts from HRNet."""
    large = network.endswith("384x288")
    # MIPNet's of the large size is shorter; of the small size both are the same.
    short = large and start_from is not None
    return PersonRecipe(
        name=network,
        network=network,
        data="coco-train2017",
        held_out="coco-val2017",
        epochs=110 if short else 210,
        falls=(70, 100) if short else (170, 200),
        # GPUs x crops of each.
        batch_size=4 * (10 if short else 24 if large else 32),
        sigma=3 if large else 2,
        n_instances=1 if start_from is None else 2,
        start_from=start_from,
    )


# Data, held-out data, and of the first stage TransPose-H the number of its encoder layers.
_I2R_DATA = MappingProxyType(
    {
        "coco": ("coco-train2017", "coco-val2017", 6),
        "crowdpose": ("crowdpose-trainval", "crowdpose-test", 4),
        "ochuman": ("ochuman-val", "ochuman-test", 4),
    }
)


def _i2r(
    first_stage: str,
    data: str,
    images: int,
    max_persons: int,
    rates: tuple[float, float] = (1e-4, 1e-5),
    size: str = "256x192",
) -> PersonRecipe:
    """Return the recipe of an official configuration of I2R-Net.

    Args:
        first_stage: ``vanilla``, ``transpose-h`` or ``hrformer-b``.
        data: ``coco``, ``crowdpose`` or ``ochuman``.
        images: of each GPU.
        max_persons: of each image.
        rates: the learning rate at first and in the end.
        size: of the crops.

    The held-out images are those that the configurations test on.
    """
    learned, held_out, n_layers = _I2R_DATA[data]
    starts = {
        "vanilla": None,
        "transpose-h": f"transpose-h-a{n_layers}-{size}",
        "hrformer-b": f"hrformer-b-{size}",
    }
    sooner = data == "crowdpose" and first_stage != "vanilla"
    name = f"i2r-net-{first_stage}-{data}-{size}"
    return PersonRecipe(
        name=name,
        network=name,
        data=learned,
        held_out=held_out,
        epochs=240,
        falls=(),
        # GPUs x images of each.
        batch_size=8 * images,
        sigma=2,
        augmentation=replace(HRNET, half_body_above=6) if sooner else HRNET,
        learning_rate=rates[0],
        end_rate=rates[1],
        start_from=starts[first_stage],
        convention="size-minus-one",
        max_persons=max_persons,
    )


TOP_DOWN = (
    _HRNET_TINY,
    _MIPNET_TINY,
    _I2R_NET_TINY,
    _published("hrnet-w32-256x192"),
    _published("hrnet-w48-384x288"),
    _published("mipnet-hrnet-w32-256x192", "hrnet-w32-256x192"),
    _published("mipnet-hrnet-w48-384x288", "hrnet-w48-384x288"),
    _i2r("vanilla", "coco", 8, 7, (5e-4, 5e-5)),
    _i2r("transpose-h", "coco", 4, 4),
    _i2r("hrformer-b", "coco", 12, 2),
    _i2r("hrformer-b", "coco", 4, 2, size="384x288"),
    _i2r("vanilla", "crowdpose", 32, 5),
    _i2r("transpose-h", "crowdpose", 4, 6),
    _i2r("hrformer-b", "crowdpose", 4, 4, (5e-4, 5e-6)),
    _i2r("vanilla", "ochuman", 32, 3),
    _i2r("transpose-h", "ochuman", 8, 3),
    _i2r("hrformer-b", "ochuman", 8, 3),
)
