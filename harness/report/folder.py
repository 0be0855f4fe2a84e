"""MISSING DOC"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.errors import UserError


def checked(folder: Path, kind: str) -> Path:
    """Return the folder; UserError where it holds anything but an earlier result of this kind."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: give another --out")
    if folder.is_dir() and {path.name for path in folder.iterdir()} - {"supernets"}:
        try:
            earlier = json.loads((folder / "manifest.json").read_text()).get("kind") == kind
        except (OSError, ValueError, AttributeError):
            earlier = False
        if not earlier:
            raise UserError(f"{folder} holds something else than earlier {kind}: give another --out")
    return folder
