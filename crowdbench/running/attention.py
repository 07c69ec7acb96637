"""Attention on images that a user chose, asked of the predictor once all is predicted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from crowdbench.attention import (
    Attention,
    ImageAttention,
    attention_fault,
    attention_path,
    attention_paths,
    write_attention,
)
from crowdbench.card import Card
from crowdbench.datasets.split import Split
from crowdbench.errors import CrowdbenchError, UsageError
from crowdbench.predictor import Predictor
from crowdbench.registry import load_predictor, predictor_names
from crowdbench.running.feeding import feed_image
from crowdbench.running.memory import enough_memory
from crowdbench.structures import Boxes

OPTION = "--save-attention"
_ID = re.compile("-?[0-9]{1,18}")


def chosen_ids(text: str | None, card: Card) -> list[int]:
    """Return the image ids that ``--save-attention`` names, ascending; none without it.

    Args:
        text: ids with commas between them.
        card: of the predictor, which has to show attention.

    Raises:
        UsageError: if it does not, or something in the text is no id.
    """
    if text is None:
        return []
    if not card.shows_attention:
        raise UsageError(
            f"{OPTION}: {card.name} shows no attention between keypoints; "
            f"those that do: {', '.join(_showing_attention()) or 'none is installed'}"
        )
    ids = [part.strip() for part in text.split(",")]
    wrong = next((part for part in ids if not _ID.fullmatch(part)), None)
    if wrong is not None:
        raise UsageError(
            f"{OPTION} has {wrong!r}, expected ids of images with commas between, e.g. 12,345"
        )
    return sorted(set(map(int, ids)))


def rows_of_ids(split: Split, ids: Sequence[int]) -> list[int]:
    """Return the rows of the images with these ids.

    Raises:
        UsageError: if the split has no such image; it names the nearest ids.
    """
    known = split.images.ids
    for image_id in ids:
        if image_id not in known:
            at = int(np.searchsorted(known, image_id))
            near = ", ".join(map(str, known[max(at - 1, 0) : at + 1].tolist()))
            limit = "" if split.limit is None else f" with --limit {split.limit}"
            raise UsageError(
                f"{OPTION} has image {image_id}, which is not in {split.name}{limit}: its "
                f"{len(known):,} images have ids from {known[0]} to {known[-1]}, nearest {near}"
            )
    found: list[int] = np.searchsorted(known, ids).tolist()
    return found


def save_attention(
    folder: Path, predictor: Predictor, split: Split, boxes: Boxes | None, rows: Sequence[int]
) -> list[str]:
    """Write the attention on images into a folder, which holds that of no others afterwards.

    Args:
        folder: of the files, see `crowdbench.attention`.
        predictor: that has been loaded, if there are rows.
        split: the split.
        boxes: of the whole split, or None for a predictor without boxes.
        rows: of the images.

    Returns:
        A note for each image that has no file, because there is no pose on it.

    Raises:
        UsageError: if the predictor returns no such arrays as `Attention` describes.
        WriteError: if a file can't be written.
    """
    stays = {attention_path(folder, image_id) for image_id in split.images.ids[rows].tolist()}
    notes: list[str] = []
    for row, found in _found(predictor, split, boxes, rows):
        image_id = int(split.images.ids[row])
        if isinstance(found, str):
            notes.append(f"no attention on image {image_id}: {found}")
            stays.discard(attention_path(folder, image_id))
            continue
        width, height = split.images.sizes[row].tolist()
        name = split.images.file_names[row]
        write_attention(folder, ImageAttention(image_id, name, (width, height), found))
    for path in attention_paths(folder):
        if path not in stays:
            path.unlink(missing_ok=True)
    return notes


def _found(
    predictor: Predictor, split: Split, boxes: Boxes | None, rows: Sequence[int]
) -> Iterator[tuple[int, Attention | str]]:
    """Yield each image's row with its attention, or with why there is none."""
    for row in rows:
        fed = feed_image(predictor, split, boxes, row)
        if fed is None:
            yield row, "it has no box"
            continue
        if fed.skipped:
            yield row, fed.skipped[0].reason
            continue
        what = f"the attention on image {split.images.ids[row]}"
        with enough_memory(what, f"leave it out of {OPTION}; all else is predicted"):
            found = predictor.attention(fed.batch)
        yield row, "it has no pose" if found is None else _checked(found, predictor, split)


def _checked(found: Attention, predictor: Predictor, split: Split) -> Attention:
    is_one = isinstance(found, Attention)
    fault = (
        attention_fault(found, len(split.skeleton))
        if is_one
        else f"{type(found).__name__}, expected crowdbench.attention.Attention"
    )
    if fault is not None:
        raise UsageError(f"predictor {predictor.card.name}: attention returned {fault}")
    return found


def _showing_attention() -> list[str]:
    """Return the names of the predictors that show attention."""
    names = []
    for name in predictor_names():
        try:
            card = load_predictor(name).card
        except CrowdbenchError:
            continue
        if card.shows_attention:
            names.append(name)
    return names
