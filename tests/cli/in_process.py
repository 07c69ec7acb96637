"""The command in the tests' own process: the same code and exit code, without starting Python."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from crowdbench.cli import main
from tests.command import Crowdbench


def run_in(folder: Path) -> Crowdbench:
    """Return what runs ``crowdbench ARGUMENTS`` in a folder and returns what came of it."""

    def run(
        *arguments: str | Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        words = ["crowdbench", *map(str, arguments)]
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(folder),
            _as_if_called(words, env or {}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
        assert isinstance(code, int)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    return run


@contextlib.contextmanager
def _as_if_called(words: list[str], env: dict[str, str]) -> Iterator[None]:
    arguments, environment = sys.argv, dict(os.environ)
    for name in ("CROWDBENCH_DATA", "CROWDBENCH_DEBUG", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        os.environ.pop(name, None)
    os.environ.update({"COLUMNS": "200", **env})
    sys.argv = words
    try:
        yield
    finally:
        sys.argv = arguments
        os.environ.clear()
        os.environ.update(environment)
