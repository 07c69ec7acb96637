"""Where the rules of the gate come from: the command line, a YAML file, or pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from crowdbench.errors import InputError, UsageError
from crowdbench.files import read_bytes, read_yaml
from crowdbench.gate.rules import Rule, parse_rule

Undecided = Literal["pass", "fail"]
_PYPROJECT = Path("pyproject.toml")
_TABLE = "tool.crowdbench.gate"


class Settings(NamedTuple):
    """What the gate is asked.

    Attributes:
        rules: one or more, in the order they were given.
        undecided: what a rule counts as that the images can't decide.
    """

    rules: tuple[Rule, ...]
    undecided: Undecided


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of rules, or a table of pyproject.toml; ``AP: drop <= 1`` is a mapping in YAML."""

    rules: tuple[str | dict[str, str], ...] = ()
    undecided: Undecided = "pass"


def gather_settings(
    rules: Sequence[str], file: Path | None, undecided: str | None, folder: Path
) -> Settings:
    """Return what the gate is asked.

    Args:
        rules: given one by one; those of the file come after them.
        file: YAML, or None.
        undecided: goes before the file's; None if not given.
        folder: whose pyproject.toml has the rules if there are none otherwise.

    Raises:
        UsageError: if a rule is none, or if there is no rule.
        InputError: if a file is not as it should be.
        MissingError: if the file is not there.
    """
    if undecided not in (None, "pass", "fail"):
        raise UsageError(f"--undecided is {undecided!r}, expected pass or fail")
    asked = [parse_rule(text, f"--rule {i}") for i, text in enumerate(rules, 1)]
    settings = _File()
    if file is not None:
        settings = _read_yaml(file)
        asked += _rules_of(settings, str(file))
    elif not asked:
        settings = _read_pyproject(folder / _PYPROJECT)
        asked += _rules_of(settings, f"{_PYPROJECT} [{_TABLE}]")
    if not asked:
        where = f"{file} has none" if file else f"there are none in {_PYPROJECT} [{_TABLE}] either"
        raise UsageError(
            f"no rules to judge by: {where}. Give one with --rule 'AP: drop <= 0.5' or a YAML file "
            "with --rules (docs/gate.md)"
        )
    return Settings(tuple(asked), undecided or settings.undecided)  # type: ignore[arg-type]


def _rules_of(settings: _File, name: str) -> list[Rule]:
    found = []
    for i, entry in enumerate(settings.rules):
        where = f"{name}: rules[{i}]"
        if isinstance(entry, str):
            found.append(parse_rule(entry, where))
        elif len(entry) == 1:
            found.append(parse_rule(": ".join(*entry.items()), where))
        else:
            raise InputError(f"{where} has {len(entry)} rules, expected one: put '- ' before each")
    return found


def _read_yaml(path: Path) -> _File:
    try:
        return read_yaml(path, _File)
    except InputError as error:
        # `>` begins a text of several lines in YAML.
        raise InputError(f"{error} (a rule with >= needs quotes: - 'AP: >= 0.68')") from None


def _read_pyproject(path: Path) -> _File:
    if not path.is_file():
        return _File()
    try:
        found = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    for name in _TABLE.split("."):
        found = found.get(name, {}) if isinstance(found, dict) else {}
    try:
        return msgspec.convert(found, _File)
    except msgspec.ValidationError as error:
        words = str(error).replace("`", "").replace("$", _TABLE)
        raise InputError(f"{path}: {words}") from None
