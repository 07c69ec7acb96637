"""SynthCrowd cut to a few images."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from crowdbench.datasets import manifest
from crowdbench.datasets.manifest import Counts, Manifest, load_manifests
from crowdbench.datasets.synthcrowd import making


def cut(monkeypatch: pytest.MonkeyPatch, n_images: int) -> Manifest:
    """Let every split have so few images, in chunks of two; return the facts."""
    known = load_manifests()
    facts = known["synthcrowd"]
    splits = tuple(replace(s, counts=Counts(n_images), sha256=None) for s in facts.splits)
    short = replace(facts, splits=splits)
    monkeypatch.setattr(manifest, "_manifests", lambda: known | {"synthcrowd": short})
    monkeypatch.setattr(making, "_CHUNK", 2)
    return short
