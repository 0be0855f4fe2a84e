"""The notebooks run from first cell to last on what comes with the package, and are kept with small outputs.

`python tests/test_notebooks.py` executes them and keeps the outputs.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OWN_FUNCTIONS = 2
"""Functions or classes that a notebook may define: a proxy of one's own."""


LARGEST = 200_000
"""Bytes of a notebook with its outputs."""


def read(path: Path) -> Any:
    """Return a notebook."""
    return pytest.importorskip("nbformat").read(path, as_version=4)


def executed(notebook: Any, folder: Path, **settings: Any) -> Any:
    """Return a notebook after its last cell, executed in `folder`/notebooks with the results of this clone at hand."""
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    here = folder / "notebooks"
    here.mkdir(exist_ok=True)
    results = folder / "results"
    if not results.exists():
        results.symlink_to(ROOT / "results")
    where = {"metadata": {"path": str(here)}}
    return client.NotebookClient(notebook, timeout=1800, resources=where, record_timing=False, **settings).execute()


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[Any]]:
    """The cells of every notebook after all have run in one kernel, as PyTorch takes as long to load as a notebook; it
    forgets in between what they named."""
    folder, whole = tmp_path_factory.mktemp("run"), read(NOTEBOOKS[0])
    notebooks = {path: read(path).cells for path in NOTEBOOKS}
    forget = {"cell_type": "code", "source": "%reset -f", "metadata": {}, "outputs": [], "execution_count": None}
    whole.cells = [cell for each in notebooks.values() for cell in (*each, type(each[0])(forget))]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NAS_HARNESS_DATA", raising=False)
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("PYTHONPATH", str(ROOT))
        executed(whole, folder, allow_errors=True)  # an error is another kind of output than what is kept
    return notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_what_is_kept(path: Path, cells: dict[Path, list[Any]]) -> None:
    """The same kinds of output as those in the file, cell by cell, and nothing on standard error."""
    kept = json.loads(path.read_text("utf-8"))
    for cell, before in zip(cells[path], kept["cells"], strict=True):
        kinds = [[output["output_type"], *sorted(output.get("data", []))] for output in cell.get("outputs", [])]
        stored = [[output["output_type"], *sorted(output.get("data", []))] for output in before.get("outputs", [])]
        assert kinds == stored, f"{cell.source}: {cell.outputs}: run `python tests/test_notebooks.py`"
        assert not [output for output in cell.get("outputs", []) if output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_small(path: Path) -> None:
    """Outputs, no metadata that change when it is opened, no path of this machine; little is defined."""
    text = path.read_text("utf-8")
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(text) < LARGEST and str(ROOT) not in text and "/tmp/" not in text
    assert any(cell["outputs"] for cell in code) and [cell["execution_count"] for cell in code] == [
        *range(1, len(code) + 1)
    ]
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    lines = [line for cell in code for line in cell["source"]]
    assert sum(line.startswith(("def ", "class ")) for line in lines) < OWN_FUNCTIONS
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")
    assert "%pip install" in "".join(code[0]["source"]), "the first cell installs what is missing"


def test_all_are_listed() -> None:
    listed = (ROOT / "notebooks" / "README.md").read_text("utf-8")
    assert len(NOTEBOOKS) >= 5
    assert all(f"({path.name})" in listed for path in NOTEBOOKS)


def keep(path: Path) -> None:
    """Execute a notebook and write it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(read(path), Path(folder))
    for cell in notebook.cells:
        cell["metadata"] = {}
    notebook["metadata"]["language_info"] = {"name": "python"}
    import nbformat

    nbformat.write(notebook, path)
    print(f"written: {path}")


if __name__ == "__main__":
    os.environ |= {"PYTHONPATH": str(ROOT)}
    os.environ.pop("NAS_HARNESS_DATA", None)
    for each in NOTEBOOKS:
        keep(each)
