"""What everything rests on: light imports, arguments checked in a sentence, files written whole, exact figures."""

import ast
import subprocess
import sys
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from sparseop import cli, errors, files, plotting, provenance


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("sparseop", ("torch", "cvxpy", "numba", "scipy", "pandas")),
        ("sparseop.linear", ("torch", "cvxpy", "pandas", "matplotlib")),
        ("sparseop.refinery", ("torch", "cvxpy", "sparseop.linear")),
        ("sparseop.inspect", ("torch", "cvxpy", "matplotlib", "sparseop.deep", "sparseop.refinery")),
        ("sparseop.study", ("torch", "cvxpy", "sparseop.linear")),
        ("sparseop.deep", ("cvxpy", "pandas", "scipy", "sklearn", "joblib", "sparseop.linear", "sparseop.refinery")),
    ],
)
def test_imports_stay_light(module, forbidden):
    code = f"import sys, {module}; print(*[m for m in {forbidden!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


#: what each part may import beside itself, and the only import of a study
ARROWS = {
    "theory": {"sparseop"},
    "deep": {"sparseop", "benchmarks"},
    "demos": {"sparseop"},
    "benchmarks": {"sparseop"},
    "gallery": {"sparseop"},
    "sparseop": set(),
    "sparseop/linear": set(),
    "sparseop/refinery": set(),
    "sparseop/deep": set(),
    "sparseop/inspect": set(),
}
ABOVE = {"sparseop/inspect": {"sparseop.linear", "sparseop.deep"}}  #: parts that stand above others
OF_A_STUDY = {("deep/sane_time.py", "deep.sane_shapes")}


