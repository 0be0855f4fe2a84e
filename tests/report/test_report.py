"""The report says what the summary says, in every form, and nothing from outside gets to act in it."""

import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from toy_runs import HOSTILE, toy_run

from benchmarks.errors import UserError
from harness.analysis.populations import POPULATIONS, rows_of
from harness.analysis.summary import Summary, summarise
from harness.cli import report as command
from harness.report import compare, html, page, points, style, tables, text
from harness.report.page import write_report
from harness.report.style import number
from harness.report.text import print_summary
from harness.store.stored_run import StoredRun, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> StoredRun:
    return toy_run(tmp_path_factory.mktemp("runs"), hostile=HOSTILE)


@pytest.fixture(scope="module")
def summary(run) -> Summary:
    return summarise(run, resamples=20)


@pytest.fixture(scope="module")
def written(run, summary) -> dict[str, Path]:
    return write_report(run, summary)


@pytest.fixture(scope="module")
def html_text(written) -> str:
    return written["html"].read_text("utf-8")


class Tags(HTMLParser):
    """Every tag with its attributes, as a browser would see them."""

    def __init__(self, page_text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict]] = []
        self.feed(page_text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def printed(run: StoredRun, summary: Summary, width: int = 120, **settings) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_summary(run, summary, console, **settings)
    return console.file.getvalue()


def test_every_promised_file_is_there_and_none_is_half_written(written, run):
    tables_written = {"summary", "regret", "differences", "agreement", "strata", "ceiling", "failures"}
    names = ("scatter", "correlation", "agreement", "regret")
    figures = {f"figures/{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")}
    assert set(written) == {f"{name}.csv" for name in tables_written} | {"summary.md", "html"} | figures
    assert all(path.stat().st_size > 50 for path in written.values())
    assert not list(run.path.rglob("*.part"))
    assert written["html"] == run.path / "report.html"


def test_csv_reads_back_to_the_summary(written, summary, run):
    pd.testing.assert_frame_equal(pd.read_csv(written["summary.csv"]), summary.table, check_dtype=False, rtol=1e-15)
    pd.testing.assert_frame_equal(pd.read_csv(written["regret.csv"]), summary.regret, check_dtype=False, rtol=1e-15)
    back = pd.read_csv(written["agreement.csv"]).set_index(["population", "proxy", "other"])["rho"]
    assert back["distinct", "naswot", "params"] == pytest.approx(summary.agreement["distinct"].loc["naswot", "params"])
    assert pd.read_csv(written["failures.csv"])["reason"].tolist() == run.failures["reason"].tolist()


def test_terminal_table_shows_the_summary(run, summary):
    shown = printed(run, summary)
    assert max(map(len, shown.splitlines())) <= 120
    main, strict = shown.split("stricter correlations")
    line = next(line for line in main.splitlines() if line.strip().startswith("zen†"))
    row = style.rows(summary, "all")["zen"]
    for value in (row["tau_b"], row["rho"]):
        assert f"{value:.3f}" in line
    assert f"[{row['rho_low']:.2f}, {row['rho_high']:.2f}]" in line
    assert line.split()[-5:] == [f"{row['regret_10']:.2f}", "90", "0", "13", "0.25"]
    head = next(line for line in strict.splitlines() if line.split()[:1] == ["proxy"])
    assert "@100" not in main and "top 10 %" not in head, "of 90 architectures neither says anything"
    for name in ("params", "plain", "synflow"):
        said = next(line for line in main.splitlines() if line.split()[:1] == [name]).replace("[", "").replace("]", "")
        numbers = [float(word.strip(",")) for word in said.split()[1:]]
        row = style.rows(summary, "all")[name]
        columns = (
            "tau_b",
            "tau_b_low",
            "tau_b_high",
            "rho",
            "rho_low",
            "rho_high",
            "regret_1",
            "regret_10",
        )
        assert numbers[:8] == pytest.approx([row[column] for column in columns], abs=0.0051)
        assert numbers[0] == pytest.approx(row["tau_b"], abs=0.00051)
        assert numbers[8:] == [row["n"], row["failed"], row["ties"], 0.25]
    failing = next(line for line in main.splitlines() if line.strip().startswith("naswot"))
    assert failing.split()[-4:-1] == ["89", "1", "0"]
    cells = next(line for line in strict.splitlines() if line.strip().startswith("zen†")).split()
    assert cells[1:4] == [number(style.rows(summary, name)["zen"]["rho"]) for name in POPULATIONS]
    picks = next(line for line in main.splitlines() if "random picks" in line).split()
    assert picks[2:4] == [style.random_picks(summary, "all")[f"regret_{k}"] for k in (1, 10)]


