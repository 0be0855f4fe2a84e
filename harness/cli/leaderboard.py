"""`nas-harness leaderboard`: remake the page from stored results; `leaderboard add SCORES`: check and add a submission.

A submission is a CSV of scores and the file of their proxy (--proxies FILE.py:NAME), on a benchmark and dataset. A
hidden sample of its architectures is re-scored under hidden seeds; where the CSV does not agree with that, the command
says why.
"""

import hashlib
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, carry_out, say
from harness.cli.options import Line, add_options
from harness.runs.config import RunConfig

if TYPE_CHECKING:
    from harness.runs.rescore import Rescored

SHARED = ("bench", "dataset", "split", "data", "proxies", "batch_size", "inputs", "protocol", "devices", "workers",
          "proxy_timeout")  # fmt: skip
"""Options that mean here what they mean for a run."""
STOPPED = "stopped; nothing was added: repeat the command"


def parser() -> Line:
    """Return the command line."""
    line = Line("leaderboard", "Remake the leaderboard's page from stored results, or add a submission to it.")
    line.option("action", nargs="?", metavar="add", help="add: check a submission and add it (default: the page alone)")
    line.option("scores", nargs="?", metavar="SCORES", help="CSV of the submitted scores, a column called as the proxy")
    said = {"proxies": "FILE.py:NAME of the submitted proxy; no default",
            "bench": "benchmark of the submission (default 201)"}  # fmt: skip
    add_options(line, RunConfig, only=SHARED, said=said)
    for each in line._actions:
        if each.dest in ("bench", "proxies"):
            each.required, each.default = False, None
    line.option("--archs", type=int, default=40, help="architectures to re-score (default 40)")
    line.option("--draws", type=int, default=3, help="hidden seeds to re-score them under (default 3)")
    line.option("--entries", type=Path, default=Path("results/leaderboard"), help="folder of the submissions (default"
                " results/leaderboard)")  # fmt: skip
    line.option("--scorecard", type=Path, default=Path("results/scorecard"), help="folder of the scorecard (default"
                " results/scorecard)")  # fmt: skip
    line.option("--page", type=Path, default=Path("docs/leaderboard.html"), help="page to write (default"
                " docs/leaderboard.html)")  # fmt: skip
    return line


def main(argv: list[str] | None = None) -> int:
    """Remake or add; return the exit code: 0 done, 2 input that cannot be used or scores refused, 130 interrupted."""
    options = parser().arguments(argv)

    def action() -> None:
        from harness.cached import kept
        from harness.report import leaderboard

        found = leaderboard.stored_scorecard(options["scorecard"])
        if options["action"] is not None:
            _add(options)
        submitted = leaderboard.entries(options["entries"])
        text = leaderboard.page(found, submitted, kept.facts(), "nas-harness leaderboard")
        print(f"written: {leaderboard.write_leaderboard(text, options['page'])}")

    return carry_out("nas-harness leaderboard", action, STOPPED)


def _add(options: dict[str, Any]) -> None:
    """Check a submission and store it; UserError says why it is refused."""
    from harness.analysis.submission import checked
    from harness.report import leaderboard
    from harness.runs.rescore import rescore

    if options["action"] != "add" or not options["scores"] or not options["proxies"]:
        raise UserError("expected: add SCORES.csv --proxies FILE.py:NAME, or nothing to remake the page")
    if options["archs"] < 20 or options["draws"] < 2:
        raise UserError("--archs: expected 20 or more; --draws: expected 2 or more")
    settings = {each.name: options[each.name] for each in fields(RunConfig) if each.name in SHARED}
    config = RunConfig(**settings | {"bench": options["bench"] or "201"})
    found = rescore(options["scores"], config, archs=options["archs"], seeds=options["draws"], say=say)
    check = checked(found.given, found.again)
    print(check.sentence)
    if check.wrong:
        raise UserError(f"{found.proxy.name} is not added: {check.wrong}")
    entry = leaderboard.entry_of(_cell(found, config), check, _facts(options["scores"], found, check.sentence))
    print(f"{found.proxy.name} is added: {leaderboard.write_entry(entry, options['entries'])}")


def _cell(found: "Rescored", config: RunConfig) -> dict[str, Any]:
    """Return the row of the scorecard of the submitted score."""
    from harness.analysis.scorecard import scorecard

    task = f"{config.bench} {found.run.manifest['target']['dataset']}"
    cells = scorecard({task: [found.run]}).cells
    return cells[cells["score"] == found.proxy.name].iloc[0].to_dict()


def _facts(scores: str, found: "Rescored", sentence: str) -> dict[str, Any]:
    """Return how a submission was made and checked."""
    return {
        "summary": found.proxy.summary, "paper": found.proxy.paper, "labels": found.proxy.labels, "checked": sentence,
        "seeds": list(found.seeds), "minibatch": found.minibatch, "proxy_sha256": found.proxy.source,
        "scores_sha256": hashlib.sha256(Path(scores).read_bytes()).hexdigest(),
        "versions": found.run.manifest["versions"], "ground_truth": found.run.manifest["table_source"],
        "added": time.strftime("%Y-%m-%d", time.gmtime()),
    }  # fmt: skip
