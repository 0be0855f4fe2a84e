"""`python -m speed.cost` on a tiny network: what it adds up."""

import json

import pytest

from speed import cost


def test_passes_are_counted_once_for_all_proxies_of_a_view(tmp_path, capsys):
    out = tmp_path / "cost.json"
    options = ["--archs", "1", "--channels", "4", "--cells", "1", "--batch-size", "4", "--out", str(out)]
    assert cost.main(["--proxies", "snip,grasp,jacob_cov,zico,zen@naslib,gradsign", *options]) == 0
    views = json.loads(out.read_text())["views"]
    shared = next(view for view in views if "snip" in view["proxies"])
    assert set(shared["passes"]) == {"forward", "backward", "curvature", "jacobian", "other minibatches"}
    assert all(view["together"] > sum(view["passes"].values()) > 0 and view["bare"] > 0 for view in views)
    own = next(view for view in views if "gradsign" in view["proxies"])
    assert own["bare"] == pytest.approx(
        sum(own["passes"].values())
    )  # a pass that exists here only counts with its measured time
    together, bare = (1e3 * sum(view[key] for view in views) for key in ("together", "bare"))
    last = [line for line in capsys.readouterr().out.splitlines() if "all proxies together" in line]
    assert last[0].split()[:3] == [f"{together:.0f}", f"{bare:.0f}", f"{together / bare:.2f}"]


def test_options_that_are_too_small_are_named_together(capsys):
    assert cost.main(["--archs", "0", "--cells", "0"]) == 2
    assert "--archs 0: expected 1 or more; --cells 0: expected 1 or more" in capsys.readouterr().err