def test_terminal_says_which_truth_and_what_the_columns_are(run, summary):
    shown = " ".join(printed(run, summary).split())
    for word in ("test accuracy", "200 epochs", "embedded", "noise ceiling", "failed", "regret@k", "fitted", "94.40 %"):
        assert word in shown
    assert "[/" not in shown  # no markup left over


def test_narrow_terminal_drops_columns_and_says_so(run, summary):
    shown = printed(run, summary, width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "columns that do not fit: tau-b interval" in shown and "…" not in shown
    head = next(line for line in shown.splitlines() if "regret@1" in line).split()
    assert head[0] == "proxy" and head[-2:] == ["n", "failed"]


@pytest.mark.parametrize("width", [100, 104, 110, 120])
def test_no_column_is_cut_off(run, summary, width):
    shown = printed(run, summary, width=width)
    assert max(map(len, shown.splitlines())) <= width and "…" not in shown
    left_out = re.findall(r"columns that do not fit: (.*?)\s*noise ceiling", shown, re.DOTALL)
    gone = " ".join(left_out[0].split()).split(", ") if left_out else []
    heads = [line for line in shown.splitlines() if line.split()[:1] == ["proxy"]]
    for heading, at in (("failed", 0), ("ties", 0), ("s/arch", 0), ("within-size rho", 1), ("beats params?", 1)):
        assert (heading in gone) != (heading in heads[at])


@pytest.mark.parametrize("population", ["connected", "distinct"])
def test_other_populations_are_printed_on_request(run, summary, population):
    assert f"population: {population}" in printed(run, summary, populations=(population,))
    assert f"population: {population}" not in printed(run, summary)


def test_baselines_come_last_after_fitted_scores_and_undefined_after_defined(summary):
    names = style.ordered(summary, "all")
    assert set(names[-2:]) == {"params", "random"} and names[-4:-2] == ["constant", "zen"]  # zen was fitted here
    rho = [style.rows(summary, "all")[name]["rho"] for name in names[:-3]]
    assert rho == sorted(rho, reverse=True)


def test_markdown_holds_the_values_and_stays_a_table(written, summary):
    lines = written["summary.md"].read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1  # hostile names broke no row
    row = style.rows(summary, "all")["plain"]
    line = next(line for line in rows if line.startswith("| plain "))
    assert (
        f"{row['rho']:.3f} [{row['rho_low']:.2f}, {row['rho_high']:.2f}]" in line
        and f"| {row['regret_1']:.2f} |" in line
    )
    assert not re.search(r"<(?!br)[a-z/]", "\n".join(lines))


def test_page_table_holds_full_values(html_text, summary):
    row = style.rows(summary, "distinct")["plain"]
    block = html_text.split('data-for="distinct"')[2]
    for column in ("tau_b", "rho", "rho_partial_params", "regret_1", "rho_worst", "rho_seed_sd"):
        assert f'data-value="{float(row[column])!r}"' in block


def test_page_is_one_file_without_network(html_text):
    tags = Tags(html_text).seen
    links = [attrs["href"] for _, attrs in tags if "href" in attrs]
    assert all(link.startswith(("#", "data:text/csv;base64,")) for link in links)
    sections = {attrs["id"] for tag, attrs in tags if tag == "section"}
    assert {link[1:] for link in links if link.startswith("#")} == sections, "the contents"
    assert not [attrs for _, attrs in tags if "action" in attrs]
    sources = [(tag, attrs["src"]) for tag, attrs in tags if "src" in attrs]
    assert all(tag == "img" and source.startswith("data:image/svg+xml;base64,") for tag, source in sources)
    assert "http://" not in html_text and "https://" not in html_text and "@import" not in html_text
    assert [tag for tag, _ in tags].count("script") == 2


def test_the_page_holds_its_tables_for_download(html_text, summary):
    found = dict(re.findall(r'download="([^"]*)" href="data:text/csv;base64,([^"]*)"', html_text))
    assert set(found) == {"summary.csv", "differences.csv", "regret.csv", "scores.csv"}
    read = pd.read_csv(io.BytesIO(base64.b64decode(found["summary.csv"])))
    np.testing.assert_allclose(read["rho"], summary.table["rho"])


def test_the_verdict_is_in_the_second_column_and_provenance_is_folded(html_text, summary):
    first = html_text[html_text.index('<table class="sortable">') :]
    heads = re.findall(r"<button type=\"button\">([^<]*)</button>", first[: first.index("</thead>")])
    assert heads[:2] == ["proxy", "beats params?"] and "regret@100" not in heads
    provenance = html_text[html_text.index('id="provenance"') :]
    assert provenance.index("<details>") < provenance.index("<table")


def test_warnings_are_on_top_of_page_terminal_and_markdown(run, summary):
    said = "CIFAR-100: a SUBSTITUTE, not the benchmark's images, 332 images, PARTIAL (all: 50,000), from images/x.npz"
    facts = {"minibatch": said, "embedded": False, "table_size": 90}
    warned = replace(run, manifest=run.manifest | facts)
    lines = text.warning_lines(warned)
    assert len(lines) == 3 and "substitutes" in lines[0] and "332 images" in lines[1] and "90 of" in lines[2]
    html_page, terminal = page.page(warned, summary), " ".join(printed(warned, summary).split())
    for line in lines:
        assert line.split("'")[0] in html_page and line in terminal
        assert line in tables.markdown(warned, summary).replace("\\", "")
    assert html_page.index("Warning:") < html_page.index("<nav>")
    assert text.warning_lines(run) == []


def test_hostile_strings_stay_text(html_text):
    tags = Tags(html_text).seen
    assert not [tag for tag, attrs in tags if tag in ("b", "iframe") or attrs.get("src") == "x"]
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
    assert "&lt;/script&gt;" in html_text  # it is there, as text
    data = json.loads(re.search(r'id="points">(.*?)</script>', html_text, re.S)[1])
    assert data["archs"][4] == f"|{HOSTILE}~0|"
    assert HOSTILE in [proxy["name"] for proxy in data["proxies"]]


def test_escaping_is_what_keeps_them_text(run, summary, monkeypatch):
    """The test above can fail: without escaping the tags are there."""
    unsafe = html.environment().overlay(autoescape=False, loader=html.PackageLoader("harness.report", ""))
    monkeypatch.setattr(html, "environment", lambda: unsafe)
    assert [tag for tag, attrs in Tags(page.page(run, summary)).seen if tag == "img" and attrs["src"] == "x"]


def test_policy_names_the_page_s_own_script(html_text):
    import hashlib

    script = re.search(r"<script>(.*)</script>", html_text, re.S)[1]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in html_text.split("<title>")[0]


def test_provenance_and_failures_are_on_the_page(html_text):
    for words in ("ab" * 32, "settings.batch_size", "statistics.resamples", "score is inf", "embedded"):
        assert words in html_text


def test_same_run_same_bytes(run, summary, written, tmp_path):
    again = write_report(run, summarise(run, resamples=20), tmp_path)
    for name, path in again.items():
        assert path.read_bytes() == written[name].read_bytes(), name


@pytest.mark.parametrize("population", ["all", "connected", "distinct"])
def test_scatter_draws_the_summary_s_populations(run, summary, population):
    members = points.scatter_data(run, summary)["members"][population]
    np.testing.assert_array_equal(np.flatnonzero(members), rows_of(run, population))


def test_page_draws_the_figure_files(html_text, written):
    sources = [base64.b64decode(source) for source in re.findall(r"svg\+xml;base64,([^\"]*)", html_text)]
    for name in ("correlation", "regret"):
        assert written[f"figures/{name}.svg"].read_bytes() in sources
    assert len(sources) == 2 * len(POPULATIONS)


def test_few_points_are_all_drawn(run, summary):
    data = points.scatter_data(run, summary)
    assert data["total"] == len(data["archs"]) == len(run.archs)
    naswot = next(proxy for proxy in data["proxies"] if proxy["name"] == "naswot")
    assert naswot["score"]["at"][4] == -1 and naswot["values"][4] is None  # failed: not drawn
    best = int(np.argmax(np.where(np.isfinite(run.scores["naswot"]), run.scores["naswot"], -np.inf).mean(axis=0)))
    assert naswot["picks"]["all"][0] == best and max(naswot["rank"]["at"]) == naswot["rank"]["at"][best]


def test_many_points_are_thinned_and_the_count_is_said(tmp_path):
    big = toy_run(tmp_path, archs=9000, seeds=1)
    summary = summarise(big, resamples=2, populations=("all",))
    data = points.scatter_data(big, summary)
    assert len(data["archs"]) == points.MOST_POINTS and data["total"] == 9000
    assert data == points.scatter_data(big, summary)
    drawn = set(data["archs"])
    for name in ("naswot", "plain"):
        for place in points.top(style.mean_scores(big, name), np.isfinite(big.accuracy)):
            assert big.archs[place] in drawn
    assert big.archs[int(np.argmax(big.accuracy))] in drawn
    assert len(page.page(big, summary)) < 3_000_000


def test_a_run_where_nothing_worked_is_still_reported(tmp_path, no_figures):
    run = toy_run(tmp_path, archs=40, seeds=1)
    for name, values in run.scores.items():
        if name != "params":
            values[:] = np.nan
    paths = write_report(run, summarise(run, resamples=5))
    assert "undefined" in paths["html"].read_text("utf-8")
    assert "undecided" in printed(run, summarise(run, resamples=5))


def test_whole_space_has_no_intervals_and_the_legend_says_so(tmp_path):
    run = toy_run(tmp_path, archs=40)
    run.manifest["space_size"] = 40
    assert "whole space was scored" in " ".join(printed(run, summarise(run)).split())


def test_unwritable_folder_is_one_line(run, summary, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*give another folder"):
        write_report(run, summary, tmp_path / "file" / "out")


# The command line


def stored(run: StoredRun) -> Path:
    import h5py

    run.path.mkdir(parents=True, exist_ok=True)
    (run.path / "manifest.json").write_text(json.dumps(run.manifest))
    with h5py.File(run.path / "scores.h5", "w") as file:
        write_run(file, run)
    return run.path


def test_command_remakes_a_report_from_the_stored_run(tmp_path, capsys, no_figures):
    folder = stored(toy_run(tmp_path, archs=40, hostile="mine"))
    assert command.main([str(folder), "--resamples", "5"]) == 0
    assert (folder / "report.html").is_file() and "population: all" in capsys.readouterr().out


def test_command_puts_several_runs_side_by_side(tmp_path, capsys, no_figures):
    one, other = toy_run(tmp_path / "a", archs=40, hostile="mine"), toy_run(tmp_path / "b", archs=50, hostile="yours")
    folders = [str(stored(run)) for run in (one, other)]
    assert command.main([*folders, "--out", str(tmp_path / "both"), "--resamples", "5"]) == 0
    rows = list(csv.DictReader((tmp_path / "both" / "comparison.csv").open()))
    by = {(row["run"], row["proxy"]): row for row in rows}
    rho = style.rows(summarise(other, resamples=5), "all")["plain"]["rho"]
    assert float(by["b/toy", "plain"]["rho"]) == pytest.approx(rho)
    assert by["a/toy", "yours"]["rho"] == "" and by["b/toy", "yours"]["rho"]
    assert (tmp_path / "both" / "figures" / "comparison.svg").is_file()
    shown = capsys.readouterr().out
    assert "b/toy" in shown and f"{rho:.3f}" in shown and "differ in ground truth, protocol or architectures" in shown
    assert "| plain |" in (tmp_path / "both" / "comparison.md").read_text()


def test_runs_of_one_name_are_told_apart(tmp_path):
    runs = [toy_run(tmp_path / part, archs=10) for part in ("x", "y", "y")]
    assert compare.labels(runs) == ["x/toy", "y/toy (1)", "y/toy (2)"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "neither"], r"nowhere.*neither"),
        (["nowhere", "--population", "conected"], "did you mean connected"),
    ],
)
def test_command_says_what_is_wrong_in_one_line(arguments, said, capsys):
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert re.search(said, error) and error.count("\n") == 1


