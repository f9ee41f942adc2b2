"""The report: one file that asks nobody for anything, fits a phone, and exports what was ticked; and the command."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sparseop.files import read_csv
from sparseop.inspect import demo, inspect_labels, report
from sparseop.inspect.__main__ import main
from sparseop.inspect.thumbnails import ArrayPictures


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The files of an inspection of 400 digits with errors put in."""
    source, truth = demo.source()
    rows = np.arange(400)
    found = inspect_labels(source.features[rows], source.labels[rows], settings=(1.0, 1.0))
    folder = tmp_path_factory.mktemp("digits")
    pictures = ArrayPictures(source.pictures.array[rows])
    report.write(found, folder, title="<b>digits</b> & co", pictures=pictures, truth=truth, then="relabel")
    return folder, found


def test_the_page_stands_alone_and_escapes_names(digits):
    text = (digits[0] / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:|#)", text)
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text
    assert "&lt;b&gt;digits&lt;/b&gt; &amp; co" in text
    assert "<b>digits" not in text


def test_the_page_says_the_numbers_of_the_result(digits):
    folder, found = digits
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert f"About {round(found.number)} of 400 labels are wrong" in text
    assert text.count('type="checkbox"') == max(found.suspects, 12)
    assert text.count("<img") >= found.suspects
    table = read_csv(folder / "suspects.csv")
    assert list(table["row"]) == list(found.table["row"])
    trained = read_csv(folder / "labels.csv")
    assert (trained["label"] != trained["given"]).sum() == found.suspects
    assert not list(folder.glob("*.part"))


def test_a_table_shows_its_rows_where_there_are_no_pictures():
    rng = np.random.default_rng(0)
    kind = np.repeat(["ash", "oak"], 30)
    frame = pd.DataFrame({"height": np.where(kind == "ash", 10, 20) + rng.normal(size=60), "site": "<script>"})
    given = kind.copy()
    given[[3, 40]] = ["oak", "ash"]
    page = report.render(inspect_labels(frame, given), title="trees", frame=frame)
    assert "<dt>height</dt>" in page
    assert "<dd>&lt;script&gt;</dd>" in page


def test_nothing_is_half_written_when_the_page_fails(digits, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise MemoryError

    monkeypatch.setattr(report, "render", fail)
    with pytest.raises(MemoryError):
        report.write(digits[1], tmp_path, title="x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 3), (4, 3, 8, 8), (4, 1, 8, 8), (4, 8, 8, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.uint16])
def test_thumbnails_of_every_layout(shape, kind):
    array = (np.random.default_rng(0).random(shape) * (1 if kind == np.float32 else 255)).astype(kind)
    assert ArrayPictures(array).thumbnail(3).startswith("data:image/")


def test_the_command_writes_its_files_and_a_second_run_uses_what_is_there(tmp_path, capsys):
    X = np.random.default_rng(0).standard_normal((40, 2)) + np.repeat([[0.0], [8.0]], 20, axis=0)
    np.savez(tmp_path / "x.npz", features=X, labels=np.repeat(["a", "b"], 20))
    arguments = [str(tmp_path / "x.npz"), "--out", str(tmp_path / "out"), "--precision", "0.9"]
    assert main(arguments) == 0
    first = capsys.readouterr()
    assert "labels are wrong" in first.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "suspects.csv",
        "labels.csv",
        "report.html",
        ".work",
    }
    before = (tmp_path / "out" / "suspects.csv").read_bytes()
    assert main(arguments) == 0
    assert "finding neighbours" in first.err
    assert "finding neighbours" not in capsys.readouterr().err
    assert (tmp_path / "out" / "suspects.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.csv"], "the input 'nothing.csv' is not there"),
        (["--precision", "2"], "--precision must lie in (0, 1], got 2.0"),
        (["--minutes", "0"], "--minutes must be a finite number > 0"),
        (["--seed", "-1"], "--seed must be >= 0"),
    ],
    ids=["input", "precision", "minutes", "seed"],
)
def test_the_command_refuses_in_one_line_and_writes_nothing(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_package_does_not_hide_pythons_own_inspect(tmp_path):
    code = (
        "import inspect, sparseop.inspect; print(inspect.signature(sparseop.inspect.inspect_labels).parameters['seed'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "seed: int = 0"
    done = subprocess.run(
        [sys.executable, "-m", "sparseop.inspect", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert "--merge-spellings" in done.stdout


def test_the_demonstration_holds_errors_of_both_kinds():
    source, truth = demo.source()
    wrong = source.labels != truth.labels
    assert wrong.mean() == pytest.approx(demo.HUMAN + demo.SLIPS, abs=0.001)
    again, _ = demo.source()
    np.testing.assert_array_equal(source.labels, again.labels)


@pytest.mark.slow
def test_the_demonstration_finds_what_was_put_in(tmp_path):
    assert main(["--out", str(tmp_path)]) == 0
    _, truth = demo.source()
    table = read_csv(tmp_path / "suspects.csv")
    wrong = table["given"].to_numpy() != truth.labels[table["row"]]
    assert wrong[:100].mean() > 0.93
    assert 'id="truth"' in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_the_screen(digits, page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 740})
    page.goto((digits[0] / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
    assert (brightness[0] > brightness[1]) == (scheme == "dark")
    assert abs(brightness[0] - brightness[1]) > 500
    assert page.locator("#export").bounding_box()["height"] >= 30
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


@pytest.mark.browser
def test_ticking_exports_what_was_ticked(digits, page, tmp_path):
    folder, found = digits
    page.goto((folder / "report.html").as_uri())
    page.locator("button.all").first.click()
    first = page.locator("section").first.locator("input")
    assert page.locator("#ticked").inner_text() == f"{first.count()} ticked"
    first.first.uncheck()
    with page.expect_download() as held:
        page.locator("#export").click()
    held.value.save_as(tmp_path / "ticked.csv")
    ticked = read_csv(tmp_path / "ticked.csv")
    assert list(ticked.columns) == ["row", "given", "proposed"]
    assert len(ticked) == first.count() - 1
    mine = found.table.set_index("row").loc[ticked["row"]]
    np.testing.assert_array_equal(ticked["proposed"].astype(str), mine["proposed"])
    page.locator("#none").click()
    assert page.locator("#ticked").inner_text() == "0 ticked"
    assert page.requests == [(folder / "report.html").as_uri()]
