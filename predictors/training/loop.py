"""The loop: batches through the network, checkpoints, a log; it knows no method and no data set.

What goes into the network, images or poses, is the recipe's business.

A training that was interrupted goes on from its checkpoint and ends with the same weights, on a CPU
to the last bit.
"""

from __future__ import annotations

import io
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crowdbench.errors import CrowdbenchError, InputError, UsageError
from crowdbench.files import FileDigest, read_bytes, write_atomically
from predictors.networks.cost import n_parameters
from predictors.training.journal import Row, draw_curve, write_log, write_weights
from predictors.training.losses import Outcome
from predictors.training.recipe import Recipe
from predictors.training.stream import Examples, Position, Samples, batches

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Pace:
    """How a training runs; but for the last bits, nothing of it changes the weights.

    Attributes:
        device: a torch device.
        precision: of the network's layers, ``fp32`` or ``bf16``; weights and losses are fp32.
        n_workers: processes that make samples.
        log_every: steps between two lines of the log.
        save_every: steps between two checkpoints, each with a look at the held-out images; a
            multiple of `log_every`.
        n_held_out: how many of the held-out images are looked at.
    """

    device: str = "cpu"
    precision: str = "fp32"
    n_workers: int = 0
    log_every: int = 25
    save_every: int = 200
    n_held_out: int = 100


class TrainingInterruptedError(CrowdbenchError):
    """The user interrupted the training; its checkpoint is written (exit code 130)."""

    exit_code = 130


@dataclass
class _State:
    """How far a training is, besides network and optimiser."""

    step: int = 0
    position: Position = field(default_factory=Position)
    losses: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def train(
    recipe: Recipe,
    network: nn.Module,
    source: Examples,
    held_out: Examples,
    folder: Path,
    pace: Pace,
    say: Callable[[str], object],
    *,
    resume: bool = False,
) -> FileDigest:
    """Train a network and write checkpoints, log, curve and weights into a folder.

    Args:
        recipe: what decides the result.
        network: with its first weights; it is trained in place.
        source: the images to learn from.
        held_out: the images to look at meanwhile.
        folder: made when missing.
        pace: how it runs.
        say: called with lines for the user.
        resume: whether to go on from the folder's checkpoint; without one it begins.

    Returns:
        The digest of the weights.

    Raises:
        UsageError: if the folder holds a training and `resume` is off, or that of another recipe.
        TrainingInterruptedError: on Ctrl-C, after the step and a checkpoint.
        CrowdbenchError: if the loss is not finite any more; the last checkpoint stays.
    """
    return _Training(recipe, network, source, held_out, folder, pace, say).run(resume)


