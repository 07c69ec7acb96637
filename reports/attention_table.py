"""How much of the attention goes to other persons: a table over the images it was kept of."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crowdbench.terminal import percent
from reports.attention_shown import ShownAttention
from reports.tables import Table

LEGEND = (
    "Where attention was kept (--save-attention): how much of it goes from a keypoint to the crops "
    "of other persons of its group, mean over all persons with a pose and their keypoints, by "
    "layer, and what it would be if all weights were even. A crop may show other persons, too."
)


def attention_table(images: Sequence[ShownAttention]) -> Table:
    """Return the shares of attention on oneself and on others by image and layer.

    Args:
        images: by ascending id.
    """
    rows = [
        (image.image_id, len(image.boxes), layer, 1 - others, float(others), image.even)
        for image in images
        for layer, others in enumerate(image.layers.tolist(), 1)
    ]
    columns = ["image_id", "persons", "layer", "oneself", "others", "others_if_even"]
    shown = ("image id", "persons", "layer", "oneself %", "others %", "others % if even")
    return Table(
        name="attention",
        data=pd.DataFrame(rows, columns=columns),
        header=shown,
        cells=tuple(
            (str(image_id), str(n), str(layer), percent(oneself), percent(others), percent(even))
            for image_id, n, layer, oneself, others, even in rows
        ),
        numbers=frozenset(shown[1:]),
        sorted_by=dict(zip(shown, columns, strict=True)),
    )
