"""The documentation as a site, made by Sphinx from README.md, docs/*.md, results/ and the docstrings, as they are.

python -m sphinx -W -c docs/site . build/site    in a clone, with the extra `docs` installed; no network is needed

The sources are pages that read well on a forge too; what only the site needs is done here: navigation, titles of
results without one, links to folders, and docstrings in plain words made fit for Sphinx.
"""

import re
from pathlib import Path

from markdown_it import MarkdownIt
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted(page.parent.name for page in ROOT.glob("results/tables/*/summary.md"))
SEARCHES = sorted(
    str(page.relative_to(ROOT / "results").with_suffix(""))
    for name in ("hnas", "trained-supernets", "untrained-supernets")
    for page in ROOT.glob(f"results/{name}/*/*.md")
)
KEPT = [f"results/{name}/{name}.md" for name in ("reproduction", "scorecard", "plan", "audit", "choice", "targets")]
"""What is compared or made from kept scores."""
TABLE = re.compile(r"(?:^\|.*\n?)+", re.MULTILINE)
TASKS = [
    "start",
    "extending",
    "modules",
    "comparing",
    "scorecard",
    "targets",
    "data",
    "choosing",
    "statistics",
    "search",
    "operations",
    "clusters",
]
TASKS += ["python", "commands", "faq"]
REFERENCE = ["concepts", "method", "proxies", "reproduction", "speed", "adding-a-benchmark"]
TASKS += sorted({page.stem for page in ROOT.glob("docs/*.md")} - {*TASKS, *REFERENCE})

project, author = "nas-proxy-harness", "The nas-proxy-harness developers"
html_title, html_theme, html_show_copyright = project, "furo", False
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/site/api.rst", "notebooks/README.md", "results/README.md"]
include_patterns += [f"results/tables/{name}/*.md" for name in RESULTS]
include_patterns += KEPT
include_patterns += [f"results/{name}.md" for name in SEARCHES]
exclude_patterns = [".*", "build", "dist", "tests", "benchmarks", "harness", "notebooks/results"]
html_extra_path, html_static_path, html_css_files = ["index.html", "../leaderboard.html"], ["static"], ["site.css"]
html_show_sourcelink, smartquotes = False, False
highlight_language = "none"
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_use_legacy_class_based = False


def as_html(table: re.Match[str]) -> str:
    """Return a table of text and numbers as HTML: as nodes of a document, thousands of cells take half a minute."""
    if "](" in table[0]:
        return table[0]
    made = MarkdownIt().enable("table").render(table[0])
    made = made.replace("<table>", '<table class="docutils align-default">')
    made = made.replace(' style="text-align:right"', ' class="text-right"')
    return f'<div class="table-wrapper">\n{made}</div>\n'


def navigation(pages: list[str], caption: str = "") -> str:
    options = [":hidden:", ":maxdepth: 1", *([f":caption: {caption}"] if caption else [])]
    return "\n\n" + "\n".join(["```{toctree}", *options, *pages, "```"]) + "\n"


def adapt(app: Sphinx, docname: str, source: list[str]) -> None:
    """Add to a page what a forge has no need of."""
    text = re.sub(r"\]\(([./]*results/tables/[^/)]+)/?\)", r"](\1/summary.md)", source[0])
    text = re.sub(r"\[([^]]+)\]\(leaderboard\.html\)", r'<a href="../leaderboard.html">\1</a>', text)
    folder, _, page = docname.rpartition("/")
    if docname == "README":
        text += navigation(["Start <self>", *(f"docs/{name}" for name in TASKS), "notebooks/README"], "Tasks")
        text += navigation([*(f"docs/{name}" for name in REFERENCE), "results/README"], "Concepts and methods")
        text += navigation(["API <docs/site/api>", "CONTRIBUTING", "CHANGELOG"], "Development")
    elif docname == "results/README":
        kept = [name.removeprefix("results/").removesuffix(".md") for name in KEPT]
        text += "\n## Every page\n\n" + "".join(f"- [{name}](tables/{name}/summary.md)\n" for name in RESULTS)
        text += "".join(f"- [{name.rpartition('/')[0].replace('/', ': ')}]({name}.md)\n" for name in SEARCHES)
        text += navigation(kept)
    elif folder.startswith("results/"):
        text = TABLE.sub(as_html, text if text.startswith("# ") else f"# {page}: {Path(folder).name}\n\n{text}")
        if page == "summary":
            others = sorted(path.stem for path in (ROOT / folder).glob("*.md") if path.stem != page)
            text += "".join(f"\n- [{name}]({name}.md)" for name in others)
        if f"{docname}.md" not in KEPT:  # reached from results/README, not from the navigation of every page
            text = f"---\norphan: true\n---\n\n{text}"
    source[0] = text


def plain(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make reStructuredText of a docstring in plain words: `code` stays, nothing else is markup, lists stay lists."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    made: list[str] = []
    for paragraph in paragraphs:
        parts = re.split(r"`+([^`]+)`+", paragraph)
        parts[::2] = [re.sub(r"([\\*|_])", r"\\\1", part) for part in parts[::2]]
        parts[1::2] = [f"``{part}``" for part in parts[1::2]]
        said = "".join(parts).split("\n")
        listed = any(line.startswith((" ", "- ")) for line in said)
        made += [f"| {line}" if listed else line for line in said] + [""]
    lines[:] = made


def setup(app: Sphinx) -> None:
    app.connect("source-read", adapt)
    app.connect("autodoc-process-docstring", plain)
