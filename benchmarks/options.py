"""Settings that are options of a command line: declared once, as fields of a dataclass; kept as a TOML file."""

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, field, fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from benchmarks.errors import MOST, UserError, suggest


def option(
    default: Any = MISSING, *, help: str, choices: Sequence[Any] = (), also: Sequence[str] = (),
    least: float | None = None, above: float | None = None, most: float = MOST,
) -> Any:  # fmt: skip
    """Return a dataclass field that `harness.cli.options.add_options` makes an option `--name` of.

    `help` is what `--help` says; `choices` are the only values it may have; `also` are further spellings; a number is
    `least` or more, or larger than `above`, and `most` or less. Without a default the option must be named.
    """
    facts = {"help": help, "choices": tuple(choices), "also": tuple(also), "least": least, "above": above, "most": most}
    return field(default=default, metadata=facts)


def problems(settings: Any) -> list[str]:
    """Return what is wrong with the values of a settings dataclass by their `choices`, `least` and `above`.

    Raises UserError for values of another type, which nothing else can be asked of.
    """
    kinds = get_type_hints(type(settings))
    named = [(each.name, getattr(settings, each.name)) for each in fields(settings) if each.init]
    if wrong := [_mistyped(name, value, kinds[name]) for name, value in named if not _fits(value, kinds[name])]:
        raise UserError("; ".join(wrong))
    found = []
    for each in fields(settings):
        value, facts = getattr(settings, each.name, None), each.metadata
        name, least, above = f"--{each.name.replace('_', '-')}", facts.get("least"), facts.get("above")
        if facts.get("choices") and value not in (*facts["choices"], each.default):
            found.append(str(suggest([str(value)], map(str, facts["choices"]), f"value of {name}")))
        if least is not None and value is not None and not least <= value < math.inf:
            found.append(f"{name} {value}: expected {least} or more")
        if above is not None and value is not None and not above < value < math.inf:
            found.append(f"{name} {value}: expected a number above {above}")
        if isinstance(value, (int, float)) and abs(value) > facts.get("most", MOST):
            found.append(f"{name}: expected at most {facts.get('most', MOST):,}")
    return found


def _fits(value: Any, kind: Any) -> bool:
    """Return whether a value is of a field's type; a whole number may stand for a fraction, a path for its name. What
    is in dictionaries and tuples is not looked at."""
    given: dict[Any, Any] = {bool: bool, int: Integral, float: Real, str: (str, os.PathLike)}
    return any(
        isinstance(value, given.get(each, get_origin(each) or each)) and (each is bool or not isinstance(value, bool))
        for each in _members(kind)
    )


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _mistyped(name: str, value: Any, kind: Any) -> str:
    words = " or ".join(getattr(each, "__name__", str(each)) for each in _members(kind) if each is not NoneType)
    return f"--{name.replace('_', '-')} {value!r}: expected {words}, got {type(value).__name__}"


def listed(names: str, valid: Collection[str], what: str) -> list[str]:
    """Return the names of a comma-separated list, each once; UserError for unknown ones, and where there is none.

    `what` names the kind in the singular.
    """
    found = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if unknown := [name for name in found if name not in valid]:
        raise suggest(unknown, valid, what)
    if not found:
        raise UserError(f"no {what} in '{names}'; valid: {', '.join(valid)}")
    return found


def as_toml(command: str, settings: Mapping[str, Any]) -> str:
    """Return a configuration file that `nas-harness COMMAND --config FILE` repeats; what is None is left out."""
    lines = [f"# nas-harness {command} --config FILE", f"command = {json.dumps(command)}"]
    for name, value in settings.items():
        if value is None or value == () or value == []:
            continue
        plain = list(map(str, value)) if isinstance(value, list | tuple) else value
        simple = plain if isinstance(plain, bool | int | float | list) else str(plain)
        lines.append(f"{name} = {json.dumps(simple, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
