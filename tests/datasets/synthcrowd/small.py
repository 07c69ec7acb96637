"""SynthCrowd cut to a few images."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from crowdbench.datasets import manifest
from crowdbench.datasets.manifest import Counts, Manifest, load_manifests
from crowdbench.datasets.synthcrowd import making


def cut(monkeypatch: pytest.MonkeyPatch, n_images: int) -> Manifest:
    """Let every split, 2D and 3D, have so few images, in chunks of two; return the 2D facts."""
    known = load_manifests()
    short = {}
    for name in ("synthcrowd", "synthcrowd-3d"):
        facts = known[name]
        splits = tuple(replace(s, counts=Counts(n_images), sha256=None) for s in facts.splits)
        short[name] = replace(facts, splits=splits)
    monkeypatch.setattr(manifest, "_manifests", lambda: known | short)
    monkeypatch.setattr(making, "_CHUNK", 2)
    return short["synthcrowd"]
