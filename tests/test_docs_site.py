"""The site builds from the pages as they are, without a warning and without a network, and its links lead somewhere."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(tool)
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs/site", "-d", out / "kept", ".", out],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, **NO_NETWORK}, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def words(page: Path) -> str:
    """The words of a page, without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8"))).split())


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    start = (site / "README.html").read_text("utf-8")
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        assert f'href="{page.relative_to(ROOT).with_suffix(".html").as_posix()}"' in start, page.name
    for link in ("results/README.html", "docs/site/api.html"):
        assert f'href="{link}"' in start
    results = (site / "results" / "README.html").read_text("utf-8")
    for page in ROOT.glob("results/tables/*/summary.md"):
        assert f'href="tables/{page.parent.name}/summary.html"' in results
    assert "url=README.html" in (site / "index.html").read_text("utf-8")


def test_links_and_pictures_of_every_page_are_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#?:]+)(?:[#?][^"]*)?"', page.read_text("utf-8")):
            assert (page.parent / html.unescape(target)).exists(), f"{page.relative_to(site)}: {target}"


def test_pages_say_what_the_sources_say(site: Path) -> None:
    import harness

    said = words(site / "docs" / "site" / "api.html")
    for name in harness.__all__:
        assert f"harness.{name}" in said
    assert "larger is better; NaN where a proxy failed" in said  # a docstring
    assert "# api" not in said
    assert "tau-b: (concordant - discordant pairs)" in words(site / "docs" / "concepts.html")
    assert "correlation of mid-ranks" in words(site / "docs" / "concepts.html")
    _, _, row, *_ = (ROOT / "results" / "plan" / "plan.md").read_text("utf-8").split("|\n")  # the first below the names
    assert " ".join(row.replace("|", " ").replace("\\", "").split()) in words(site / "results" / "plan" / "plan.html")
