"""Names from a record as names of files and of places in a page."""

from __future__ import annotations

import hashlib
import re


def file_name(name: str) -> str:
    """Return a name that is safe in paths, addresses and ids, different for different names.

    >>> file_name("detector-confidence"), file_name("../x")
    ('detector-confidence', 'x-d6b96a97')
    """
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    if safe == name:
        return safe
    return f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")
