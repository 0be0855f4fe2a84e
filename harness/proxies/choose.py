"""A list of proxies as a user types it -> the proxies."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import UserError, joined, suggest
from harness.proxies.ensembles import ENSEMBLES
from harness.proxies.own import load_file
from harness.proxies.registry import CORE, Proxy, baselines, registry


def choose(proxies: str | Sequence[str]) -> list[Proxy]:
    """Return the proxies that a list names, separated by commas or from Python.

    Names, `core`, `all`, one of a user's own, or an ensemble, which stands for its members. A user's own is
    `FILE.py:NAME` or `package.module:NAME`, `FILE.py` alone for all that the file registers. The baselines come first
    whether named or not. A file is read once. UserError lists all unknown names at once.
    """
    known = registry()
    words = [word for part in joined(proxies).split(",") if (word := part.strip())]
    own = _own([word for word in words if word.endswith(".py") or ":" in word])
    names = list(baselines())
    members: list[str] = []
    unknown = []
    for word in words:
        if word == "core":
            names += CORE
        elif word == "all":
            names += known
        elif word in own:
            names += [entry.name for entry in own[word]]
        elif word in known:
            names.append(word)
        elif word in ENSEMBLES:
            members += ENSEMBLES[word].members
        else:
            unknown.append(word)
    if unknown:
        raise suggest(unknown, [*known, *ENSEMBLES, "core", "all", "FILE.py:NAME"], "proxy")
    entries = known | {entry.name: entry for group in own.values() for entry in group}
    return [entries[name] for name in dict.fromkeys([*names, *members])]


def _own(words: list[str]) -> dict[str, list[Proxy]]:
    """Return the proxies of FILE.py, FILE.py:NAME and package.module:NAME, by that word."""
    files: dict[str, dict[str, Proxy]] = {}
    found: dict[str, list[Proxy]] = {}
    for word in words:
        path, _, name = word.rpartition(":") if ":" in word else (word, "", "")
        if path.endswith(".py") and not Path(path).is_file():
            raise UserError(f"no file '{path}' for the proxy '{word}': expected FILE.py:NAME of a function")
        if path not in files:
            files[path] = load_file(path)
        if name and name not in files[path]:
            files[path] |= load_file(path, name)
        if not files[path] if not name else name not in files[path]:
            raise _none_of(path, name, files[path])
        found[word] = [files[path][name]] if name else list(files[path].values())
    entries = [entry for group in found.values() for entry in group]
    for one in entries:
        if other := next((each for each in entries if each.name == one.name and each.path != one.path), None):
            raise UserError(
                f"'{one.path}' and '{other.path}' both have a proxy named '{one.name}': give one another name"
            )
    return found


def _none_of(path: str, name: str, there: dict[str, Proxy]) -> UserError:
    """Return the error for a file that has no proxy of a name, or none at all."""
    which = f"no proxy named '{name}'" if name else "no proxy"
    return UserError(
        f"'{path}' registers {which} (it registers: {', '.join(sorted(there)) or 'none'}); decorate the function with"
        " @harness.proxy or @harness.module_proxy, or name a function (model, inputs, targets) as FILE.py:NAME"
    )