class _Training:
    """A training under way."""

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        source: Examples,
        held_out: Examples,
        folder: Path,
        pace: Pace,
        say: Callable[[str], object],
    ) -> None:
        self._recipe = recipe
        self._source = source
        self._held_out_source = held_out
        self._folder = folder
        self._pace = pace
        self._say = say
        self._n_images = round(recipe.epochs * len(source))
        self._network = network.to(pace.device).train()
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate)
        self._objective = recipe.objective
        self._state = _State()
        self._held_out: list[Samples] | None = None
        # Of the time since the last line, and since the start.
        self._n_samples = 0
        self._since = self._started = time.perf_counter()
        self._first = 0

    def run(self, resume: bool) -> FileDigest:
        """Train to the end."""
        self._begin(resume)
        state, pace = self._state, self._pace
        # What the network draws is seeded step by step; the caller's own stream stays as it is.
        with _interrupts() as interrupted, torch.random.fork_rng(devices=[]):
            for samples, position in self._batches():
                found = self._step(samples)
                state.step += 1
                state.position = position
                saves = state.step % pace.save_every == 0
                if state.step % pace.log_every == 0:
                    self._log(found)
                if saves:
                    self._save(looks=True)
                if interrupted():
                    if state.losses:
                        # It may have been the last step, after which there is no batch to log.
                        self._log(found)
                    self._save()
                    raise TrainingInterruptedError(
                        f"interrupted after step {state.step:,}; the same command with --resume "
                        "goes on"
                    )
            if state.losses:
                self._log(found)
        if not state.rows:
            raise InputError(
                f"{self._recipe.data}: {self._n_images:,} images don't fill a batch of "
                f"{self._recipe.batch_words}"
            )
        self._save(looks=state.rows[-1].held_out_loss is None)
        facts = {"parameters": n_parameters(self._network), "learned_from": self._source.identity}
        return write_weights(self._folder, self._network, self._recipe, state.rows[-1], facts)

    def _begin(self, resume: bool) -> None:
        """Say what begins, or go on from the checkpoint."""
        path, recipe = self._folder / CHECKPOINT, self._recipe
        if path.exists():
            if not resume:
                raise UsageError(
                    f"{self._folder} holds a training already: --resume goes on with it, another "
                    "--output begins anew"
                )
            self._load(path)
        self._first = self._state.position.image
        verb = f"goes on after step {self._state.step:,}" if self._state.step else "begins"
        self._say(
            f"{recipe.name} {verb}: {n_parameters(self._network):,} parameters, "
            f"{len(self._source):,} images x {recipe.epochs:g} epochs in batches of "
            f"{recipe.batch_words}, on {self._pace.device}"
        )

    def _batches(self) -> Iterator[tuple[Samples, Position]]:
        return batches(
            self._source,
            self._recipe.sampling,
            self._recipe.batch_size,
            self._n_images,
            start=self._state.position,
            n_workers=self._pace.n_workers,
        )

    def _step(self, samples: Samples) -> Tensor:
        """Make one step; return which joints were found before it."""
        state = self._state
        epoch = state.position.image / len(self._source)
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.rate(epoch, state.step)
        self._optimiser.zero_grad()
        # Dropout depends on the step alone, so that a resumed training goes on as it would have.
        torch.manual_seed((self._recipe.seed << 32) + state.step)
        with self._precision():
            loss, found, _ = self._outcome(samples)
        value = loss.item()
        if not math.isfinite(value):
            raise CrowdbenchError(
                f"the loss is {value} at step {state.step + 1:,}: the training has failed; begin "
                "anew with a lower learning rate"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        state.losses.append(value)
        self._n_samples += samples.n
        return found

    def _precision(self) -> torch.autocast:
        """Return the context in which the network runs."""
        kind = torch.device(self._pace.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self._pace.precision == "bf16")

    def _outcome(self, samples: Samples) -> Outcome:
        """Return what a batch gives."""
        samples = samples.on(self._pace.device)
        return self._objective(self._network, self._recipe.inputs(samples), samples)

    def _log(self, found: Tensor) -> None:
        """Add a line to the log and print it."""
        state, now = self._state, time.perf_counter()
        row = Row(
            step=state.step,
            images=state.position.image,
            epoch=state.position.image / len(self._source),
            learning_rate=self._optimiser.param_groups[0]["lr"],
            loss=sum(state.losses) / len(state.losses),
            accuracy=float(found.float().mean()),
            held_out_loss=None,
            held_out_accuracy=None,
            samples_per_second=self._n_samples / (now - self._since),
        )
        state.rows.append(row)
        state.losses = []
        self._n_samples, self._since = 0, now
        self._say(
            f"step {row.step:,}  epoch {row.epoch:.3f}  loss {row.loss:.3g}  accuracy "
            f"{row.accuracy:.3f}  {row.samples_per_second:.0f} {self._recipe.counted}/s  "
            f"{self._time_left(now)} left"
        )

    def _look(self) -> tuple[float, float, dict[str, float]]:
        """Return loss, accuracy and other figures of the held-out images; nothing is drawn."""
        if self._held_out is None:
            recipe, source = self._recipe, self._held_out_source
            n_images = min(self._pace.n_held_out, len(source))
            plain = recipe.sampling.plain
            made = batches(source, plain, recipe.batch_size, n_images, in_order=True)
            self._held_out = [samples for samples, _ in made]
        n = n_joints = n_found = 0
        total = 0.0
        parts: dict[str, list[Tensor]] = {}
        self._network.eval()
        with torch.no_grad():
            for samples in self._held_out:
                loss, found, figures = self._outcome(samples)
                n += samples.n
                total += loss.item() * samples.n
                n_joints += len(found)
                n_found += int(found.sum())
                for name, values in figures.items():
                    parts.setdefault(name, []).append(values)
        self._network.train()
        share = n_found / n_joints if n_joints else math.nan
        means = {name: float(torch.cat(values).mean()) for name, values in parts.items()}
        return total / n if n else math.nan, share, means

    def _time_left(self, now: float) -> str:
        done = self._state.position.image - self._first
        left = self._n_images - self._state.position.image
        minutes, seconds = divmod(round((now - self._started) / max(done, 1) * left), 60)
        return f"{minutes}:{seconds:02}"

    def _save(self, *, looks: bool = False) -> None:
        """Write the checkpoint and the log; with a look at the held-out images also the curve."""
        state = self._state
        if looks:
            began = time.perf_counter()
            loss, share, figures = self._look()
            state.rows[-1] = state.rows[-1]._replace(held_out_loss=loss, held_out_accuracy=share)
            told = [f"  {name} {value:.1f}" for name, value in figures.items()]
            self._say(f"held out: loss {loss:.3g}  accuracy {share:.3f}{''.join(told)}")
            # The speed is that of training.
            self._since += time.perf_counter() - began
        content = {
            "recipe": repr(self._recipe),
            "learned_from": self._source.identity,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": state.step,
            "position": tuple(state.position),
            "losses": state.losses,
            "rows": [tuple(row) for row in state.rows],
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(self._folder / CHECKPOINT, lambda file: file.write(buffer.getvalue()))
        write_log(self._folder, state.rows)
        if looks:
            draw_curve(self._folder, state.rows, self._recipe)

    def _load(self, path: Path) -> None:
        content = _read_checkpoint(path)
        if content["recipe"] != repr(self._recipe):
            raise UsageError(
                f"{path} is of another training ({content['recipe'][:60]}...): give its recipe and "
                "options, or another --output"
            )
        if content["learned_from"] != self._source.identity:
            raise UsageError(
                f"{path} is of a training on {content['learned_from']}; now there would be "
                f"{self._source.identity}: give the same data, or another --output"
            )
        self._network.load_state_dict(content["network"])
        self._optimiser.load_state_dict(content["optimiser"])
        self._state = _State(
            content["step"],
            Position(*content["position"]),
            content["losses"],
            [Row(*row) for row in content["rows"]],
        )


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(io.BytesIO(read_bytes(path)), map_location="cpu", weights_only=True)
    # A damaged file may end in any exception.
    except Exception as error:
        raise InputError(f"{path} is no checkpoint or damaged ({type(error).__name__})") from None
    found: dict[str, Any] = content
    return found


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C a flag, which the function that is yielded tells; the next one acts."""
    asked = False

    def note(_signal: int, _frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
