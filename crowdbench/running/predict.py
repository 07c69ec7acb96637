"""Predict: from a split and a predictor to candidates on disk."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crowdbench.candidates import (
    Candidates,
    Shard,
    join_shards,
    read_shard,
    shard_paths,
    write_shard,
)
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets.image_files import missing_images
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError
from crowdbench.predictor import Predictor
from crowdbench.record import RunFolder
from crowdbench.running.feeding import Fed, Part, feeding, parts_of
from crowdbench.running.memory import enough_memory
from crowdbench.running.progress import Progress
from crowdbench.running.returned import join_batches, predict_batch
from crowdbench.running.sweeping import Pass, cost_words, plan_passes
from crowdbench.structures import Boxes, Poses

# Names that a message about many images shows.
_SHOWN = 3


@dataclass(frozen=True)
class Means:
    """What a prediction is made with; the result is the same with any.

    Attributes:
        batch_size: boxes, or images without boxes, in a batch; None for no limit.
        workers: processes that read images; 0 for none besides this one.
        skip_bad_images: leave images out that can't be read.
        progress: shows how far it is.
    """

    batch_size: int | None
    workers: int
    skip_bad_images: bool
    progress: Progress


@dataclass
class Tally:
    """What has been predicted, and how long it took.

    Attributes:
        images: predicted ones.
        persons: predicted boxes, or poses where there are no boxes.
        seconds: of everything.
        network_seconds: in `Predictor.predict`.
    """

    images: int = 0
    persons: int = 0
    seconds: float = 0.0
    network_seconds: float = 0.0


class Prediction:
    """The prediction of a split: what of it is there, and the making of the rest."""

    def __init__(
        self,
        folder: RunFolder,
        split: Split,
        predictor: Predictor,
        boxes: Boxes | None,
        conditions: ConditionSettings,
        means: Means,
        *,
        anew: bool,
    ) -> None:
        """Plan it, and read what is there, unless it is to be made anew; nothing is written.

        A predictor whose poses depend on the other boxes of the image predicts anew for every
        threshold of ``detector-confidence`` those images that lose a box there.
        """
        self._split, self._predictor, self._means = split, predictor, means
        sweeps = not predictor.settings.boxes_independent and split.truth is not None
        thresholds = sweep_thresholds(conditions) if sweeps and boxes is not None else ()
        self._plan = plan_passes(folder, len(split.images), boxes, thresholds)
        self._there: dict[Path, Shard] = {}
        for path in itertools.chain.from_iterable(map(self._paths, self._plan.passes)):
            if not anew and path.is_file():
                shard = read_shard(path)
                # One that lacks images counts only if that is wanted.
                if means.skip_bad_images or not shard.skipped:
                    self._there[path] = shard
        self.tally = Tally()

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be predicted any more."""
        return not any(map(self._missing, self._plan.passes))

    @property
    def cost(self) -> str | None:
        """What a sweep costs in words, or None where it predicts nothing again, or no more."""
        return None if self.is_complete else cost_words(self._plan, self._predictor.card.name)

    def check_images(self) -> None:
        """Refuse to begin when image files are missing, unless they are to be skipped.

        Raises:
            MissingError: with their number and the first names.
        """
        if not self._predictor.card.needs_images or self._means.skip_bad_images:
            return
        images = self._split.images
        by_shard = itertools.chain.from_iterable(
            self._parts(one, None).values() for one in self._plan.passes
        )
        parts = itertools.chain.from_iterable(by_shard)
        rows = sorted({row for part in parts for row in part.images.tolist()})
        missing = missing_images(images, rows)
        if missing:
            raise MissingError(
                f"{len(missing):,} of {len(rows):,} images are missing in {images.folder}: "
                f"{_some([images.file_names[row] for row in missing])}\n"
                "get them, give another folder with --images, or leave them out with "
                "--skip-bad-images"
            )

    def make(self) -> Candidates:
        """Return the candidates of the whole split, and leave them in the folder's shards.

        Shards that are already there are not made again: an interrupted run goes on where it
        stopped.

        Raises:
            InputError: at the end, if images could not be read and are not to be skipped; all
                shards without such images are there by then.
        """
        started = time.perf_counter()
        title, n_images = self._predictor.card.name, len(self._split.images)
        passes = self._plan.passes
        total = sum(len(one.images) for one in passes)
        to_do = sum(one.count(*self._range(i)) for one in passes for i in self._missing(one))
        made: dict[Path, list[Shard]] = {}
        with self._means.progress as progress:
            progress.start(title, total, total - to_do)
            for one in passes:
                made[one.place] = self._make_pass(
                    one, None if one.reuse is None else made[one.reuse.place]
                )
        self.tally.seconds += time.perf_counter() - started
        bad = {
            image.image_id: image
            for shard in itertools.chain.from_iterable(made.values())
            for image in shard.skipped
        }
        boxes = passes[0].boxes
        n_looked_at = n_images if boxes is None else len(np.unique(boxes.image_index))
        if bad and len(bad) == n_looked_at:
            raise InputError(
                f"none of the {n_looked_at:,} images in {self._split.images.folder} can be used: "
                f"{_some([image.reason for image in bad.values()])}"
            )
        if bad and not self._means.skip_bad_images:
            raise InputError(
                f"{len(bad):,} of {n_images:,} images in {self._split.images.folder} can't be "
                f"used: {_some([image.reason for image in bad.values()])}\n"
                "all others are predicted: put these right and give the same command again, or "
                "leave them out with --skip-bad-images"
            )
        joined = {place: join_shards(shards) for place, shards in made.items()}
        whole = joined[passes[0].place]
        sweep = {t: joined[place].poses for t, place in self._plan.sweep.items()}
        return Candidates(whole.poses, sweep, whole.skipped)

    def _paths(self, one: Pass) -> list[Path]:
        """Return the files of a pass's shards."""
        step = self._predictor.card.images_per_shard
        return shard_paths(one.place, len(self._split.images), step)

    def _missing(self, one: Pass) -> list[int]:
        """Return the numbers of the shards that have to be made."""
        return [i for i, path in enumerate(self._paths(one)) if path not in self._there]

    def _range(self, number: int) -> tuple[int, int]:
        """Return the first image of a shard, and the one after its last."""
        step = self._predictor.card.images_per_shard
        return number * step, min((number + 1) * step, len(self._split.images))

    def _parts(self, one: Pass, batch_size: int | None) -> dict[int, list[Part]]:
        """Return the batches of the shards that have to be made, by number."""
        whole_images = not self._predictor.settings.boxes_independent
        return {
            i: parts_of(*self._range(i), one.boxes, batch_size, whole_images)
            for i in self._missing(one)
        }

    def _make_pass(self, one: Pass, before: Sequence[Shard] | None) -> list[Shard]:
        """Return the shards of a pass, made where they are not there.

        Args:
            one: the pass.
            before: the shards of the pass that it reuses, if it does.
        """
        parts = self._parts(one, self._means.batch_size)
        flat = list(itertools.chain.from_iterable(parts.values()))
        shards = []
        with feeding(self._predictor, self._split, one.boxes, flat, self._means.workers) as fed:
            for i, path in enumerate(self._paths(one)):
                if i in parts:
                    reused = []
                    if one.reuse is not None and before is not None:
                        reused.append(one.reuse.of(before[i], self._split.images.ids))
                    shard = self._make_shard(one, i, itertools.islice(fed, len(parts[i])), reused)
                    if not shard.skipped or self._means.skip_bad_images:
                        write_shard(path, shard)
                else:
                    shard = self._there[path]
                shards.append(shard)
        return shards

    def _make_shard(
        self, one: Pass, number: int, batches: Iterator[Fed], reused: Sequence[Shard]
    ) -> Shard:
        start, stop = self._range(number)
        found = [shard.poses for shard in reused]
        skipped = {image.image_id: image for shard in reused for image in shard.skipped}
        at = start
        for fed in batches:
            skipped |= {image.image_id: image for image in fed.skipped}
            if len(fed.batch.images):
                poses = self._predict(fed)
                if one.box_rows is not None:
                    poses = replace(poses, box_index=one.box_rows[poses.box_index])
                found.append(poses)
            here = int(fed.part.images[-1]) + 1
            self._means.progress.advance(one.count(at, here))
            at = here
        self._means.progress.advance(one.count(at, stop))
        self.tally.images += one.count(start, stop)
        poses = join_batches(found, len(self._split.skeleton))
        return Shard(poses, tuple(skipped[key] for key in sorted(skipped)))

    def _predict(self, fed: Fed) -> Poses:
        clock = time.perf_counter()
        advice = "the same command with a smaller --batch-size goes on"
        if fed.batch.boxes is not None and not self._predictor.settings.boxes_independent:
            # The batch may be as small as it gets.
            n = int(np.bincount(fed.batch.boxes.image_index).max())
            advice += f"; an image of this one has {n:,} boxes, which stay together in any case"
        with enough_memory(f"batches of {self._means.batch_size}", advice):
            poses = predict_batch(self._predictor, fed)
        self.tally.network_seconds += time.perf_counter() - clock
        self.tally.persons += len(poses) if fed.batch.boxes is None else len(fed.batch.boxes.scores)
        return poses


def sweep_thresholds(conditions: ConditionSettings) -> tuple[float, ...]:
    """Return the thresholds of ``detector-confidence``; none if it is not asked for."""
    return tuple(t for t in conditions.values.get("detector-confidence", ()) if t is not None)


def _some(names: list[str]) -> str:
    """Return the first of many names.

    >>> _some(["a", "b"]), _some(list("abcde"))
    ('a, b', 'a, b, c and 2 more')
    """
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
