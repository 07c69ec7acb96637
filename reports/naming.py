"""Names: of files and places in a page, made from those of a record; of runs, from their paths."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from crowdbench.errors import UsageError
from crowdbench.markup import one_line


def file_name(name: str) -> str:
    """Return a name that is safe in paths, addresses and ids, different for different names.

    >>> file_name("detector-confidence"), file_name("../x")
    ('detector-confidence', 'x-d6b96a97')
    """
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    if safe == name:
        return safe
    return f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that tell them apart.

    Raises:
        UsageError: if there are fewer than two, or two are the same folder.

    >>> run_names([Path("/x/mipnet@demo"), Path("/x/old/i2r@demo"), Path("/x/new/i2r@demo")])
    ['mipnet@demo', 'old/i2r@demo', 'new/i2r@demo']
    """
    if len(paths) < 2:
        given = f"only {paths[0]} is given" if paths else "none is given"
        raise UsageError(f"compare takes two or more run folders, {given}")
    folders = [path.resolve() for path in paths]
    for i, folder in enumerate(folders):
        if folder in folders[:i]:
            raise UsageError(f"{paths[i]} is given twice: give each run folder once")
    # Not resolved: a link has a name of its own.
    full = [Path(os.path.abspath(path)) for path in paths]
    names = []
    for path in full:
        others = [other.parts for other in full if other != path]
        n = 1
        while any(other[-n:] == path.parts[-n:] for other in others):
            n += 1
        names.append(one_line(str(Path(*path.parts[-n:]))))
    # Characters that can't be shown may be all that two names differ in.
    return [f"{n} (run {i})" if names.count(n) > 1 else n for i, n in enumerate(names, 1)]
