"""The exceptions a user can meet, and the exit code each one stands for.

Every message says what was found, where (file, field, image id), what was expected and what to do.
The command line prints it in one or two lines; ``--debug`` adds the traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_MISSING = 3


class CrowdbenchError(Exception):
    """Parent of every error that crowdbench raises on purpose."""

    exit_code = EXIT_WRONG_USE


class UsageError(CrowdbenchError):
    """The command or call does not make sense as it stands (exit code 2)."""


class InputError(CrowdbenchError):
    """A file was read but its content is wrong (exit code 2)."""


class MissingError(CrowdbenchError):
    """Something needed is not there: a file, a package, weights (exit code 3)."""

    exit_code = EXIT_MISSING


class WriteError(CrowdbenchError):
    """The machine does not let us write: full disk, no permission (exit code 3)."""

    exit_code = EXIT_MISSING


class UnknownNameError(UsageError):
    """A name that nothing is registered under; the message suggests the nearest ones.

    >>> print(UnknownNameError("split", "crowdpose-vla", ["crowdpose-val", "mupots"]))
    unknown split 'crowdpose-vla'; did you mean crowdpose-val?
    """

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        if near:
            advice = f"did you mean {', '.join(near)}?"
        elif known:
            advice = f"known: {', '.join(known)}"
        else:
            advice = "none is known"
        super().__init__(f"unknown {what} {name!r}; {advice}{' ' + hint if hint else ''}")
