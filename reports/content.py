"""What a report is made of: the records of a run, its tables and its plots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from crowdbench.errors import CrowdbenchError, InputError
from crowdbench.record import Environment, Run, RunFolder, are_of_one_run
from crowdbench.results import CrowdImages, Metrics, WorstImages
from reports.condition_tables import condition_tables, robustness_table
from reports.crowd_plot import crowd_plot
from reports.plot import Plot
from reports.plots import (
    condition_plots,
    keypoints_plot,
    oks_plot,
    precision_recall_plot,
)
from reports.published import Entry, Published, load_published
from reports.published_table import published_table
from reports.tables import Table, keypoints_table, metrics_table, skipped_table


@dataclass(frozen=True)
class Content:
    """The content of a report, whatever form it takes.

    Attributes:
        run: what was asked.
        metrics: every number.
        published: what papers printed about the split; nothing for a user's own annotations.
        worst: the images to draw; None if the run folder has none.
        images: the folder of the image files; None if it is not known.
    """

    run: Run
    metrics: Metrics
    published: Published
    worst: WorstImages | None
    images: Path | None

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The published rows to compare with."""
        return self.published.main_entries

    @cached_property
    def metrics_table(self) -> Table:
        """Every metric on the whole split."""
        return metrics_table(self.metrics)

    @cached_property
    def condition_tables(self) -> dict[str, Table]:
        """By condition, the metrics of its rows."""
        return condition_tables(self.metrics)

    @cached_property
    def robustness_table(self) -> Table:
        """The figures that sum up the conditions."""
        return robustness_table(self.metrics)

    @cached_property
    def keypoints_table(self) -> Table:
        """The accuracy of every keypoint."""
        return keypoints_table(self.metrics)

    @cached_property
    def published_table(self) -> Table:
        """The measured row above the published ones."""
        return published_table(self.run, self.metrics, self.entries)

    @cached_property
    def skipped_table(self) -> Table:
        """The first of the images that were left out; without rows if there are none."""
        return skipped_table(self.metrics)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables that have files."""
        return (
            self.metrics_table,
            *self.condition_tables.values(),
            self.robustness_table,
            self.keypoints_table,
            self.published_table,
        )

    @cached_property
    def condition_plots(self) -> dict[str, Plot]:
        """By condition, its plot."""
        return condition_plots(self.metrics)

    @cached_property
    def split_plots(self) -> tuple[Plot, ...]:
        """The plots of the whole split; none without public ground truth."""
        found = (precision_recall_plot(self.metrics), oks_plot(self.metrics))
        return tuple(plot for plot in found if plot is not None)

    @cached_property
    def keypoints_plot(self) -> Plot | None:
        """The accuracy of every keypoint; None without public ground truth."""
        return keypoints_plot(self.metrics)

    @property
    def crowd(self) -> CrowdImages | None:
        """The images that stand for the crowds of the split; None if there are none."""
        return None if self.worst is None else self.worst.crowd

    @cached_property
    def crowd_plot(self) -> Plot | None:
        """Predicted poses over these images; None if there are none."""
        if self.crowd is None:
            return None
        return crowd_plot(self.crowd, self.run.split.skeleton, self.images)

    @property
    def plots(self) -> tuple[Plot, ...]:
        """All plots."""
        further = (self.crowd_plot, self.keypoints_plot)
        found = tuple(plot for plot in further if plot is not None)
        return (*self.condition_plots.values(), *self.split_plots, *found)


def read_content(folder: RunFolder) -> Content:
    """Return the content of a scored run's report.

    Raises:
        MissingError: if the folder holds no scored run.
        InputError: if a record is broken, or the records do not belong together.
    """
    run, metrics = folder.read(Run), folder.read(Metrics)
    if not are_of_one_run(run, metrics):
        raise InputError(
            f"{folder.path}: metrics.json has another signature than run.json, so its numbers are "
            f"of another run: run `crowdbench score {folder.path}`"
        )
    worst = folder.read(WorstImages) if folder.has(WorstImages) else None
    return Content(
        run=run,
        metrics=metrics,
        published=Published() if run.split.own else load_published(run.split.name),
        worst=worst,
        images=None if worst is None else _image_folder(folder),
    )


def _image_folder(folder: RunFolder) -> Path | None:
    """Return where the image files are; a report does without them, whatever the reason."""
    try:
        images = folder.read(Environment).images
    except CrowdbenchError:
        return None
    return None if images is None else Path(images)
