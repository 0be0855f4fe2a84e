"""How far a long reading or download is."""

import contextlib
from collections.abc import Callable, Iterator

Progress = Callable[[int, int | None], None]
"""Called with what is done and what there is in all: bytes of a file, files of a folder; None where it is not known."""


@contextlib.contextmanager
def progress_bar(name: str, unit: str = "B", quiet: bool = False) -> Iterator[Progress]:
    """Show a progress bar on standard error; give what moves it."""
    from tqdm import tqdm

    with tqdm(desc=name, unit=unit, unit_scale=True, disable=quiet, leave=False) as bar:

        def show(done: int, total: int | None) -> None:
            if bar.total is None and total is not None:
                bar.reset(total)
                bar.initial = bar.n = bar.last_print_n = done  # what an earlier command left counts for no speed
            bar.update(done - bar.n)

        yield show
