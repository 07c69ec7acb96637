"""Progress: a line now and then where there is no terminal, a bar where there is one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from crowdbench.running import progress
from crowdbench.running.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_long_work_without_a_terminal_says_how_far_it_is(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(quiet=False) as shown:
        shown.start("mipnet", 1000, 400)
        shown.advance(10)
        clock[0] += 40
        shown.advance(90)
        clock[0] += 10
        shown.advance(100)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "mipnet: goes on, 400 of 1,000 images are done",
        "mipnet: 500 of 1,000 images, 2.5 images/s, 3.3 min left",
    ]


def test_short_or_quiet_work_says_nothing(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(quiet=False) as shown:
        shown.start("mipnet", 10, 0)
        shown.advance(10)
        shown.start("mipnet", 10, 10)
    with Progress(quiet=True) as shown:
        shown.start("mipnet", 10, 5)
        clock[0] += 100
        shown.advance(5)
    assert capsys.readouterr() == ("", "")


def on_a_terminal(code: str, folder: Path) -> str:
    """Return what a Python program shows on a terminal."""
    mine, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        parts = []
        try:
            while part := os.read(mine, 4096):
                parts.append(part)
        except OSError:  # the other end is closed
            pass
    os.close(mine)
    assert process.returncode == 0
    return b"".join(parts).decode()


def test_a_terminal_gets_a_bar_with_rate_and_time_left(tmp_path: Path) -> None:
    code = (
        "import time; from crowdbench.running.progress import Progress\n"
        "with Progress(quiet=False) as shown:\n"
        "    shown.start('a [bold] name', 8, 2)\n"
        "    for _ in range(3): time.sleep(0.2); shown.advance(2)\n"
    )
    said = on_a_terminal(code, tmp_path)
    assert "a [bold] name" in said
    assert "8/8" in said
    assert "images/s" in said
    assert "\x1b[?25h" in said  # the cursor is there again


def test_work_without_a_known_end_is_shown_on_a_terminal_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "from crowdbench.running.progress import Progress\n"
        "with Progress(quiet={}).working('1,000 resamples'): pass\n"
    )
    said = on_a_terminal(code.format(False), tmp_path)
    assert "1,000 resamples" in said
    assert said.endswith("\x1b[2K")  # and wiped out again
    assert on_a_terminal(code.format(True), tmp_path) == ""
    with Progress(quiet=False).working("1,000 resamples"):
        pass
    assert capsys.readouterr() == ("", "")
