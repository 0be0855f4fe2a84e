"""`nas-harness zoo PACKAGE`: score the networks of timm or torchvision; what failed is counted with its reason."""

from pathlib import Path

from benchmarks.errors import UserError, carry_out, say
from harness.cli.options import EXISTING, Line
from harness.store.version import RUNS

PACKAGES = ("timm", "torchvision")


def parser() -> Line:
    """Return the command line."""
    line = Line("zoo", "Score the networks of timm or torchvision: scores as CSV, counts, reasons, seconds.")
    line.option("package", choices=PACKAGES, help="timm or torchvision, as far as it is installed")
    line.option("--networks", default="*", help="names, by commas, with wildcards: 'resnet*,vit_*' (default: all)")
    line.option("--proxies", default="all", help="names by commas, core, all (default)")
    line.option("--limit", type=int, help="only the first so many networks")
    line.option("--batch-size", type=int, default=8, help="images of noise (default 8)")
    line.option("--resolution", type=int, help="pixels of a side (default: what each network was made for)")
    line.option("--seed", type=int, default=0, help="of weights, images and labels (default 0)")
    line.option("--out", help="CSV to write (default: a name for each set of settings under results/runs/)")
    about = "if --out is there: refuse (default), replace"
    line.option("--existing", choices=EXISTING[1:], default="refuse", metavar="EXISTING", help=about)
    return line


def main(argv: list[str] | None = None) -> int:
    """Score; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)

    def action() -> None:
        import pandas as pd

        from benchmarks.files.write import write_text
        from harness.engine.zoo import score_zoo, summary, zoo_names
        from harness.proxies.choose import choose
        from harness.report.result import settings_mark

        replaced, out = options.pop("existing") == "replace", options.pop("out")
        if out and Path(out).exists() and not replaced:
            raise UserError(f"{out} is there: give another --out, or --existing replace")
        out = Path(out or RUNS / f"zoo-{options['package']}-{settings_mark(options)}.csv")
        names = zoo_names(options["package"], options["networks"], options["limit"])
        proxies, found, rows = choose(options["proxies"]), [], []
        for each in score_zoo(
            options["package"], names, proxies, batch_size=options["batch_size"], side=options["resolution"],
            seed=options["seed"],
        ):  # fmt: skip
            found.append(each)
            rows.append(
                {"network": each.network, "seconds": round(each.seconds, 3), **each.scores, "error": each.error}
            )
            write_text(out, pd.DataFrame(rows).to_csv(index=False))
            say(f"{len(found)}/{len(names)} {each.network}: {len(each.scores) - len(each.failed)} scores,"
                f" {len(each.failed)} failed, {each.seconds:.1f} s{'; ' * bool(each.error)}{each.error}")  # fmt: skip
        print(summary(found))
        print(f"written to {out}")

    return carry_out("nas-harness zoo", action, "stopped; what is scored is in the CSV")
