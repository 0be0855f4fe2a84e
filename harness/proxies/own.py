"""Users' own proxies: a Python file, read once in each process, that registers what it decorates."""

import ast
import faulthandler
import hashlib
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from benchmarks.errors import UserError
from harness.probe.precision import arithmetic
from harness.proxies.global_state import unchanged
from harness.proxies.registry import Proxy, collecting, module_proxy, registry

PACKAGE = Path(__file__).resolve().parents[1]
READING = 300.0
"""Seconds that reading a user's file may take; after them the process ends with the place in the file."""


@dataclass(frozen=True)
class Reference:
    """How another process finds a proxy: by its name, a user's own by its file, which must not have changed."""

    name: str
    path: str = ""
    source: str = ""
    """sha256 of the file."""


def load_file(path: str | Path, wanted: str = "") -> dict[str, Proxy]:
    """Return the proxies that a user's file registers by name, each with path and checksum of the file.

    `path` may be a module, such as package.module, of the working folder too. `wanted` names a plain function
    (model, inputs, targets) that is taken without a decorator.

    The registry and the state of the process stay as they are. Raises UserError where the file cannot be run.
    """
    file, package = located(str(path))
    known = registry()
    code = file.read_bytes()
    home = f"harness_own_{file.stem}"  # no name that an installed module may have
    module = sys.modules[home] = ModuleType(home)  # dataclasses look their module up
    module.__file__, module.__package__ = str(file), package
    with collecting() as added, unchanged(0), arithmetic("float32"), _survived():
        try:
            exec(compile(code, str(file), "exec"), module.__dict__)  # the user's own code, named by the user
            if wanted and registry().get(wanted) is known.get(wanted):  # the file itself registers none
                _take(module, wanted)
        except (UserError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise UserError(f"'{path}' could not be run: {said(error)}") from error
    source = hashlib.sha256(code).hexdigest()
    return {
        name: replace(entry, source=source, path=str(path), code=parts_of(code, entry.function or name))
        for name, entry in added.items()
    }


@contextmanager
def _survived() -> Iterator[None]:
    """Let code inside the block neither end this process without a word nor keep it for ever."""
    real = os._exit, os.abort
    os._exit = os.abort = _ended
    faulthandler.dump_traceback_later(READING, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        os._exit, os.abort = real
        faulthandler.cancel_dump_traceback_later()


def _ended(status: int = 0) -> NoReturn:
    raise SystemExit(status)


def located(path: str) -> tuple[Path, str]:
    """Return the file of a path or of a module's name, and the package that relative imports in it are of."""
    if Path(path).suffix == ".py":
        return Path(path), ""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that it hides no installed package
    try:
        spec = find_spec(path)
    except (ImportError, ValueError) as error:
        raise UserError(f"no module '{path}': {error}") from None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise UserError(f"no module '{path}' in the working folder or among the installed ones")
    return Path(spec.origin), spec.parent or ""


def _take(module: ModuleType, name: str) -> None:
    """Register a plain function (model, inputs, targets) of a module; do nothing where there is none."""
    function = module.__dict__.get(name)
    if callable(function) and len(signature(function).parameters) == 3:
        module_proxy(function, name=name)


def parts_of(code: bytes, function: str) -> str:
    """Return a checksum of what a function of a file consists of: itself, the functions and classes of the file that it
    names, at any depth, and all statements. Comments and what other proxies do alone do not change it."""
    body = ast.parse(code).body
    defined = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    statements = [node for node in body if node not in defined.values()]
    used, waiting = {function}, [function]
    while waiting:
        name = waiting.pop()
        for node in ast.walk(defined[name]) if name in defined else ():
            if isinstance(node, ast.Name) and node.id in defined and node.id not in used:
                used.add(node.id)
                waiting.append(node.id)
    kept = [*statements, *(node for name, node in defined.items() if name in used)]
    return hashlib.sha256("\n".join(ast.dump(node) for node in kept).encode()).hexdigest()


SHOWN = "NAS_HARNESS_TRACEBACKS"
"""While this variable is set, here and in workers, the traceback of what a proxy raises is printed."""


@contextmanager
def tracebacks() -> Iterator[None]:
    """Print the traceback of what a user's own proxy raises inside the block, in this process and its workers."""
    os.environ[SHOWN] = "1"
    try:
        yield
    finally:
        del os.environ[SHOWN]


def _show(error: BaseException) -> None:
    """Print a traceback from the user's own file on."""
    told = traceback.TracebackException.from_exception(error)
    own = next((at for at, frame in enumerate(told.stack) if str(PACKAGE) not in frame.filename), 0)
    told.stack = traceback.StackSummary.from_list(list(told.stack)[own:])
    print("".join(told.format()), file=sys.stderr, end="", flush=True)


def said(error: BaseException) -> str:
    """Return what an exception of a user's code says: its class and the first line, at most 300 characters."""
    if SHOWN in os.environ:
        with suppress(Exception):  # a class of the user's own may refuse to be printed
            _show(error)
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:
        text = f"{type(error).__name__}, which cannot be printed"
    return plain(text)


def plain(text: str) -> str:
    """Return the first line of a text, without what no file takes, at most 300 characters."""
    line = (str(text).strip().splitlines() or [""])[0].replace("\0", "")
    return line.encode("utf-8", "replace").decode()[:300]


def load_all(path: str, names: Iterable[str]) -> dict[str, Proxy]:
    """Return the proxies of a file, those of plain functions with these names too."""
    loaded = load_file(path)
    for name in names:
        if name not in loaded:
            loaded |= load_file(path, name)
    return loaded


def references(proxies: Iterable[Proxy]) -> tuple[Reference, ...]:
    """Return how another process finds these proxies."""
    return tuple(Reference(proxy.name, proxy.path, proxy.source) for proxy in proxies)


def resolve(found: Sequence[Reference]) -> list[Proxy]:
    """Return the proxies of references, each file read once. UserError where a file changed in the meantime."""
    known, files = registry(), {}
    proxies = []
    for each in found:
        if each.path and each.path not in files:
            gone = Path(each.path).suffix == ".py" and not Path(each.path).is_file()
            names = {other.name for other in found if other.path == each.path}
            files[each.path] = {} if gone else load_all(each.path, names)
        entry = (files[each.path] if each.path else known).get(each.name)
        if entry is None or entry.source != each.source:
            raise UserError(f"'{each.path or each.name}' is not what it was when this run began: repeat the command")
        proxies.append(entry)
    return proxies
