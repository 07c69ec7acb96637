"""Replay: poses read from a file, so that any method anywhere can be scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from crowdbench.card import Card
from crowdbench.errors import UsageError
from crowdbench.files import FileDigest, digest_of, read_bytes
from crowdbench.merging import Merging
from crowdbench.predictor import Batch, Predictor, Request, Settings
from crowdbench.results_3d import read_poses_3d
from crowdbench.results_format import read_results
from crowdbench.structures import Poses


class Replay(Predictor):
    """Poses from a file: COCO's results format, or on a 3D split one that `read_poses_3d` knows.

    The poses are final as they are: nothing is merged or rescored. Boxes and box scores in the file
    are kept as the boxes the poses came from.
    """

    card: ClassVar[Card] = Card(
        name="replay",
        description="poses from a file, COCO results or in 3D (--predictions FILE)",
        needs_images=False,
        needs_boxes=False,
        images_per_shard=100_000,  # there is no work to lose
    )

    def __init__(self, request: Request) -> None:
        """Read the file.

        Raises:
            UsageError: without ``--predictions``.
            MissingError, InputError: if the file is absent or wrong.
        """
        path = request.predictions
        if path is None:
            raise UsageError(
                "replay needs the poses: --predictions FILE (COCO results JSON; in 3D the folder "
                "of two .mat files, .npz or JSON)"
            )
        split, ignore_unknown = request.split, request.ignore_unknown_images
        inputs: Mapping[str, FileDigest]
        if split.skeleton.is_3d:
            self._poses, notes, inputs = read_poses_3d(path, split, ignore_unknown)
        else:
            content = read_bytes(path, "predictions")
            self._poses, notes = read_results(path, content, split, ignore_unknown)
            inputs = {"predictions": digest_of(path, content)}
        self.settings = Settings(
            boxes="none" if self._poses.boxes is None else "predictions",
            scores="given",
            merging=Merging(),
            pose_area="joints" if self._poses.boxes is None else "box",
            pairing="2d" if self._poses.person_ids is None else "annotation",
            inputs=inputs,
            notes=notes,
        )

    def predict(self, batch: Batch) -> Poses:
        """Return the file's poses of the batch's images."""
        # The images are consecutive, as there are no boxes.
        ends = (batch.images[0], batch.images[-1] + 1)
        first, last = np.searchsorted(self._poses.image_index, ends)
        return self._poses.take(slice(int(first), int(last)))
