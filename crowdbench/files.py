"""Reading and writing files: typed, with errors that name the place, and never half-written."""

from __future__ import annotations

import codecs
import gc
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import msgspec

from crowdbench.errors import InputError, MissingError, WriteError

T = TypeVar("T")
# What an id may be: a number that an int64 array holds.
Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# Ending of files that are being written; a killed process leaves them behind.
TEMPORARY = ".unfinished"
# What msgspec raises for bytes that are no JSON of the expected type.
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class FileDigest(msgspec.Struct, frozen=True):
    """What identifies a file's content, wherever it lies.

    Attributes:
        name: the file's name without its folder.
        sha256: hex digest of its bytes.
        size: bytes.
    """

    name: str
    sha256: str
    size: int


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector from running while many objects without cycles are made.

    Each new list lets it look at all others once more: decoding 90,000 poses takes twice as long
    with it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_bytes(path: Path, what: str = "file") -> bytes:
    """Return the file's bytes.

    Args:
        path: the file.
        what: what it is, for the message, e.g. ``predictions``.

    Raises:
        MissingError: if there is no such file.
        InputError: if it is there and can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingError(f"{what} not found at {path}: check the path") from None
    except IsADirectoryError:
        raise InputError(f"{what}: {path} is a folder, expected a file") from None
    except OSError as error:
        raise InputError(f"{what}: {path} can't be read: {error.strerror}") from None


def digest_of(path: Path, content: bytes) -> FileDigest:
    """Return the digest of a file whose content has been read."""
    return FileDigest(path.name, hashlib.sha256(content).hexdigest(), len(content))


def digest_of_file(path: Path) -> FileDigest:
    """Return the digest of a file without holding its content.

    Raises:
        InputError: if it can't be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return FileDigest(path.name, digest.hexdigest(), file.tell())
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None


def digest_of_several(name: str, files: Mapping[str, FileDigest]) -> FileDigest:
    """Return the digest of files that belong together.

    Args:
        name: what to call them, e.g. the name of their folder.
        files: their digests by their names relative to it.

    Its size is the sum of theirs. Its sha256 is that of what ``sha256sum NAME...`` prints for the
    names in the order of their characters.
    """
    lines = (f"{files[file].sha256}  {file}\n" for file in sorted(files))
    digest = hashlib.sha256("".join(lines).encode())
    return FileDigest(name, digest.hexdigest(), sum(file.size for file in files.values()))


def decode_json(path: Path, content: bytes, decoder: msgspec.json.Decoder[T], root: str) -> T:
    """Return the typed content of a JSON file.

    Args:
        path: where it came from, for messages.
        content: its bytes.
        decoder: of the expected type.
        root: what to call the outermost value in messages, e.g. ``predictions``.

    Raises:
        InputError: naming the place, what was found and what was expected.
    """
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {_validation_words(str(error), root)}") from None
    except MALFORMED as error:
        raise InputError(f"{path}: {_malformed_words(content, error, root)}") from None


def _validation_words(message: str, root: str) -> str:
    """Turn msgspec's "Expected `float`, got `str` - at `$[3].x`" into words with the path first."""
    text, _, place = message.partition(" - at `")
    place = place.rstrip("`").removeprefix("$") or ""
    text = text.replace("`", "")
    missing = re.search(r"Object missing required field (\w+)", text)
    if missing:
        return f"{root}{place}.{missing[1]} is missing"
    return f"{root}{place}: {text[:1].lower()}{text[1:]}"


def _malformed_words(content: bytes, error: Exception, root: str) -> str:
    """Say what is wrong with bytes that are no strict JSON: empty, cut short, NaN, or broken."""
    if not content.strip():
        return "the file is empty, expected JSON"
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "the file starts with a byte-order mark: save it as plain UTF-8"
    try:
        place = _first_non_finite(json.loads(content), root)
    except ValueError as broken:
        if isinstance(broken, json.JSONDecodeError) and broken.pos >= len(content.rstrip()) - 1:
            return f"the JSON ends too early, after {len(content):,} bytes: truncated file?"
        return f"not valid JSON: {broken}"
    except RecursionError:
        return "not valid JSON: nested too deeply"
    if place:
        return f"{place} is not a finite number (JSON has no NaN or infinity)"
    return f"not valid JSON: {error}"


def _first_non_finite(value: Any, place: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    if isinstance(value, dict):
        items = ((f"{place}.{key}", item) for key, item in value.items())
    elif isinstance(value, list):
        items = ((f"{place}[{i}]", item) for i, item in enumerate(value))
    else:
        return None
    return next((found for at, item in items if (found := _first_non_finite(item, at))), None)


def read_yaml(path: Path, kind: type[T]) -> T:
    """Return the content of a YAML file as an instance of the msgspec type `kind`.

    Raises:
        MissingError: if there is no such file.
        InputError: if it is no YAML or not of that type; the message names the field.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(read_bytes(path), Loader=loader)
        return msgspec.convert(content, kind)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {_validation_words(str(error), '')}") from None


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Create or replace `path` whole or not at all.

    Args:
        path: the file; its folder is made when missing.
        write: called with a binary file to write the content into.

    Raises:
        WriteError: if the disk is full or the place can't be written; nothing is left behind.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(TEMPORARY, f".{path.name}.", path.parent)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    # The only way to read the mask is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON: same value, same bytes. Floats keep full precision."""
    content = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    write_atomically(path, lambda file: file.write(content))