def imports(path):
    """Yield the modules that a file imports, anywhere in it; of ``from a import b`` both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("part", ARROWS)
def test_arrows_point_one_way(part):
    tops = {name for name in ARROWS if "/" not in name}
    others = {name.replace("/", ".") for name in ARROWS if "/" in name and "/" in part and name != part}
    for path in (provenance.ROOT / part).rglob("*.py"):
        found = set(imports(path))
        assert {name.split(".")[0] for name in found} & tops <= ARROWS[part] | {part.split("/")[0]}, path
        assert not {
            other
            for other in others - ABOVE.get(part, set())
            for name in found
            if name == other or name.startswith(other + ".")
        }, path


#: the trainers' rooms, and what each may import of the others
SHELVES = {"datasets", "augment", "networks"}  # what every trainer takes from; they know of nobody
TASK_ROOMS = {"labels", "contrastive", "image_prior", "tangent"}  # they never import each other
ROOMS = {
    **dict.fromkeys(SHELVES, SHELVES),
    "training": SHELVES,
    **{room: {"training", *SHELVES} for room in TASK_ROOMS},
    "tasks": {"training", *TASK_ROOMS},
    "trained": {"tasks", "training", *SHELVES},
    "train": {"tasks", "training"},
    "predict": {"tasks", "trained", "training", *SHELVES},
}
DEEP = provenance.ROOT / "sparseop" / "deep"


def test_the_trainers_rooms_know_what_is_below_them_alone():
    for path in DEEP.rglob("*.py"):
        room = path.relative_to(DEEP).parts[0].removesuffix(".py")
        if room != "__init__":
            found = {name.split(".")[2] for name in imports(path) if name.startswith("sparseop.deep.")}
            assert found <= ROOMS[room] | {room}, path


def test_nothing_of_the_trainers_is_loose_but_commands_and_the_table_of_tasks():
    assert {path.stem for path in DEEP.glob("*.py")} <= {"__init__", "tasks", "train", "predict"}
    assert {path.name for path in DEEP.iterdir() if path.is_dir()} - {"__pycache__", "recipes"} == (
        set(ROOMS) - {"tasks", "train", "predict"}
    )


def test_what_a_command_was_typed_stays_in_its_module():
    """Parsed arguments reach one private function beside ``main``, which makes of them what the others take."""
    for path in DEEP.rglob("*.py"):
        names = [node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(node, "args")]
        takers = [
            node.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef) and "argparse.Namespace" in ast.unparse(node.args)
        ]
        assert takers in ([], ["_run"]), path
        assert not takers or "main" in names, path


def test_nothing_imports_a_study():
    files = [path for part in ARROWS for path in (provenance.ROOT / part).rglob("*.py")]
    studies = {
        ".".join(path.relative_to(provenance.ROOT).with_suffix("").parts)
        for path in files
        if "\nSTUDIES = " in path.read_text(encoding="utf-8")
    }
    assert len(studies) > 15
    assert {
        (path.relative_to(provenance.ROOT).as_posix(), name)
        for path in files
        for name in imports(path)
        if name in studies
    } == OF_A_STUDY


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: errors.positive("lam", 0), "lam must be a finite number > 0, got 0."),
        (lambda: errors.positive("lam", True), "lam must be a real number, got True."),
        (lambda: errors.positive("lam", [1.0]), "lam must be a real number"),
        (lambda: errors.nonnegative("rate", -0.1), "rate must be a finite number >= 0, got -0.1."),
        (lambda: errors.between("gamma", 1.0, 0, 1), "gamma must lie in (0, 1), got 1.0."),
        (lambda: errors.between("rho", 0.5, 0, 0.5, ends="[)"), "rho must lie in [0, 0.5), got 0.5."),
        (lambda: errors.integer("rank", 7, 0, 5, why="min(N, p)"), "rank must be >= 0 and <= 5 = min(N, p), got 7."),
        (lambda: errors.integer("rank", 2.0, 0), "rank must be a whole number, got 2.0."),
        (lambda: errors.choice("phi", "TANH", ("tanh", "softplus")), "got 'TANH'. Did you mean 'tanh'?"),
        (
            lambda: errors.array("x", [1, 2], (3,), what="one entry a row"),
            "x must have shape (3) (one entry a row), got (2,).",
        ),
        (lambda: errors.array("x", [1, np.inf], (None,)), "x must be finite, got inf at index 1."),
    ],
)
def test_each_check_says_name_value_and_what_is_allowed(check, words):
    with pytest.raises(errors.InputError) as caught:
        check()
    assert words in str(caught.value)


def test_command_lines_end_as_documented(capsys):
    def wrong():
        raise errors.InputError("lam must be > 0, got -1.")

    def full():
        raise OSError(28, "No space left on device", "figures/fig2.png")

    def stop():
        raise KeyboardInterrupt

    assert cli.run("prog", lambda: None) == 0
    assert cli.run("prog", wrong) == 2
    assert cli.run("prog", full) == 2
    assert cli.run("prog", stop) == 130
    assert capsys.readouterr().err.splitlines() == [
        "prog: error: lam must be > 0, got -1.",
        "prog: error: No space left on device: 'figures/fig2.png'.",
        "prog: interrupted: run the same command again to go on.",
    ]
    with pytest.raises(ZeroDivisionError):  # a bug of ours keeps its traceback
        cli.run("prog", lambda: 1 / 0)


@pytest.mark.parametrize(("arguments", "status", "ran"), [([], 0, [1]), (["--help"], 0, []), (["--nonsense"], 2, [])])
def test_a_command_without_options_asks_before_it_runs(arguments, status, ran, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prog", *arguments])
    done = []
    if ran:
        assert cli.command("prog", lambda: done.append(1)) == status
    else:
        with pytest.raises(SystemExit) as left:
            cli.command("prog", lambda: done.append(1))
        assert left.value.code == status
    assert done == ran


def test_warnings_are_one_sentence(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with cli.plain_warnings():
            warnings.warn("the checksum differs.", stacklevel=1)
    assert capsys.readouterr().err == "warning: the checksum differs.\n"


def test_equal_files_are_left_untouched(tmp_path):
    path = tmp_path / "new" / "file"
    files.write_atomic(path, b"a")
    stamp = path.stat().st_mtime_ns
    files.write_atomic(path, b"a")
    assert path.stat().st_mtime_ns == stamp
    files.write_atomic(path, b"b")
    assert path.read_bytes() == b"b"
    assert list(path.parent.iterdir()) == [path]


def test_figures_are_byte_identical(tmp_path):
    def drawn(folder):
        with plotting.style():
            figure = Figure()
            figure.subplots().plot([1, 2, 3], label="x")
            plotting.caption(figure, "10 trials")
        return [path.read_bytes() for path in plotting.save(figure, tmp_path / folder / "plot")]

    assert drawn("a") == drawn("b")
    for name in ("plot.svg", "plot.pdf"):
        assert f"Matplotlib v{mpl.__version__}".encode() in (tmp_path / "a" / name).read_bytes()


def test_dark_figures_read_on_dark_pages_and_leave_images_alone():
    with plotting.style():
        figure = Figure()
        plain, image = figure.subplots(1, 2)
        (line,) = plain.plot([1, 2], color="black")
        coloured = [plain.plot([2, 1], color=color)[0] for color in plotting.COLORS]
        image.imshow([[0, 1]], cmap=plotting.RATE_MAP)
        on_top = image.text(0, 0, "on the image", color="black")
        plotting.caption(figure, "10 trials")
    plotting.darken(figure)

    def contrast(a, b):
        def luminance(color):
            parts = np.array(to_rgb(color))
            return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (
                0.2126,
                0.7152,
                0.0722,
            )

        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    paper = figure.get_facecolor()
    assert contrast(paper, plotting.DARK_PAPER) == pytest.approx(1, abs=0.01)
    for color in (
        line.get_color(),
        plain.xaxis.label.get_color(),
        plain.get_xticklabels()[0].get_color(),
        plain.spines.left.get_edgecolor(),
    ):
        assert contrast(color, paper) > 7
    for series in coloured:
        assert contrast(series.get_color(), paper) > 3  # the least that WCAG asks of graphics
    assert contrast(figure._supxlabel.get_color(), paper) > 4.5
    assert to_rgb(on_top.get_color()) == (0, 0, 0)


#: what a dichromat sees, on linear RGB (Vienot, Brettel and Mollon 1999)
COLOUR_BLIND = {
    "protanopia": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deuteranopia": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


@pytest.mark.parametrize("eyes", ["everyone", *COLOUR_BLIND])
def test_the_colours_differ_for_every_eye(eyes):
    """Neighbours in the cycle, those most often in one panel, stay apart in CIELAB.

    Dashes and markers tell all of them apart.
    """

    def lab(color):
        linear = np.where((c := np.array(to_rgb(color))) <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        linear = np.clip(np.array(COLOUR_BLIND[eyes]) @ linear, 0, 1) if eyes in COLOUR_BLIND else linear
        xyz = (
            np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
            @ linear
            / (0.9505, 1, 1.089)
        )
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    colors = [lab(color) for color in plotting.COLORS]
    apart = {(i, j): float(np.linalg.norm(colors[i] - colors[j])) for i in range(len(colors)) for j in range(i)}
    assert min(apart.values()) > 10
    assert min(apart[i + 1, i] for i in range(len(colors) - 1)) > 15
    assert len(plotting.MARKERS) == len(plotting.DASHES) == len(set(map(str, plotting.DASHES))) == len(plotting.COLORS)


def test_provenance_names_no_host_or_user():
    record = {
        **provenance.hardware(),
        **provenance.commit(),
        "versions": provenance.versions("numpy", "no-such-package"),
    }
    assert record["versions"]["numpy"] == np.__version__
    assert record["versions"]["no-such-package"] == "not installed"
    assert set(record) == {"processor", "cores", "system", "commit", "dirty", "versions"}
