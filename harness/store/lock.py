"""One process at a time writes into a run folder; the lock ends with the process that holds it."""

import contextlib
import os
import platform
import time
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks.errors import UserError

NAME = ".lock"


def hold(folder: Path) -> FileLock:
    """Return the lock of a folder, held; UserError, naming the other process, where another one has it."""
    path = folder / NAME
    lock = FileLock(path, is_singleton=True)  # the process that holds it may open the folder again
    try:
        lock.acquire(blocking=False)
    except Timeout:
        owner = ""
        with contextlib.suppress(OSError, ValueError):
            owner = path.read_text("utf-8")[:200].strip()
        raise UserError(
            f"{folder} is in use by another run ({owner or 'process unknown'}): wait for its end, or give another --out"
        ) from None
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    path.write_text(f"process {os.getpid()} on {platform.node()} since {since}\n", "utf-8")
    return lock


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; only under the folder's lock."""
    for path in folder.rglob("*"):
        if path.suffix in (".part", ".tmp") and path.is_file():
            path.unlink(missing_ok=True)
