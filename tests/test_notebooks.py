"""The notebooks run from first cell to last on what comes with the package, and are kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OWN_FUNCTIONS = 2
"""Functions or classes that a notebook may define: a proxy of one's own."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    here = tmp_path / "notebooks"
    here.mkdir()
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    client.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(here)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output.text for output in outputs if "Warning" in output.get("text", "")]
    assert any(output.output_type == "execute_result" for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_bare(path: Path) -> None:
    """No outputs, counts or metadata that change when it is opened; each cell starts a thought; little is defined."""
    notebook = json.loads(path.read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    lines = [line for cell in code for line in cell["source"]]
    assert sum(line.startswith(("def ", "class ")) for line in lines) < OWN_FUNCTIONS
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")


def test_all_are_listed() -> None:
    listed = (ROOT / "notebooks" / "README.md").read_text("utf-8")
    assert len(NOTEBOOKS) >= 5
    assert all(f"({path.name})" in listed for path in NOTEBOOKS)
