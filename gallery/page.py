"""The gallery as one page of markdown, from the entries and the evidence alone."""

import re
from collections.abc import Sequence
from typing import Any

from gallery import beyond, robust, sane, sop
from gallery.entry import (
    DIFFERS,
    NEEDS_DATA,
    NEEDS_GPU,
    OTHER_NETWORK,
    OURS,
    REPRODUCED,
    Entry,
    Evidence,
    MissingEvidenceError,
    Verdict,
)

SECTIONS: tuple[tuple[str, str, Sequence[Entry]], ...] = (
    ("sop", "SOP: Robust Training under Label Noise by Over-parameterization (ICML 2022)", sop.ENTRIES),
    ("sane", "SANE: A Theory-Driven Self-Labeling Refinement Method (NeurIPS 2021)", sane.ENTRIES),
    ("beyond", "Beyond the papers", (*beyond.ENTRIES, *robust.ENTRIES)),
)
MARK = {
    REPRODUCED: "✔",
    OTHER_NETWORK: "≈",
    DIFFERS: "≠",
    NEEDS_GPU: "○",
    NEEDS_DATA: "○",
    OURS: "+",
    "not run yet": "…",
}
FOLD = 12  # longer tables are folded away
HEAD = """<!-- Written by `python -m gallery`. Do not edit: change the entries in gallery/, or the study, and run `make figures`. -->
# The gallery

Every figure and table of both papers in order, ours beside the published one, then the studies beyond them. Every number on this page comes from a committed
file: [data](data) (CSV with provenance beside it), [tables](tables) (markdown, LaTeX, CSV), [records of training runs](../deep/results). `make figures` makes it again,
recomputing what takes minutes and redrawing the rest from the records; `make figures FRESH=1` recomputes every study that needs no GPU and no closed data. Left out are the
finest grids (`--full`), the measurements (`make bench`, `deep.table5`) and the single training runs of [deep/results](../deep/results). What the
papers get wrong is in [errata](../docs/errata.md).
"""


def page(evidence: Evidence | None = None) -> str:
    """Return the text of ``figures/README.md``."""
    evidence = evidence or Evidence()
    judged = [(key, title, [(entry, _judge(entry, evidence)) for entry in entries]) for key, title, entries in SECTIONS]
    parts = [HEAD, _overview(judged)]
    for key, title, pairs in judged:
        parts.append(f"# {title}\n")
        parts += [_entry(key, entry, verdict, evidence) for entry, verdict in pairs]
    parts.append(_strays(evidence))
    return "\n".join(part for part in parts if part)


def _judge(entry: Entry, evidence: Evidence) -> Verdict:
    try:
        return entry.judge(evidence)
    except MissingEvidenceError as missing:
        return Verdict("not run yet", f"`{missing}` has not been made yet.")


def _overview(judged: Sequence[tuple[str, str, list[tuple[Entry, Verdict]]]]) -> str:
    counts: dict[str, int] = {}
    for key, _, pairs in judged:
        for _, verdict in pairs:
            if key != "beyond" and verdict.kind != OURS:
                counts[verdict.kind] = counts.get(verdict.kind, 0) + 1
    lines = [
        "**" + ", ".join(f"{n} {kind}" for kind, n in counts.items()) + "** (of what the papers show).\n",
        "| | verdict | |",
        "| --- | --- | --- |",
    ]
    for key, _, pairs in judged:
        for entry, verdict in pairs:
            lines.append(
                f"| [{key.upper() + ' ' if key != 'beyond' else ''}{entry.name}](#{_anchor(key, entry)}) |"
                f" {MARK[verdict.kind]} {verdict.kind} | {entry.title} |"
            )
    return "\n".join(lines) + "\n"


def _anchor(key: str, entry: Entry) -> str:
    return f"{key}-" + re.sub(r"[^a-z0-9]+", "-", f"{entry.name}-{entry.title}".lower()).strip("-")


