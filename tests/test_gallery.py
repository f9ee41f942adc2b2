"""The gallery says what the committed files say: numbers, verdicts, pictures, links."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from gallery import entry, sop
from gallery import page as pages
from gallery.entry import DIFFERS, NEEDS_GPU, REPRODUCED, Entry, Evidence, Verdict
from gallery.published import cells
from gallery.words import share
from sparseop.files import read_csv
from sparseop.provenance import ROOT

FIGURES = ROOT / "figures"


@pytest.fixture(scope="module")
def wall():
    return (FIGURES / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(wall):
    """The pages of all entries, in the order of the wall."""
    links = list(dict.fromkeys(re.findall(r'href="(items/[^"]+)"', wall)))
    return "\n".join((FIGURES / link).read_text(encoding="utf-8") for link in links)


def section(text, title):
    return re.split(r"\n#+ ", text.split(f"# {title}", 1)[1])[0]


def test_the_committed_pages_are_what_the_committed_data_say():
    found = pages.pages()
    there = {"README.md", *(f"items/{path.name}" for path in (FIGURES / "items").glob("*.md"))}
    assert there == set(found), "run python -m gallery (or make figures)"
    for name, page in found.items():
        assert (FIGURES / name).read_text(encoding="utf-8") == page, f"figures/{name} is behind: run python -m gallery"


def test_both_papers_are_there_in_their_order(text):
    titles = re.findall(r"^# ([^:\n]+):", text, re.MULTILINE)
    assert [t for t in titles if re.match(r"Figure \d$|Table", t)] == [
        *(f"Figure {i}" for i in range(1, 5)),
        *(f"Table {i}" for i in range(1, 6)),
        "Table A.1",
        *(f"Table {i}" for i in range(1, 7)),
    ]


def test_every_picture_and_link_leads_somewhere_and_is_there_for_dark_pages(text, wall):
    for page, folder in ((wall, FIGURES), (text, FIGURES / "items")):
        targets = re.findall(r"\]\(([^)#]+)\)", page) + re.findall(r'(?:src|srcset|href)="([^"]+)"', page)
        assert targets
        for target in targets:
            assert (folder / target).exists(), target
    for path in FIGURES.glob("*.png"):
        assert (FIGURES / "dark" / path.name).exists(), path.name
        assert f'src="../{path.name}"' in text


def test_a_table_that_nobody_ran_is_one_line(text):
    part = section(text, "Table 3: Clothing1M")
    assert re.search(r"\d+ of \d+ published cells have no run yet: \[table3\]", part)
    assert "| Clothing1M" not in part


def test_every_table_shown_is_the_csv_beside_it(text):
    shown = re.findall(r"((?:^\|.*\n)+)\n(?:\d[^\n]*: )?\[(\w+)\]\(\.\./tables/", text, re.MULTILINE)
    assert len(shown) >= 15
    for table, stem in shown:
        rows = [
            [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
            for line in table.strip().split("\n")[2:]
        ]
        expected = read_csv(FIGURES / "tables" / f"{stem}.csv", keep_default_na=False)
        if {"published", "last epoch"} <= set(expected.columns):
            expected = expected[expected["last epoch"] != ""]
        assert len(rows) == len(expected), stem
        for row, values in zip(rows, expected.to_numpy(), strict=True):
            for cell, value in zip(row, values, strict=True):
                if value == "":
                    assert cell in ("", "nan"), stem
                    continue
                try:
                    number = float(str(value))
                except ValueError:
                    assert cell == re.sub(r"\s+", " ", str(value)).strip() or cell == str(value).strip(), stem
                else:
                    assert float(cell) == pytest.approx(number, rel=6e-4, nan_ok=True), stem


def test_every_row_of_every_table_has_as_many_cells_as_its_head(text):
    for table in re.findall(r"((?:^\|.*\n)+)", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.strip().split("\n")}) == 1, table


def test_no_object_leaks_into_the_text(text):
    for leak in ("np.float64", "nan %", "nan dB", "Timestamp", "dtype"):
        assert leak not in text


def test_shares_do_not_round_up_to_all():
    assert [share(x) for x in (1.0, 0.99999, 0.9986, 0.76, 0.0042, 0.0)] == [
        "100 %",
        "99.9 %",
        "99.9 %",
        "76 %",
        "0.42 %",
        "0 %",
    ]


def test_numbers_of_the_figures_by_another_route(text):
    fig1 = read_csv(FIGURES / "data" / "fig1.csv")
    end = fig1[(fig1.method == "SOP") & (fig1.rate == 0.4) & (fig1.epoch == fig1.epoch.max())].train
    assert f"digits: {np.mean(end):.1f} ± {np.std(end, ddof=1):.1f} %" in section(text, "Figure 1:")
    for method in ("ce", "sop"):
        runs = read_csv(
            ROOT / "deep" / "results" / "cifar10_convnet" / f"cifar10_convnet_sym40_{method}-seed0" / "metrics.csv"
        )
        lost = runs.test.max() - runs.test.iloc[-1]
        said = re.search(
            r"CE memorises (\d+) % of the wrong labels and loses ([\d.]+) points, SOP (\d+) % and ([\d.]+)\.",
            section(text, "Figure 1:"),
        )
        assert float(said[2 if method == "ce" else 4]) == pytest.approx(lost, abs=0.11)
    fig3 = read_csv(FIGURES / "data" / "fig3.csv")
    recovered = fig3[np.isfinite(fig3.lam_0)].groupby(["rank", "sparsity", "trial"]).ngroups
    assert f"Each of the {recovered} trials" in section(text, "Figure 3:")
    assert f"{fig3[fig3['where'] == 'above'].theta_error.max():.2g}" in section(text, "Figure 3:")
    fig4 = read_csv(FIGURES / "data" / "fig4.csv")
    assert f"{fig4.trials.sum():,} certified programs" in section(text, "Figure 4:")
    table1 = read_csv(FIGURES / "data" / "table1.csv")
    at = table1[table1.rate == 0.8].groupby("method")["last"].mean()
    assert f"SOP ends at {at['SOP']:.1f} % under 80 % noise, CE at {at['CE']:.1f} %" in section(
        text, "Table 1: symmetric"
    )


def test_published_numbers_are_the_papers():
    published = read_csv(ROOT / "sparseop" / "deep" / "recipes" / "published.csv")
    for key in ("table1", "table2", "table4", "sane_table1", "sane_table4"):
        part = (FIGURES / "tables" / f"{key}.md").read_text(encoding="utf-8")
        for row in published[published.table == key].itertuples():
            assert re.search(
                rf"\| {re.escape(row.dataset)} +\| {re.escape(row.setting)} +\| {re.escape(row.method)} +\|"
                rf" +{row.value:.4g}",
                part,
            ), row


def test_provenance_is_quoted_as_recorded(text):
    record = json.loads((FIGURES / "data" / "fig4.json").read_text())
    line = next(line for line in section(text, "Figure 4:").split("\n") if line.startswith("[fig4.csv]"))
    spent = (
        f"{record['totals']['core_seconds']:.0f} s of one core"
        if "core_seconds" in record["totals"]
        else f"{record['seconds']:.0f} s"
    )
    for part in (
        spent,
        record["hardware"]["processor"],
        record["commit"][:7],
        record["when"][:10],
    ):
        assert part in line
    assert ("uncommitted" in line) == bool(record["dirty"])


# ---- on made-up evidence ---------------------------------------------------------------------------------------------


@pytest.fixture
def made_up(tmp_path):
    for name in ("data", "tables"):
        (tmp_path / "figures" / name).mkdir(parents=True)
    return Evidence(tmp_path)


def beside(made_up, rows):
    columns = ["data set", "setting", "method", "published", "last epoch", "best epoch", "difference", "remarks"]
    pd.DataFrame(rows, columns=columns).to_csv(made_up.root / "figures" / "tables" / "t.csv", index=False)
    return cells("t")(made_up)


def test_verdicts_of_tables(made_up):
    done, far = (
        ["CIFAR-10", "a", "CE", "90", "90.5", "91", "+0.50", ""],
        ["CIFAR-10", "b", "CE", "90", "80.0", "91", "-10.00", ""],
    )
    missing = ["CIFAR-10", "c", "CE", "90", "", "", "", "not run yet"]
    assert beside(made_up, [done]).kind == REPRODUCED
    assert beside(made_up, [done, missing]).kind == DIFFERS
    assert "1 of 2 published cells" in beside(made_up, [done, missing]).why
    assert beside(made_up, [done, far]).kind == DIFFERS
    assert "largest difference is 10.0" in beside(made_up, [done, far]).why
    assert beside(made_up, [missing]).kind == NEEDS_GPU
    assert beside(made_up, [["ImageNet", *missing[1:]]]).kind == entry.NEEDS_DATA


def test_a_figure_that_stops_reproducing_says_so(tmp_path):
    shutil.copytree(FIGURES / "data", tmp_path / "figures" / "data")
    shutil.copytree(FIGURES / "tables", tmp_path / "figures" / "tables")
    evidence, path = Evidence(tmp_path), tmp_path / "figures" / "data" / "fig3.csv"
    assert sop.figure3(evidence).kind == REPRODUCED
    table = read_csv(path)
    table.loc[table["where"] == "above", "theta_error"] = 0.01
    table.to_csv(path, index=False)
    assert sop.figure3(evidence).kind == DIFFERS
    assert sop.figure3(evidence).why.startswith("**No longer so")


def test_no_claim_of_the_committed_page_is_one_that_its_data_contradict(text):
    assert "No longer so" not in text


def test_one_entry_is_all_a_study_needs_and_nothing_made_goes_unseen(made_up, monkeypatch):
    new = Entry(
        "New",
        "a study",
        "What it asks.",
        "python -m theory.new",
        lambda e: Verdict(entry.OURS, f"mean {e.data('new')['x'].mean():.1f}"),
        ("new",),
        (),
        ("new",),
    )
    monkeypatch.setattr(pages, "SECTIONS", (("beyond", "Beyond", (new,)),))
    assert "`figures/data/new.csv` has not been made yet." in pages.pages(made_up)["items/beyond-new-a-study.md"]
    pd.DataFrame({"x": [1.0, 2.0]}).to_csv(made_up.root / "figures" / "data" / "new.csv", index=False)
    for stem in ("new", "stray"):
        (made_up.root / "figures" / f"{stem}.png").touch()
    shown = pages.pages(made_up)
    assert "mean 1.5" in shown["items/beyond-new-a-study.md"]
    assert 'src="../new.png"' in shown["items/beyond-new-a-study.md"]
    assert 'href="items/beyond-new-a-study.md"' in shown["README.md"]
    assert 'src="stray.png"' in shown["README.md"].split("## Not entered yet")[1]


def test_rows_without_a_run_are_counted_and_left_out(made_up):
    rows = [
        ["CIFAR-10", "a", "CE", "90", "90.5", "91", "+0.50", ""],
        ["CIFAR-10", "b", "CE", "90", "", "", "", "not run yet"],
    ]
    columns = ["data set", "setting", "method", "published", "last epoch", "best epoch", "difference", "remarks"]
    frame, folder = pd.DataFrame(rows, columns=columns), made_up.root / "figures" / "tables"
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "t.md").write_text(frame.to_markdown(index=False))
    shown = pages._table("t", made_up)
    assert "90.5" in shown
    assert "not run yet" not in shown
    assert "1 of 2 published cells have no run yet: [t]" in shown
