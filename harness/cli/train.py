"""`python -m harness.train`: ground truth for one's own data, many architectures trained at once.

K architectures are one stack, so one training loop trains them all; each keeps its own initialisation, BatchNorm
statistics and gradients, while all see the same images in the same order. The recipe is SGD with Nesterov momentum and
a one-cycle learning rate (Smith and Topin, 2018, arXiv 1708.07120).
Finished stacks are committed one by one: repeating the command continues, more seeds or architectures extend the work.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.parser import Parser, carry_out
from harness.training.loop import train
from harness.training.recipe import Recipe, settings_from

if TYPE_CHECKING:
    pass

ZERO = {
    "resolution": "side in pixels the images are resized to; 0 (default): as they are",
    "test_images": "0 (default): all that are left",
}
"""Settings whose 0 needs a word."""


def main(argv: list[str] | None = None) -> int:
    """Read the command line; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    parser = Parser(prog="python -m harness.train", description=__doc__.split("\n\n")[0])
    defaults = {name: value for name, value in asdict(Recipe()).items() if name != "network"}
    for name, value in defaults.items():
        said = ZERO.get(name, f"default {value}")
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=said)
    parser.add_argument(
        "--network", default="", help="such as channels=8,modules=1 (default: the space's reduced ones)"
    )
    parser.add_argument("--sample", type=int, default=100, help="distinct architectures, drawn uniformly (default 100)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each architecture (default 3)")
    parser.add_argument(
        "--stack", type=int, default=32, help="architectures trained at once in one process (default 32)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--data", type=Path, help="folder of ground truth and images (default: NAS_HARNESS_DATA)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument("--out", type=Path, required=True, help="folder of the work and of the finished table.h5")
    given = vars(parser.parse_args(argv))

    def action() -> None:
        from benchmarks.files.sources import data_folder

        recipe = Recipe(**{name: given[name] for name in defaults}, network=settings_from(given["network"]))
        options = {name: given[name] for name in ("sample", "seeds", "stack", "workers", "device")}
        print(f"wrote {train(given['out'], recipe, folder=data_folder(given['data']), **options)}")

    stopped = f"stopped; finished stacks are kept in {given['out']}: repeat the command to continue"
    return carry_out("harness.train", action, stopped)