def _entry(key: str, entry: Entry, verdict: Verdict, evidence: Evidence) -> str:
    lines = [
        f'<a id="{_anchor(key, entry)}"></a>\n',
        f"## {entry.name}: {entry.title}\n",
        f"{entry.says}\n",
        f"{MARK[verdict.kind]} **{verdict.kind}**. {verdict.why}\n",
    ]
    if verdict.beside:
        lines += [
            "| | published | here |",
            "| --- | --- | --- |",
            *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in verdict.beside),
            "",
        ]
    lines += [
        _picture(stem, entry.title) for stem in entry.figures if (evidence.root / "figures" / f"{stem}.png").exists()
    ]
    lines += [
        _table(stem, evidence)
        for stem in entry.tables
        if (evidence.root / "figures" / "tables" / f"{stem}.md").exists()
    ]
    lines.append(f"`{entry.command}`" + "".join(f"  \n{line}" for line in _provenance(entry, evidence)) + "\n")
    return "\n".join(lines)


def _picture(stem: str, title: str) -> str:
    image = f'<img src="{stem}.png" alt="{title}: {stem.replace("_", " ")}" width="100%">'
    return f'<picture><source media="(prefers-color-scheme: dark)" srcset="dark/{stem}.png">{image}</picture>\n'


def _table(stem: str, evidence: Evidence) -> str:
    text = (evidence.root / "figures" / "tables" / f"{stem}.md").read_text(encoding="utf-8").strip()
    where = f"[{stem}](tables/{stem}.md)"
    if text.count("\n") - 1 > FOLD:
        return f"<details><summary>{stem}: {text.count(chr(10)) - 1} rows</summary>\n\n{text}\n\n{where}\n</details>\n"
    return f"{text}\n\n{where}\n"


def _provenance(entry: Entry, evidence: Evidence) -> list[str]:
    lines = []
    for stem in entry.data:
        try:
            lines.append(f"[{stem}.csv](data/{stem}.csv): {_record(evidence.provenance(stem))}")
        except MissingEvidenceError:
            continue
    for folder in entry.runs:
        runs = evidence.runs_in(folder)
        if runs:
            hours = sum(run["summary"].get("seconds", 0) for run in runs) / 3600
            where = sorted(
                {
                    (
                        run["hardware"].get("device", "")
                        if run["hardware"].get("device") != "cpu"
                        else run["hardware"]["processor"]
                    )
                    for run in runs
                }
            )
            lines.append(
                f"[deep/results/{folder}](../deep/results/{folder}): {len(runs)} runs, {hours:.1f} hours on"
                f" {', '.join(where)}"
            )
    return lines or ["from the committed records; nothing is computed"]


def _record(record: dict[str, Any]) -> str:
    hardware = record["hardware"]
    parts = []
    if "seconds" in record:
        cached = record.get("cells_from_cache", 0)
        parts.append(
            f"{record['seconds']:.0f} s" + (f" ({cached} of {record['cells']} cells from the cache)" if cached else "")
        )
    parts += [
        f"{hardware['cores']} cores, {hardware['processor']}",
        record["when"][:10],
        f"commit {record['commit'][:7]}" + (" with uncommitted changes" if record.get("dirty") else ""),
    ]
    versions = record.get("versions", {})
    return ", ".join([*parts, *(f"{name} {versions[name]}" for name in ("numpy", "torch") if name in versions)])


def _strays(evidence: Evidence) -> str:
    """Show what no entry has claimed, so that nothing that was made goes unseen."""
    every = [entry for _, _, entries in SECTIONS for entry in entries]
    pictures = sorted(
        {path.stem for path in (evidence.root / "figures").glob("*.png")}.difference(
            *(entry.figures for entry in every)
        )
    )
    loose = sorted(
        {path.stem for path in (evidence.root / "figures" / "tables").glob("*.md")}.difference(
            *(entry.tables for entry in every)
        )
    )
    if not pictures and not loose:
        return ""
    return "\n".join(
        [
            "# Not entered yet\n",
            *(f"## {stem}\n\n{_picture(stem, stem)}" for stem in pictures),
            *(f"## {stem}\n\n{_table(stem, evidence)}" for stem in loose),
        ]
    )
