"""The baseline: a small file to commit, with all that a later run is compared with.

It holds the numbers of a run, what they were made from, and what every image adds to them. The same
run gives the same bytes.
"""

from __future__ import annotations

import io
import lzma
import zipfile
from pathlib import Path
from typing import NamedTuple

import msgspec

from crowdbench.errors import InputError, MissingError, UsageError
from crowdbench.files import MALFORMED, FileDigest, decode_json, read_bytes, write_json
from crowdbench.metrics.sample import Key, Sample, read_sample, sample_bytes, sample_from
from crowdbench.protocol import Protocol
from crowdbench.record import Run, RunFolder
from crowdbench.results import Bootstrap, Breakdown, Metric, Metrics

SCHEMA_VERSION = 1
# More than any split needs: 100,000 images with all conditions are a tenth of it.
_LARGEST = 1 << 30
# The same bytes from the same run everywhere.
_PRESET = 6


class ConditionSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values under a condition.

    Attributes:
        rule: what its rows choose by, in words and with every number.
        rows: by label of the row, the values by metric.
    """

    rule: str
    rows: dict[str, Breakdown]


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a scored run.

    Attributes:
        predictor: its name.
        split: its name.
        protocol: everything that decides whether two numbers may be compared.
        signature: the same in a line.
        inputs: the files it was made from, by role; ``annotations`` are always among them.
        options: what the predictor was asked for.
        metrics: the numbers on the whole split, by name.
        conditions: the values under conditions, by name; those without rows are left out.
        bootstrap: how the intervals were made; null if there are none.
    """

    predictor: str
    split: str
    protocol: Protocol
    signature: str
    inputs: dict[str, FileDigest]
    options: dict[str, str]
    metrics: dict[str, Metric]
    conditions: dict[str, ConditionSummary]
    bootstrap: Bootstrap | None

    def has(self, key: Key) -> bool:
        """Return whether the number was evaluated, be its value null or not."""
        return key.metric in self._values(key)

    def value(self, key: Key) -> float | None:
        """Return the number; None if it is null or was not evaluated."""
        return self._values(key).get(key.metric)

    def _values(self, key: Key) -> Breakdown:
        if key.condition is None or key.row is None:
            return {name: metric.value for name, metric in self.metrics.items()}
        return self.rows(key.condition).get(key.row, {})

    def rows(self, condition: str) -> dict[str, Breakdown]:
        """Return the rows of a condition by their labels; none if it was not evaluated."""
        found = self.conditions.get(condition)
        return {} if found is None else found.rows


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of a baseline file.

    Attributes:
        schema_version: of the file.
        run: what is known of the run.
        matches: what every image adds to the metrics: ``matches.npz``, compressed (xz), in base64.
    """

    schema_version: int
    run: Summary
    matches: bytes


class Scored(NamedTuple):
    """A scored run, from its folder or from a baseline file.

    Attributes:
        name: where it is.
        summary: what is known of it.
        sample: what every image adds to its metrics.
    """

    name: str
    summary: Summary
    sample: Sample


def read_run(path: Path) -> Scored:
    """Return a scored run from its folder.

    Raises:
        UsageError: if the path is there and is no run folder.
        MissingError: if it is not there, is not scored or has no matches.
        InputError: if a file of it is not what this version writes.
    """
    folder = RunFolder(path)
    if path.exists() and not folder.has(Run):
        raise UsageError(f"{path} is no run folder (`crowdbench ls runs` lists those there are)")
    run, metrics = folder.read_scored()
    return Scored(str(path), _summary(run, metrics), read_sample(folder.matches))


def _summary(run: Run, metrics: Metrics) -> Summary:
    return Summary(
        predictor=metrics.predictor,
        split=metrics.split,
        protocol=metrics.protocol,
        signature=metrics.signature,
        inputs={"annotations": run.split.annotations, **run.predictor.inputs},
        options=run.predictor.options,
        metrics={
            name: Metric(
                metric.value,
                metric.n,
                metric.higher_is_better,
                metric.reason,
                metric.unit,
                interval=metric.interval,
            )
            for name, metric in metrics.metrics.items()
        },
        conditions={
            name: ConditionSummary(
                metrics.condition_facts[name].rule,
                {
                    row.label: {key: metric.value for key, metric in row.metrics.items()}
                    for row in rows
                },
            )
            for name, rows in metrics.conditions.items()
        },
        bootstrap=metrics.bootstrap,
    )


def read_scored(path: Path) -> Scored:
    """Return a scored run from its folder or from a baseline file.

    Raises:
        MissingError: if there is neither, or if the run is not scored or has no matches.
        UsageError: if it is a folder and no run's.
        InputError: if a file is not what this version writes.
    """
    if path.is_dir():
        return read_run(path)
    baseline = read_baseline(path)
    return Scored(str(path), baseline.run, _sample(baseline, path))


def read_baseline(path: Path) -> Baseline:
    """Return the content of a baseline file, but for what every image adds.

    Raises:
        MissingError: if it is not there.
        InputError: if it is not what this version writes.
    """
    if not path.exists():
        raise MissingError(f"no baseline at {path} (`crowdbench baseline save` makes one)")
    content = read_bytes(path, "baseline")
    if not content.strip():
        raise InputError(f"{path} is empty, expected a baseline (`crowdbench baseline save`)")
    try:
        version = msgspec.json.decode(content, type=_Version).schema_version
    except MALFORMED:
        version = SCHEMA_VERSION  # the decoder below says what is wrong
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {version}, this crowdbench reads {SCHEMA_VERSION}: save "
            "the baseline again"
        )
    return decode_json(path, content, msgspec.json.Decoder(Baseline), "baseline")


class _Version(msgspec.Struct):
    schema_version: int | None = SCHEMA_VERSION


def _sample(baseline: Baseline, path: Path) -> Sample:
    """Return what every image adds; nobody's file makes this use more than `_LARGEST` bytes."""
    name = f"{path}: matches"
    try:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        content = decompressor.decompress(baseline.matches, _LARGEST + 1)
        if not decompressor.eof:
            raise InputError(f"{name} are cut short or too large: save the baseline again")
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            if sum(entry.file_size for entry in file.infolist()) > _LARGEST:
                raise InputError(f"{name} are too large: save the baseline again")
        return sample_from(content, name)
    except (lzma.LZMAError, zipfile.BadZipFile, MemoryError) as error:
        raise InputError(f"{name} are damaged ({error}): save the baseline again") from None


def make_baseline(scored: Scored) -> Baseline:
    """Return the content of the baseline file of a scored run."""
    matches = lzma.compress(sample_bytes(scored.sample), lzma.FORMAT_XZ, preset=_PRESET)
    return Baseline(SCHEMA_VERSION, scored.summary, matches)


def save_baseline(run: Path, path: Path) -> Baseline:
    """Write the baseline file of a run and return its content.

    Raises:
        UsageError: if the file is there already, or if `run` is no run folder.
        MissingError: if the run is not there, not scored, or has no matches.
    """
    if path.exists():
        raise UsageError(
            f"{path} is there already: `crowdbench baseline update {run} {path}` says what changes "
            "and replaces it"
        )
    baseline = make_baseline(read_run(run))
    write_json(path, baseline)
    return baseline
