"""Finding predictors: by entry point, or in a file of one's own.

Entry points of the group ``crowdbench.predictors`` are listed without importing anything;
crowdbench's own predictors are registered exactly as anybody else's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from crowdbench.errors import InputError, MissingError, UnknownNameError, UsageError
from crowdbench.predictor import Predictor

ENTRY_POINTS = "crowdbench.predictors"
# path/to/file.py:Class; a Windows drive's colon is not the one that counts.
_FILE = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")


def predictor_names() -> list[str]:
    """Return the names of all registered predictors, sorted; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})


def load_predictor(name: str) -> type[Predictor]:
    """Return the class registered under `name`, or the one that ``path/to/file.py:Class`` names.

    Raises:
        UnknownNameError: if there is none; suggests the nearest.
        UsageError: if two packages claim the name, or it stands for something that is no predictor.
        MissingError: if its module or file can't be found or imported.
        InputError: if the file fails.
    """
    if place := _FILE.fullmatch(name):
        return _checked(_from_file(Path(place["path"]), place["name"]), name)
    found: list[EntryPoint] = [e for e in entry_points(group=ENTRY_POINTS) if e.name == name]
    if not found:
        hint = "(or FILE.py:CLASS)" if name.endswith(".py") or "/" in name else ""
        raise UnknownNameError("predictor", name, predictor_names(), hint)
    targets = sorted({entry.value for entry in found})
    if len(targets) > 1:
        raise UsageError(
            f"predictor {name!r} is registered by {' and '.join(targets)}: uninstall one of them"
        )
    try:
        loaded = found[0].load()
    except (ImportError, AttributeError) as error:
        raise MissingError(
            f"predictor {name!r} can't be loaded from {targets[0]}: {error}"
        ) from None
    return _checked(loaded, name)


def _from_file(path: Path, name: str) -> Any:
    if not path.is_file():
        raise MissingError(f"predictor {path}:{name}: there is no file {path}: check the path")
    module_name = f"crowdbench_file_{hashlib.sha256(bytes(path.resolve())).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickle look their module up by name.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the file is the user's: anything can happen
        del sys.modules[module_name]
        raise InputError(
            f"{path} can't be imported: {type(error).__name__}: {error} (--debug shows where)"
        ) from error
    if not hasattr(module, name):
        known = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Predictor) and value is not Predictor
        ]
        raise UnknownNameError(f"class of {path}", name, known)
    return getattr(module, name)


def _checked(found: Any, name: str) -> type[Predictor]:
    if not isinstance(found, type) or not issubclass(found, Predictor):
        raise UsageError(
            f"predictor {name!r} is {found!r}, expected a subclass of "
            "crowdbench.predictor.Predictor (see docs/predictors.md)"
        )
    if found.__abstractmethods__ or not hasattr(found, "card"):
        lacks = [*sorted(found.__abstractmethods__), *([] if hasattr(found, "card") else ["card"])]
        raise UsageError(f"predictor {name!r} lacks {', '.join(lacks)} (see docs/predictors.md)")
    return found
