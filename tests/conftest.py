"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real ground truth and images; tests that need it are skipped where it is absent."""
    named = os.environ.get("NAS_HARNESS_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there (set NAS_HARNESS_DATA to the folder that holds it)")
    return folder
