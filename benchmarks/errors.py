"""What a user is told when something they gave cannot be used: one line, no traceback."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UserError(ValueError):
    """Input that cannot be used. The message says what came, what was expected and what to do next.

    It is one line whatever a file or a person wrote: line breaks and other control characters in it are spelled out.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(CONTROL.sub(lambda found: repr(found[0])[1:-1], str(message)))


def suggest(unknown: Sequence[str], valid: Iterable[str], what: str) -> UserError:
    """Return the error for names that do not exist: all of them at once, the nearest valid ones suggested.

    `what` names the kind in the singular ("proxy", "dataset"). `unknown` must not be empty.
    """
    valid = sorted(valid)
    said = []
    for name in unknown:
        near = difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
        said.append(f"'{name}'" + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    return UserError(f"unknown {what}: {', '.join(said)}; valid: {', '.join(valid)}")
