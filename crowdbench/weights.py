"""Where the weights of a network come from, and what to do when they are not there."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from crowdbench.card import Card, WeightFile
from crowdbench.errors import MissingError
from crowdbench.files import FileDigest, digest_of_file, read_yaml

WEIGHTS_VARIABLE = "CROWDBENCH_WEIGHTS"
RANDOM = "random"
_ENDINGS = (".pth", ".pth.tar", ".pt", ".safetensors", "")


class Weights(NamedTuple):
    """The weights that a predictor is to load.

    Attributes:
        path: the file, or None for random ones.
        digest: of the file, or None.
    """

    path: Path | None
    digest: FileDigest | None


def find_weights(
    card: Card, skeleton: str, asked: str | None, alias: str = "", flag: str = "--weights"
) -> Weights:
    """Return the weights of a predictor.

    Args:
        card: the predictor's, one that needs weights.
        skeleton: the keypoint layout of the split.
        asked: what `flag` names: a file, ``random``, or None: then the file of the predictor's
            name, or of the official name, in the folder ``$CROWDBENCH_WEIGHTS``. For another layout
            than the predictor's first one the layout's name is added, ``NAME-crowdpose-14``. Last
            comes the file that ships with a package, for the predictors that have one.
        alias: another name for the predictor, which the file may have as well.
        flag: the option of the command that names the file; empty where there is none.

    Raises:
        MissingError: if there is no file; the message says where it was looked for and where to get
            it.
    """
    if asked == RANDOM and not os.path.exists(asked):
        return Weights(None, None)
    if asked is not None:
        path = Path(asked)
        if not os.path.isfile(path):
            what = "is a folder, expected a file" if os.path.isdir(path) else "is not there"
            raise MissingError(
                f"weights: {path} {what} (or `{flag} random`, to try things out without)"
            )
        return Weights(path, digest_of_file(path))
    folder, names = os.environ.get(WEIGHTS_VARIABLE), _names(card, skeleton, alias)
    if folder:
        for name in names:
            path = Path(folder) / name
            if os.path.isfile(path):
                return Weights(path, digest_of_file(path))
    then = f"{flag} FILE, or " if flag else ""
    shipped = _shipped(card, skeleton)
    if shipped is not None:
        if os.path.isfile(shipped):
            return Weights(shipped, digest_of_file(shipped))
        raise MissingError(
            f"weights of {card.name} for {skeleton}: {shipped} is not there, which ships with the "
            f"package: install it again\nor {_advice(card, skeleton)}; then {then}put it into "
            f"${WEIGHTS_VARIABLE}"
        )
    where = f"{names[0]} is not in {folder}" if folder else f"{WEIGHTS_VARIABLE} is not set"
    raise MissingError(
        f"weights of {card.name} for {skeleton}: {where}\n"
        f"{_advice(card, skeleton)}; then {then}put it into ${WEIGHTS_VARIABLE} as {names[0]}"
    )


def _official(card: Card, skeleton: str) -> WeightFile | None:
    return next((file for file in card.weights if file.skeleton == skeleton), None)


def _shipped(card: Card, skeleton: str) -> Path | None:
    """Return where the file that ships with a package should be, or None if there is none."""
    official = _official(card, skeleton)
    if official is None or official.resource is None:
        return None
    package, _, path = official.resource.partition(":")
    # Packages are installed as folders; a file in an archive would have no path.
    return Path(str(files(package))) / path


def _names(card: Card, skeleton: str, alias: str) -> list[str]:
    """Return the file names to look for, best first."""
    layout = "" if skeleton in card.skeletons[:1] else f"-{skeleton}"
    stems = [card.name + layout, *([alias + layout] if alias else [])]
    names = [stem + ending for stem in stems for ending in _ENDINGS]
    official = _official(card, skeleton)
    return [*names, official.file] if official and official.file else names


def _advice(card: Card, skeleton: str) -> str:
    official = _official(card, skeleton)
    if official is None:
        return "no official weights are known; train some"
    words = f"get {official.file or 'the file'} from {official.get}"
    return words + (f" ({official.note})" if official.note else "")


@cache
def _official_weights() -> dict[str, tuple[WeightFile, ...]]:
    with as_file(files("data_manifests") / "weights.yaml") as path:
        return read_yaml(path, dict[str, tuple[WeightFile, ...]])


def official_weights(name: str) -> tuple[WeightFile, ...]:
    """Return the official weights of one of crowdbench's predictors (``data_manifests``).

    >>> official_weights("hrnet-w32-256x192")[0].file
    'pose_hrnet_w32_256x192.pth'
    """
    return _official_weights().get(name, ())
