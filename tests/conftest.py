"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the reference data, which lies beside the project; a user's clone has none.

    With ``CROWDBENCH_REQUIRE_REFERENCE=1`` its absence is a failure instead of a skip.
    """
    folder = ROOT.parent / "shared"
    if not (folder / "reference").is_dir():
        if os.environ.get("CROWDBENCH_REQUIRE_REFERENCE") == "1":
            pytest.fail("the reference data are required here and absent")
        pytest.skip("needs the reference data in ../shared, which a clone does not have")
    return folder
