"""The short form of `python -m speed.torture files|pickles|options`: none crashes, hangs or is executed."""

import collections

import pytest

from speed import torture_options
from speed.torture import RIGHT
from speed.torture_files import damaged_files, kinds, mutated
from speed.torture_outcomes import outcomes
from speed.torture_pickles import HOSTILE, WAYS, hostile_pickles


def wrong(found: collections.Counter) -> dict:
    return {what: times for what, times in found.items() if not what[1].startswith(RIGHT)}


def test_damaged_files_are_read_or_refused():
    found = damaged_files(2 * len(kinds()), seed=5)
    assert not wrong(found) and found.total() == 2 * len(kinds())
    assert {reader for reader, _ in found} == {kind.name for kind in kinds()}


def test_hostile_pickles_are_refused(monkeypatch):
    for name in ("deep", "large", "copies", "colliding"):  # large ones: by the command
        monkeypatch.delitem(HOSTILE, name)
    found = hostile_pickles(len(HOSTILE), seed=5)
    assert not wrong(found) and found.total() == len(HOSTILE) * len(WAYS)


def test_command_lines_are_carried_out_or_refused(monkeypatch):
    monkeypatch.setattr(torture_options, "_started", lambda command: "refused")
    found = torture_options.options(30, seed=5)
    assert not wrong(found) and found.total() == 30 + len(torture_options.COMMANDS)


def test_what_must_not_be_is_counted(monkeypatch):
    """An exception, a crash and an endless loop, with what follows them."""

    def loop() -> None:
        while True:
            pass

    def crash() -> None:
        import os

        os.kill(os.getpid(), 9)

    monkeypatch.setattr("speed.torture_outcomes.SECONDS", 1)
    actions = {"fine": lambda: None, "bug": lambda: {}["x"], "crash": crash, "loop": loop, "last": lambda: "done"}
    found = outcomes([(name, lambda action=action: action) for name, action in actions.items()])
    assert found.total() == 5 and found["fine", "read"] == found["last", "done"] == 1
    assert found["crash", "ended by 9"] == found["loop", "more than 1 s"] == 1
    assert any(outcome.startswith("KeyError at test_torture_files.py") for _, outcome in found)


@pytest.mark.parametrize("data", [b"", b"x", b"a,1\nb,2\n" * 50])
def test_damage_depends_on_the_seed_alone(data):
    import random

    first, again, other = (mutated(data, [b"other"], random.Random(seed)) for seed in (1, 1, 2))
    assert first == again and (first != data or other != data)
