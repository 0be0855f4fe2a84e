"""Users' own proxies: a Python file, read once in each process, that registers what it decorates."""

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from benchmarks.errors import UserError
from harness.probe.precision import arithmetic
from harness.proxies.global_state import unchanged
from harness.proxies.registry import Proxy, collecting, registry


@dataclass(frozen=True)
class Reference:
    """How another process finds a proxy: by its name, a user's own by its file, which must not have changed."""

    name: str
    path: str = ""
    source: str = ""
    """sha256 of the file."""


def load_file(path: str | Path) -> dict[str, Proxy]:
    """Return the proxies that a user's file registers by name, each with path and checksum of the file.

    The registry and the state of the process stay as they are. Raises UserError where the file cannot be run.
    """
    path = Path(path)
    code = path.read_bytes()
    home = f"harness_own_{path.stem}"  # no name that an installed module may have
    module = sys.modules[home] = ModuleType(home)  # dataclasses look their module up
    module.__file__ = str(path)
    with collecting() as added, unchanged(0), arithmetic("float32"):
        try:
            exec(compile(code, str(path), "exec"), module.__dict__)  # the user's own code, named by the user
        except (UserError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise UserError(f"'{path}' could not be run: {said(error)}") from error
    source = hashlib.sha256(code).hexdigest()
    return {name: replace(entry, source=source, path=str(path)) for name, entry in added.items()}


def said(error: BaseException) -> str:
    """Return what an exception of a user's code says: its class and the first line, at most 300 characters."""
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:
        text = f"{type(error).__name__}, which cannot be printed"
    return plain(text)


def plain(text: str) -> str:
    """Return the first line of a text, without what no file takes, at most 300 characters."""
    line = (str(text).strip().splitlines() or [""])[0].replace("\0", "")
    return line.encode("utf-8", "replace").decode()[:300]


def references(proxies: Iterable[Proxy]) -> tuple[Reference, ...]:
    """Return how another process finds these proxies."""
    return tuple(Reference(proxy.name, proxy.path, proxy.source) for proxy in proxies)


def resolve(found: Iterable[Reference]) -> list[Proxy]:
    """Return the proxies of references, each file read once. UserError where a file changed in the meantime."""
    known, files = registry(), {}
    proxies = []
    for each in found:
        if each.path and each.path not in files:
            files[each.path] = load_file(each.path) if Path(each.path).is_file() else {}
        entry = (files[each.path] if each.path else known).get(each.name)
        if entry is None or entry.source != each.source:
            raise UserError(f"'{each.path or each.name}' is not what it was when this run began: repeat the command")
        proxies.append(entry)
    return proxies
