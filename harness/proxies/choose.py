"""A list of proxies as a user types it -> the proxies."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import UserError, joined, suggest
from harness.proxies.ensembles import ENSEMBLES
from harness.proxies.own import load_file
from harness.proxies.registry import CORE, Proxy, baselines, registry


def choose(proxies: str | Sequence[str]) -> list[Proxy]:
    """Return the proxies that a list names, separated by commas or from Python.

    Names, `core`, `all`, `FILE.py:NAME` of a user's own, or an ensemble, which stands for its members. The baselines
    come first whether named or not. A file is read once. UserError lists all unknown names at once.
    """
    known = registry()
    words = [word for part in joined(proxies).split(",") if (word := part.strip())]
    own = _own([word for word in words if ".py:" in word])
    names = list(baselines())
    members: list[str] = []
    unknown = []
    for word in words:
        if word == "core":
            names += CORE
        elif word == "all":
            names += known
        elif word in own or word in known:
            names.append(own[word].name if word in own else word)
        elif word in ENSEMBLES:
            members += ENSEMBLES[word].members
        else:
            unknown.append(word)
    if unknown:
        raise suggest(unknown, [*known, *ENSEMBLES, "core", "all", "FILE.py:NAME"], "proxy")
    entries = known | {entry.name: entry for entry in own.values()}
    return [entries[name] for name in dict.fromkeys([*names, *members])]


def _own(words: list[str]) -> dict[str, Proxy]:
    """Return the proxies of FILE.py:NAME, by that word."""
    files: dict[str, dict[str, Proxy]] = {}
    found: dict[str, Proxy] = {}
    for word in words:
        path, _, name = word.rpartition(":")
        if not Path(path).is_file():
            raise UserError(f"no file '{path}' for the proxy '{word}': expected FILE.py:NAME of a decorated function")
        if path not in files:
            files[path] = load_file(path)
        if name not in files[path]:
            there = ", ".join(sorted(files[path])) or "none"
            decorate = "decorate the function with @harness.proxy or @harness.module_proxy"
            raise UserError(f"'{path}' registers no proxy named '{name}' (it registers: {there}); {decorate}")
        found[word] = files[path][name]
        if other := next((each for each in found.values() if each.name == name and each.path != path), None):
            raise UserError(f"'{path}' and '{other.path}' both have a proxy named '{name}': give one another name")
    return found
