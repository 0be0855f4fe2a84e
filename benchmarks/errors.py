"""Errors of users' input: one line, no traceback."""

import collections
import difflib
import re
from collections.abc import Iterable, Sequence

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UserError(ValueError):
    """Input that cannot be used. The message says what came, what was expected and what to do next.

    It is always one line: line breaks and other control characters of a file or a name are spelled out.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(CONTROL.sub(lambda found: repr(found[0])[1:-1], str(message)))


def suggest(unknown: Sequence[str], valid: Iterable[str], what: str) -> UserError:
    """Return the error for names that do not exist: all of them at once, the nearest valid ones suggested.

    `what` names the kind in the singular ("proxy", "dataset"). `unknown` must not be empty.
    """
    valid = sorted(valid)
    names = []
    for name in unknown:
        near = difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
        names.append(f"'{name}'" + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    return UserError(f"unknown {what}: {', '.join(names)}; valid: {', '.join(valid)}")


def repeated(labels: Iterable) -> list:
    """Return the labels that occur more than once, each once, in order of appearance."""
    return [label for label, count in collections.Counter(labels).items() if count > 1]


def listed(examples: Sequence, total: int | None = None) -> str:
    """Return the first three examples, and how many more there are of `total` (default: of the examples)."""
    more = (len(examples) if total is None else total) - 3
    return ", ".join(map(str, examples[:3])) + (f" and {more} more" if more > 0 else "")
