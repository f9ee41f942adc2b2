"""Between the linear model and the network: what its theory says of one, and what follows for SOP."""

from gallery.entry import OURS, Entry, Evidence, Verdict, claim
from gallery.words import share, sig


def linearised(evidence: Evidence) -> Verdict:
    """Judge the linear model on a network's kernel: the curve, the ratio, the agreement, the accuracies."""
    table = evidence.data("linearised")
    spaces, detection = table[table["part"] == "spaces"], table[table["what"] == "detection"]
    off = ((spaces["measured"] - spaces["predicted"]).abs() / 600).mean()
    right = ((detection["ratio"] < 1) == (detection["auroc"] >= 0.95)).mean()
    agreement = table[table["part"] == "agreement"].groupby("compared")["correlation"].mean()
    linear, other, order = (
        agreement[name] for name in ("linear from early, shared kernel", "other initialisation", "other order")
    )
    accuracy = table[table["what"] == "accuracy"].groupby(["kind", "method"])["accuracy"].mean()
    rows = [
        ("50 % point of random corruption on the network's eigenspaces, off by", "", f"{sig(off, 2)} N"),
        ("largest number of corrupted entries that condition (28) certifies", "", sig(spaces["certified"].max())),
        (
            "cases in which the ratio says whether the entrywise program works",
            "",
            f"{share(right)} of {len(detection)}",
        ),
        (
            "least AUROC of the row-group program where the entrywise one was tried",
            "",
            sig(detection["group_auroc"].min(), 3),
        ),
        (
            "correlation of margins with the deep run's: linear model, another initialisation, another order",
            "",
            f"{sig(linear, 3)}, {sig(other, 3)}, {sig(order, 3)}",
        ),
    ]
    rows += [
        (
            f"mean test accuracy, {kind}: deep SOP, row-group, ridge, entrywise",
            "",
            ", ".join(f"{accuracy[kind, name]:.1f} %" for name in ("deep SOP", "row-group", "ridge", "entrywise")),
        )
        for kind in ("symmetric", "pairflip")
    ]
    return Verdict(
        OURS,
        claim(
            "The curve for random subspaces holds on a network's eigenspaces, labels do not obey it, and a ratio that "
            "can be measured says where the entrywise program works. After eight epochs the linear model is as near to "
            "the deep run as another initialisation of it.",
            off < 0.03 and right > 0.85 and linear > other - 0.02,
        ),
        rows,
    )


def rows_of_sop(evidence: Evidence) -> Verdict:
    """Compare SOP by rows with SOP, noise by noise, and margins with variables."""
    table = evidence.data("sop_rows")
    best = table.loc[table.groupby(["method", "kind", "rate", "seed"])["others"].idxmax()]
    of = best.groupby(["kind", "rate", "method"], sort=False).mean(numeric_only=True)
    noise = list(dict.fromkeys(zip(best["kind"], best["rate"], strict=True)))
    rows = [
        (
            f"{kind} {share(rate)}: test accuracy of SOP, by rows; AUROC of SOP's variables, of its margin",
            "",
            ", ".join(f"{of.loc[(kind, rate, name), 'test']:.1f} %" for name in ("sop", "sop-rows"))
            + "; "
            + ", ".join(sig(of.loc[(kind, rate, "sop"), f"auroc, {score}"], 3) for score in ("variables", "margin")),
        )
        for kind, rate in noise
    ]
    gain = [of.loc[(*key, "sop-rows"), "test"] - of.loc[(*key, "sop"), "test"] for key in noise]
    better = [f"{kind} {share(rate)}" for (kind, rate), by in zip(noise, gain, strict=True) if by > 0]
    margins = sum(of.loc[(*k, "sop"), "auroc, margin"] > of.loc[(*k, "sop"), "auroc, variables"] for k in noise)
    return Verdict(
        OURS,
        f"By rows SOP is better at {', '.join(better) or 'none of the noises'}, by {min(gain):+.1f} to "
        f"{max(gain):+.1f} points over {len(noise)} noises; the margin tells wrong labels better than u and v at "
        f"{margins} of them. "
        f"{best['seed'].nunique()} seeds, {table['switch_on'].nunique()} tries a method.",
        rows,
    )


ENTRIES = (
    Entry(
        "The linear model and the network",
        "the theory on a real tangent kernel",
        "Do the theorem's conditions hold on a network, and does the network do what the linear model predicts?",
        "python -m deep.linearised",
        linearised,
        ("linearised",),
        ("linearised_curve", "linearised_ratio", "linearised_agreement", "linearised_accuracy"),
        ("linearised",),
    ),
    Entry(
        "SOP by rows",
        "one corruption a sample",
        "Over-parameterising each sample's corruption as a group, and margins as suspicion.",
        "python -m deep.sop_rows",
        rows_of_sop,
        ("sop_rows",),
        ("sop_rows",),
        ("sop_rows",),
    ),
)