def test_help_is_fast_and_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "harness.report", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "RUN" in done.stdout
    assert not re.search(r"\| +(torch|matplotlib|scipy|pandas|h5py|sklearn|rich)$", done.stderr, re.M)


# In a browser


def test_sorting_and_switching_in_a_browser(html_text, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium to open the page in")
    probe = """<script>{
      const rows = () => [...document.querySelectorAll('[data-for=all] .sortable tbody tr')];
      const order = () => rows().map(row => row.cells[2].dataset.value ?? 'none');
      const button = document.querySelectorAll('[data-for=all] .sortable thead button')[2];
      button.click(); const falling = order(); button.click(); const rising = order();
      document.querySelector('input[value=distinct]').click();
      const shown = [...document.querySelectorAll('#table .population')].filter(e => !e.hidden).map(e => e.dataset.for);
      const panels = document.querySelectorAll('canvas').length;
      document.title = JSON.stringify({falling, rising, shown, panels, hit: window.hit ?? 0});
    }</script>"""
    open_page = re.sub(r"<meta http-equiv[^>]*>", "", html_text).replace("</body>", probe + "</body>")
    (tmp_path / "page.html").write_text(open_page, "utf-8")
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=3000", "--dump-dom", f"file://{tmp_path / 'page.html'}"],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    import html as entities

    found = json.loads(entities.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.S)[1]))
    falling = [float(value) for value in found["falling"] if value != "none"]
    assert falling == sorted(falling, reverse=True) and found["falling"][-1] == "none"
    assert [float(value) for value in found["rising"][:-1]] == falling[::-1] and found["rising"][-1] == "none"
    assert found["shown"] == ["distinct"] and found["panels"] == 8
    assert found["hit"] == 0
