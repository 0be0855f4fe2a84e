"""Settings of networks, such as channels and cells, by name."""

from collections.abc import Mapping
from typing import Any

from benchmarks.errors import UserError, suggest


def settings_from(text: str) -> dict[str, int]:
    """Return {name: number} of `channels=8,modules=1`."""
    try:
        return {name.strip(): int(value) for name, value in (each.split("=") for each in text.split(",") if each)}
    except ValueError:
        raise UserError(f"--network {text}: expected whole numbers by name, like channels=8,modules=1") from None


def changed(default: Mapping[str, Any], changes: Mapping[str, int], title: str) -> dict[str, Any]:
    """Return the settings `default` with `changes`; UserError for a name that is not among them or a number below 1.

    `title` names the space in the message.
    """
    if unknown := sorted(changes.keys() - default.keys()):
        raise suggest(unknown, list(default), f"network setting of {title}")
    if small := [f"{name}={size}" for name, size in changes.items() if size < 1]:
        raise UserError(f"--network {','.join(small)}: expected 1 or more")
    return {**default, **changes}
