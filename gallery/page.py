"""The gallery in markdown, a wall of thumbnails and a page an entry, from the entries and the evidence alone."""

import re
from collections.abc import Sequence
from typing import Any

from gallery import beyond, bridge, robust, sane, sop
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
    ("beyond", "Beyond the papers", (*bridge.ENTRIES, *beyond.ENTRIES, *robust.ENTRIES)),
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
HEAD = """<!-- Written by `python -m gallery`. Do not edit: change gallery/ or the study, and run `make figures`. -->
# The gallery

Every figure and table of both papers, ours beside the published one, then the studies beyond them: a click leads to the
claim, the picture, the numbers, the command and where they were computed. Every number comes from a committed file
([data](data), [tables](tables), [records of training runs](../deep/results)); `make figures` makes them again,
`make figures FRESH=1` from nothing. What the papers get wrong is in [errata](../docs/errata.md).
"""
COLUMNS = 4


def pages(evidence: Evidence | None = None) -> dict[str, str]:
    """Return the text of every page, by its path below ``figures``: README.md, and one page an entry in ``items``."""
    evidence = evidence or Evidence()
    judged = [(key, title, [(entry, _judge(entry, evidence)) for entry in entries]) for key, title, entries in SECTIONS]
    found = {
        "README.md": "\n".join([HEAD, _counts(judged), *(_wall(*part, evidence) for part in judged), _strays(evidence)])
    }
    for key, _, pairs in judged:
        found |= {f"items/{_slug(key, entry)}.md": _item(entry, verdict, evidence) for entry, verdict in pairs}
    return found


def _judge(entry: Entry, evidence: Evidence) -> Verdict:
    try:
        return entry.judge(evidence)
    except MissingEvidenceError as missing:
        return Verdict("not run yet", f"`{missing}` has not been made yet.")


def _counts(judged: Sequence[tuple[str, str, list[tuple[Entry, Verdict]]]]) -> str:
    counts: dict[str, int] = {}
    for key, _, pairs in judged:
        for _, verdict in pairs:
            if key != "beyond" and verdict.kind != OURS:
                counts[verdict.kind] = counts.get(verdict.kind, 0) + 1
    return (
        "**" + ", ".join(f"{MARK[kind]} {n} {kind}" for kind, n in counts.items()) + "** (of what the papers show).\n"
    )


def _wall(key: str, title: str, pairs: list[tuple[Entry, Verdict]], evidence: Evidence) -> str:
    """Return one section as a wall of thumbnails with verdicts."""
    cells = []
    for entry, verdict in pairs:
        link = f"items/{_slug(key, entry)}.md"
        stem = next((stem for stem in entry.figures if (evidence.root / "figures" / f"{stem}.png").exists()), None)
        image = f'<a href="{link}">{_image(stem, entry.title, "")}</a><br>' if stem else ""
        cells.append(
            f'<td width="{100 // COLUMNS}%" valign="top">{image}<a href="{link}"><b>{entry.name}</b></a>: {entry.title}'
            f"<br>{MARK[verdict.kind]} {verdict.kind}</td>"
        )
    rows = ["<tr>" + "".join(cells[i : i + COLUMNS]) + "</tr>" for i in range(0, len(cells), COLUMNS)]
    return f"## {title}\n\n<table>\n" + "\n".join(rows) + "\n</table>\n"


def _slug(key: str, entry: Entry) -> str:
    return f"{key}-" + re.sub(r"[^a-z0-9]+", "-", f"{entry.name}-{entry.title}".lower()).strip("-")


def _item(entry: Entry, verdict: Verdict, evidence: Evidence) -> str:
    """Return the page of one entry: claim, verdict, numbers, pictures, tables, command, provenance."""
    lines = [
        "<!-- Written by `python -m gallery`: do not edit. -->",
        f"# {entry.name}: {entry.title}\n",
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
    return "\n".join([*lines, "[all of the gallery](../README.md)\n"])


def _picture(stem: str, title: str) -> str:
    return _image(stem, title, "../") + "\n"


def _image(stem: str, title: str, up: str) -> str:
    image = f'<img src="{up}{stem}.png" alt="{title}: {stem.replace("_", " ")}" width="100%">'
    return f'<picture><source media="(prefers-color-scheme: dark)" srcset="{up}dark/{stem}.png">{image}</picture>'


def _table(stem: str, evidence: Evidence) -> str:
    """Return a table; of one that compares with published cells the rows that have a run, and a line for the rest."""
    text = (evidence.root / "figures" / "tables" / f"{stem}.md").read_text(encoding="utf-8").strip()
    where = f"[{stem}](../tables/{stem}.md)"
    lines, rest = text.split("\n"), ""
    table = evidence.table(stem)
    if {"published", "last epoch"} <= set(table.columns):
        run = table["last epoch"] != ""
        if not run.all():
            lines = [*lines[:2], *(line for line, kept in zip(lines[2:], run, strict=True) if kept)]
            rest = f"{int((~run).sum())} of {len(table)} published cells have no run yet: "
        if not run.any():
            return f"{rest}{where}\n"
    text = "\n".join(lines)
    if len(lines) - 2 > FOLD:
        return f"<details><summary>{stem}: {len(lines) - 2} rows</summary>\n\n{text}\n\n{rest}{where}\n</details>\n"
    return f"{text}\n\n{rest}{where}\n"


def _provenance(entry: Entry, evidence: Evidence) -> list[str]:
    lines = []
    for stem in entry.data:
        try:
            lines.append(f"[{stem}.csv](../data/{stem}.csv): {_record(evidence.provenance(stem))}")
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
                f"[deep/results/{folder}](../../deep/results/{folder}): {len(runs)} runs, {hours:.1f} hours on"
                f" {', '.join(where)}"
            )
    return lines or ["from the committed records; nothing is computed"]


def _record(record: dict[str, Any]) -> str:
    hardware = record["hardware"]
    parts = []
    if "core_seconds" in record.get("totals", {}):  # of all cells, also of those that were in the cache
        parts.append(f"{record['totals']['core_seconds']:.0f} s of one core")
    elif "seconds" in record and not record.get("cells_from_cache"):
        parts.append(f"{record['seconds']:.0f} s")
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
            "## Not entered yet\n",
            *(f"### {stem}\n\n{_image(stem, stem, '')}\n" for stem in pictures),
            *(f"- [{stem}](tables/{stem}.md)" for stem in loose),
        ]
    )
