"""Progress on the terminal: of a prediction images done, images/s, time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

# Seconds between two lines where there is no terminal to draw a bar on, e.g. in a CI log.
_INTERVAL = 30.0


class Progress:
    """Counts images on standard error: a bar on a terminal, a line now and then elsewhere.

    Used as a context; short runs without a terminal print nothing.
    """

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._bar: Bar | None = None
        self._n = self._total = self._before = 0
        self._title = ""
        self._started = self._said = time.monotonic()

    def start(self, title: str, total: int, done: int) -> None:
        """Begin to count `total` images, `done` of which need not be predicted."""
        self._title, self._total, self._n, self._before = title, total, done, done
        self._started = self._said = time.monotonic()
        if self._quiet or done >= total:
            return
        if done:
            self._console.print(
                f"{title}: goes on, {done:,} of {total:,} images are done", markup=False
            )
        if self._console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                _Rate(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(title, total=total, completed=done, before=done)
            self._bar.start()

    def advance(self, n: int) -> None:
        """Count `n` more images."""
        self._n += n
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], n)
            return
        now = time.monotonic()
        if not self._quiet and now - self._said > _INTERVAL:
            self._said = now
            rate = (self._n - self._before) / (now - self._started)
            left = f", {(self._total - self._n) / rate / 60:.1f} min left" if rate else ""
            self._console.print(
                f"{self._title}: {self._n:,} of {self._total:,} images, {rate:.1f} images/s{left}",
                markup=False,
            )

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, lines: Iterable[str]) -> None:
        """Say what a reader should know, a line each."""
        for line in () if self._quiet else lines:
            self._console.print(f"note: {line}", markup=False, soft_wrap=True)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show on a terminal that something goes on whose end is not known."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with self._console.status(what):
            yield

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        # Since the start; rich's own rate jumps with every batch.
        made, elapsed = task.completed - task.fields["before"], task.elapsed
        return Text(f"{made / elapsed:.1f} images/s" if made and elapsed else "")
