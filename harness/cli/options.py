"""The options of a command line, made from the fields of a settings dataclass."""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from types import NoneType
from typing import Any, get_args, get_type_hints


def add_options(
    line: argparse.ArgumentParser, settings: type, *, only: Collection[str] | None = None,
    without: Collection[str] = (), said: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Add an option for each field of `settings` that `benchmarks.options.option` declared, in their order.

    `only` and `without` choose among the fields. `said` has help texts that are known at the command line alone. A bool
    that is True by default becomes `--no-name`. A default is named at the end of the help where the text does not.
    """
    kinds = get_type_hints(settings)
    for each in fields(settings):
        if "help" not in each.metadata or each.name in without or (only is not None and each.name not in only):
            continue
        name, about = each.name.replace("_", "-"), (said or {}).get(each.name, each.metadata["help"])
        if kinds[each.name] is bool:
            flag = f"--no-{name}" if each.default else f"--{name}"
            line.add_argument(flag, dest=each.name, action=f"store_{str(not each.default).lower()}", help=about)
            continue
        facts: dict[str, Any] = {"required": True} if each.default is MISSING else {"default": each.default}
        if each.default not in (MISSING, None, "") and "default" not in about:
            about += f" (default {each.default})"
        if each.metadata["choices"]:
            facts["metavar"] = name.replace("-", "_").upper()
        line.add_argument(
            f"--{name}", *each.metadata["also"], dest=each.name, type=_kind(kinds[each.name]),
            help=about.replace("%", "%%"), **facts,
        )  # fmt: skip


def _kind(hint: Any) -> type:
    """Return what turns a word into a value: of a union the one type that is not None, str where there are several."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else str
