"""The short form of `python -m speed.torture`: a few trials, what counts as wrong, and the page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from speed import torture, torture_kills
from speed.torture_kills import RIGHT, Trials

WORDS = ("kills", "pairs", "shards", "proxies", "ray", "disk", "files", "pickles", "options")


@pytest.fixture(scope="module")
def trials():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(torture_kills.USUAL, "sample", 3)
        patch.setattr(torture_kills.runner, "COMMIT_SECONDS", -1.0)
        with Trials(seed=0) as trials:
            yield trials


def test_a_run_killed_at_merge_or_at_any_time_goes_on(trials: Trials):
    for number, way in enumerate((torture_kills._kill_at_merge, torture_kills._kill_main)):
        out = trials.folder / f"run{number}"
        child = way(trials, out)
        assert child.ended() is not None and not child.left()
        trials.finish(way.__name__, out)
        assert trials.found[way.__name__, RIGHT] == 1 and not out.exists()


def test_what_is_wrong_is_seen(trials: Trials):
    out = trials.folder / "wrong"
    torture_kills.run(out, sample=2)
    assert trials.differs(out) == "other architectures"
    torture_kills.run(out, batch_size=4, existing="replace")
    assert trials.differs(out) == "scores differ"
    torture_kills.run(out, proxies="snip", existing="replace")
    assert trials.differs(out) == "scores are lost"
    torture_kills.run(out)
    assert trials.differs(out) == ""
    (out / ".scores.h5.part").touch()
    assert trials.differs(out) == "files are left over"


def test_the_page_has_a_section_for_each_part(tmp_path: Path):
    page = tmp_path / "torture.md"
    for part in ("pairs", "kills", "pairs"):
        found = Counter({("two", RIGHT): 3, ("two", "hangs"): 1})
        torture.write_section(page, part, torture.section(part, "about", found, 0, 1.0))
    text = page.read_text()
    assert (
        text.count("## kills: about") == text.count("## pairs: about") == 1
        and text.count("| two | **hangs** | 1 |") == 2
    )
    assert text.index("## kills") < text.index("## pairs") and "4 trials, seed 0" in text


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert tuple(torture.PARTS) == WORDS
    outcomes = [RIGHT, "hangs"]
    monkeypatch.setattr(torture, "_part", lambda *names: lambda count, seed: Counter({("it", outcomes[seed]): count}))
    page = tmp_path / "torture.md"
    assert (
        torture.main(["pairs", "--count", "7", "--out", str(page)]) == 0
        and "| it | as it should be | 7 |" in page.read_text()
    )
    assert (
        torture.main(["pairs", "--seed", "1", "--out", str(page)]) == 1
        and "| it | **hangs** | 20 |" in page.read_text()
    )
    assert torture.main(["pears", "--out", str(page)]) == 2 and "did you mean pairs" in capsys.readouterr().err
