"""What a report is made of: the records of a run, its tables and its plots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from crowdbench.attention import attention_paths, read_attention
from crowdbench.drawn_2d import CrowdImages
from crowdbench.errors import CrowdbenchError
from crowdbench.record import Environment, Run, RunFolder
from crowdbench.results import Metrics, WorstImages
from reports.attention_figure import attention_plot
from reports.attention_shown import ShownAttention, shown_attention
from reports.attention_table import attention_table
from reports.condition_tables import condition_tables, robustness_table
from reports.crowd_plot import crowd_plot
from reports.keypoint_errors import errors_table, overlap_table
from reports.plot import Plot
from reports.plots import (
    condition_plots,
    keypoints_plot,
    oks_plot,
    precision_recall_plot,
)
from reports.pose3d_plots import joints_plot, pck_curve_plot
from reports.pose3d_tables import (
    averages_table,
    joint_groups_table,
    joints_table,
    sequences_table,
)
from reports.published import Entry, Published, load_published
from reports.published_3d import rows_of_methods
from reports.published_table import published_table
from reports.refinement_table import refinement_table, scenes_table
from reports.scene_plot import scene_plot
from reports.skeleton_plot import worst_persons_plot
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
        attention: of the images that it was kept of, by ascending id.
    """

    run: Run
    metrics: Metrics
    published: Published
    worst: WorstImages | None
    images: Path | None
    attention: tuple[ShownAttention, ...] = ()

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The published rows to compare with; in 3D one for each method and setting."""
        entries = self.published.main_entries
        return rows_of_methods(entries) if self.is_3d else entries

    @property
    def is_3d(self) -> bool:
        """Whether the poses are in space."""
        return self.metrics.pose3d is not None

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
    def errors_table(self) -> Table:
        """What is wrong with every keypoint; without rows if none is labelled."""
        return errors_table(self.metrics)

    @cached_property
    def errors_by_overlap_table(self) -> Table:
        """What is wrong with keypoints, by how much persons overlap; likewise."""
        return overlap_table(self.metrics)

    @cached_property
    def published_table(self) -> Table:
        """The measured row above the published ones."""
        return published_table(self.run, self.metrics, self.entries)

    @cached_property
    def skipped_table(self) -> Table:
        """The first of the images that were left out; without rows if there are none."""
        return skipped_table(self.metrics)

    @cached_property
    def attention_table(self) -> Table:
        """How much attention goes to other persons; without rows if none was kept."""
        return attention_table(self.attention)

    @cached_property
    def averages_table(self) -> Table:
        """The metrics averaged in each way."""
        return averages_table(self.metrics)

    @cached_property
    def sequences_table(self) -> Table:
        """The metrics by sequence, above the published ones."""
        return sequences_table(self.run, self.metrics, self.published)

    @cached_property
    def joint_groups_table(self) -> Table:
        """The metrics by group of joints, above the published ones."""
        return joint_groups_table(self.run, self.metrics, self.published)

    @cached_property
    def joints_table(self) -> Table:
        """The metrics joint by joint."""
        return joints_table(self.metrics)

    @cached_property
    def refinement_table(self) -> Table:
        """The metrics before and after refinement; without rows if nothing was refined."""
        return refinement_table(self.metrics)

    @cached_property
    def scenes_table(self) -> Table:
        """The persons of the scenes before and after refinement; likewise."""
        return scenes_table(() if self.worst is None else self.worst.scenes)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables that have files."""
        only_3d = (
            self.averages_table,
            self.sequences_table,
            self.joint_groups_table,
            self.joints_table,
        )
        if_any = (
            self.errors_table,
            self.errors_by_overlap_table,
            self.refinement_table,
            self.scenes_table,
        )
        return (
            self.metrics_table,
            *self.condition_tables.values(),
            self.robustness_table,
            *(only_3d if self.is_3d else (self.keypoints_table,)),
            *(table for table in if_any if table.cells),
            self.published_table,
            *((self.attention_table,) if self.attention else ()),
        )

    @cached_property
    def condition_plots(self) -> dict[str, Plot]:
        """By condition, its plot."""
        return condition_plots(self.metrics)

    @cached_property
    def split_plots(self) -> tuple[Plot, ...]:
        """The plots of the whole split; none without public ground truth."""
        found = (
            precision_recall_plot(self.metrics),
            oks_plot(self.metrics),
            pck_curve_plot(self.metrics),
        )
        return tuple(plot for plot in found if plot is not None)

    @cached_property
    def keypoints_plot(self) -> Plot | None:
        """The accuracy of every keypoint; None without public ground truth."""
        return keypoints_plot(self.metrics)

    @cached_property
    def joints_plot(self) -> Plot | None:
        """The metrics joint by joint; None for 2D poses."""
        return joints_plot(self.metrics)

    @cached_property
    def worst_persons_plot(self) -> Plot | None:
        """The 3D poses of the worst persons; None if there are none."""
        if self.worst is None:
            return None
        return worst_persons_plot(self.worst.persons, self.run.split.skeleton)

    @cached_property
    def scene_plot(self) -> Plot | None:
        """Scenes before and after refinement; None if there are none."""
        if self.worst is None or not self.refinement_table.cells:
            return None
        return scene_plot(self.worst.scenes, self.metrics, self.run.split.skeleton, self.images)

    @cached_property
    def attention_plots(self) -> tuple[Plot, ...]:
        """For each image that attention was kept of, what some keypoints attended to."""
        skeleton = self.run.split.skeleton
        return tuple(attention_plot(shown, skeleton, self.images) for shown in self.attention)

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
        further = (
            self.crowd_plot,
            self.keypoints_plot,
            self.joints_plot,
            self.scene_plot,
            self.worst_persons_plot,
        )
        found = tuple(plot for plot in further if plot is not None)
        return (
            *self.condition_plots.values(),
            *self.split_plots,
            *found,
            *self.attention_plots,
        )


def read_content(folder: RunFolder) -> Content:
    """Return the content of a scored run's report.

    Raises:
        MissingError: if the folder holds no scored run.
        InputError: if a record is broken, or the records do not belong together.
    """
    run, metrics = folder.read_scored()
    worst = folder.read(WorstImages) if folder.has(WorstImages) else None
    n_keypoints = len(run.split.skeleton)
    attention = tuple(
        shown_attention(read_attention(path, n_keypoints))
        for path in attention_paths(folder.attention)
    )
    return Content(
        run=run,
        metrics=metrics,
        published=Published() if run.split.own else load_published(run.split.name),
        worst=worst,
        images=_image_folder(folder) if worst is not None or attention else None,
        attention=attention,
    )


def _image_folder(folder: RunFolder) -> Path | None:
    """Return where the image files are; a report does without them, whatever the reason."""
    try:
        images = folder.read(Environment).images
    except CrowdbenchError:
        return None
    return None if images is None else Path(images)
