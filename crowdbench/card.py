"""A predictor's card: the facts that lists, records and reports show."""

from __future__ import annotations

import msgspec


class WeightFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An official file of weights.

    Attributes:
        skeleton: the keypoint layout it gives.
        file: its official name, or null where none was published.
        get: where to get it, as addresses and words.
        trained_on: the data set it was trained on, in the words of the published tables.
        resource: where the file lies in an installed package, as ``package:path``, e.g.
            ``predictors:weights/hrnet-tiny.safetensors``; null where it has to be fetched.
        note: what else to know.
    """

    skeleton: str
    file: str | None
    get: str
    trained_on: str | None = None
    resource: str | None = None
    note: str = ""


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something about a predictor that a user may choose, by ``--option NAME=VALUE``.

    Attributes:
        name: what it is called.
        values: the forms that a value may have, e.g. ``all`` and ``window:N``.
        help: what it decides and what the default is, in one line.
        study: the values that ``crowdbench ablate --vary NAME`` compares, the plainest first.
        published: patterns (of `fnmatch`) of the values with which it is the published method, no
            ablation of it; empty where all are.
    """

    name: str
    values: tuple[str, ...]
    help: str
    study: tuple[str, ...] = ()
    published: tuple[str, ...] = ()


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A predictor's facts.

    Attributes:
        name: what users type.
        description: what it does, in one line.
        skeletons: names of the keypoint layouts it gives; empty for any.
        needs_images: whether it looks at image files.
        needs_boxes: whether it starts from person boxes.
        images_per_shard: how many images are predicted before their candidates are written: what
            is lost at most when a run is interrupted.
        method: the method's name in running text, or empty.
        paper: what to cite, or empty.
        year: of the paper, or null.
        licence: of the method's code or weights, or empty.
        backbone: in the words of the published tables, e.g. ``HRNet-W48``, or empty.
        input_size: height x width of the network's input, e.g. ``384x288``, or empty.
        published: ids of the method in the published tables (``data_manifests/published``).
        needs_weights: whether it loads a file of weights, given by ``--weights``, found in
            ``$CROWDBENCH_WEIGHTS``, or shipped with a package.
        weights: the official ones.
        options: what a user may choose besides.
        shows_attention: whether `crowdbench.predictor.Predictor.attention` tells anything.
        refines: whether it starts from the poses of another predictor, given by ``--base``; see
            `crowdbench.refiner`.
    """

    name: str
    description: str
    skeletons: tuple[str, ...] = ()
    needs_images: bool = True
    needs_boxes: bool = True
    images_per_shard: int = 200
    method: str = ""
    paper: str = ""
    year: int | None = None
    licence: str = ""
    backbone: str = ""
    input_size: str = ""
    published: tuple[str, ...] = ()
    needs_weights: bool = False
    weights: tuple[WeightFile, ...] = ()
    options: tuple[Option, ...] = ()
    shows_attention: bool = False
    refines: bool = False
