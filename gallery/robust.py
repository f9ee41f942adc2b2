"""The linear laboratory beyond the paper's program: tables, several outputs, open questions."""

import numpy as np

from gallery.entry import OURS, Entry, Evidence, Verdict, claim
from gallery.words import share, sig


def tables(evidence: Evidence) -> Verdict:
    """Say which methods find the literature's outliers, and what the row diagnostics say."""
    found = evidence.data("robust_tables")
    ours = found[found["method"] == "sparse corruption"].set_index("name")
    full = found.groupby("method")[["found", "known"]].sum()
    complete = sorted(full.index[full["found"] == full["known"]])
    error = evidence.data("robust_corruption")
    error = error[error["share"] == error["share"].max()].groupby(["where", "method"])["error"].median()
    rows = [
        (f"{name}: known outliers found, others flagged", "", f"{row['found']} of {row['known']}, {row['false']}")
        for name, row in ours.iterrows()
    ]
    rows += [
        (
            f"error of θ with the most wrong rows, {where}: ours, with σ = 0, MM",
            "",
            ", ".join(
                sig(error[where, method]) for method in ("sparse corruption", "sparse corruption, sigma = 0", "MM")
            ),
        )
        for where in ("y", "leverage")
    ]
    return Verdict(
        OURS,
        claim(
            "Against leverage points the program fails, as every convex loss of the residuals does: in Hawkins, Bradu"
            " and Kass's table it flags the four good ones and none of the ten bad. The row diagnostics name such rows"
            " beforehand.",
            ours.loc["hawkins_bradu_kass", "found"] == 0 and ours.loc["stars", "could_hide"] == 4,
        )
        + f" All outliers of the three tables are found by {', '.join(complete)}.",
        rows,
    )


def flows(evidence: Evidence) -> Verdict:
    """Compare the flows with the program at the smallest gamma."""
    table = evidence.data("group_flow")
    last = table[table["scale"] == table["scale"].max()]
    recovers = last[last["program_error"] < 1e-3]
    ok = (recovers["error"] < 1e-3).groupby(recovers["kind"]).mean()
    away = last[last["program_error"] >= 1e-3].groupby("kind")["difference"].median()
    rows = [
        (
            f"{kind}: share recovered where the program recovers; difference to it where it does not",
            "",
            f"{share(ok[kind])}; {sig(away[kind])}",
        )
        for kind in ok.index
    ]
    return Verdict(
        OURS,
        claim(
            "s = u∘u - v∘v on many directions for each row has the row-group program as its limit; products of a number"
            " and a vector come close; normalised vectors often do not find the rows, because they do not turn.",
            ok["directions 32"] > 0.95 and ok["products"] > 0.95 and ok["normalised"] < 0.7,
        ),
        rows,
    )


def questions(evidence: Evidence) -> Verdict:
    """Measure the four answers."""
    table = evidence.data("open_questions")
    tail = table[(table["question"] == "tail") & (table["x"] < 0.1)]
    slopes = [
        np.polyfit(np.log(part["x"]), np.log(part["error"]), 1)[0]
        for _, part in tail.assign(kind=tail["kind"].astype(str)).groupby("kind")
    ]
    steps = (
        table[(table["question"] == "steps") & (table["kind"] == "stochastic")]
        .groupby("x")[["error", "other"]]
        .median()
    )
    depth = table[(table["question"] == "depth") & (table["x"] == table.loc[table["question"] == "depth", "x"].min())]
    depth = depth.assign(kind=depth["kind"].astype(int)).groupby("kind")["error"].median()
    sizes = table[(table["question"] == "sizes") & (table["kind"] == "not recovered")]
    sizes = sizes[sizes["x"] == sizes["x"].max()][["error", "other"]].median()
    return Verdict(
        OURS,
        claim(
            "A tail of the spectrum is noise; stochastic descent has the same limit; initial sizes are weights; depth"
            " three and more has the same penalty, more sharply.",
            max(abs(slope - 2) for slope in slopes) < 0.2
            and steps["error"].iloc[0] < steps["error"].iloc[-1]
            and sizes["error"] < 0.2 * sizes["other"]
            and depth[3] < 0.1 * depth[2],
        ),
        [
            (
                "exponent of the error in the size τ of the tail, least and largest over λ",
                "2",
                f"{min(slopes):.3f}, {max(slopes):.3f}",
            ),
            (
                "one row at a time, smallest step: distance to the flow's limit, to the limit for the sizes left",
                "",
                f"{sig(steps['error'].iloc[0])}, {sig(steps['other'].iloc[0])}",
            ),
            (
                "sizes as weights, not recovered: distance to the weighted program, to the plain one",
                "",
                f"{sig(sizes['error'])}, {sig(sizes['other'])}",
            ),
            (
                "distance to the program at the smallest γ: depth 2, 3, 4, 6",
                "",
                ", ".join(sig(depth[q]) for q in (2, 3, 4, 6)),
            ),
        ],
    )


ENTRIES = (
    Entry(
        "Robust regression",
        "classical tables and growing corruption",
        "The program with noise beside the robust regressions in use, on tables that have been tried for decades.",
        "python -m theory.robust_tables",
        tables,
        ("robust_corruption",),
        ("robust_tables", "robust_corruption"),
        ("robust_tables", "robust_corruption"),
    ),
    Entry(
        "Several outputs",
        "which flow is sparse by rows",
        "Figure 2 for the row-group program, for three over-parameterisations (docs/theory.md).",
        "python -m theory.group_flow",
        flows,
        ("group_flow",),
        ("group_flow",),
        ("group_flow",),
    ),
    Entry(
        "Open questions",
        "tails, steps, sizes, depth",
        "Four questions that the paper leaves open (docs/theory.md has the proofs).",
        "python -m theory.open_questions",
        questions,
        ("open_questions",),
        (),
        ("open_questions",),
    ),
)
