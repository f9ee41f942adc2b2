"""When a table counts as reproduced with another network: three rules, each a count of what holds."""

from dataclasses import dataclass

import pandas as pd

from gallery.entry import DIFFERS, OTHER_NETWORK

DISTANCE = 2.0  #: points that a cell may end below the published one
APART = 1.0  #: points that two published methods must lie apart for their order to count
GAP = 0.5  #: share of the published gain of SOP over cross-entropy that must be there


@dataclass(frozen=True)
class Judged:
    """Counts of what holds, of how many; a rule without a case holds nothing against the table."""

    cells: tuple[int, int]
    orders: tuple[int, int]
    gaps: tuple[int, int]
    missing: int

    @property
    def kind(self) -> str:
        """Reproduced with another network where every rule holds and no row of CE or SOP is missing."""
        whole = self.cells[1] > 0 and self.missing == 0
        return OTHER_NETWORK if whole and all(a == b for a, b in (self.cells, self.orders, self.gaps)) else DIFFERS

    def text(self) -> str:
        """Return the counts in words."""
        (near, cells), (kept, orders), (gained, gaps) = self.cells, self.orders, self.gaps
        missing = f" {self.missing} rows of CE and SOP have no run yet." if self.missing else ""
        return (
            f"{near} of {cells} results end at most {DISTANCE:g} points below the published one or above it; {kept} of"
            f" {orders} pairs of methods that are published more than {APART:g} point apart stand in the same order;"
            f" SOP's gain over CE is at least {GAP:.0%} of the published in {gained} of {gaps} settings.{missing}"
        )


def judge(table: pd.DataFrame) -> Judged:
    """Return what holds in a table of columns setting, method, published and difference ('' where there is no run)."""
    compared = table[table["published"] != ""]
    whole = compared.assign(published=pd.to_numeric(compared["published"]))
    ran = whole[whole["difference"] != ""]
    ran = ran.assign(off=pd.to_numeric(ran["difference"]))
    ran = ran.assign(ours=ran["published"] + ran["off"])
    orders = [0, 0]
    gaps = [0, 0]
    for _, rows in ran.groupby("setting"):
        pairs = list(zip(rows["published"], rows["ours"], strict=True))
        for number, (p, q) in enumerate(pairs):
            for other_p, other_q in pairs[:number]:
                if abs(p - other_p) > APART:
                    orders[1] += 1
                    orders[0] += (p - other_p) * (q - other_q) > 0
        named = rows.set_index("method")
        ours = "SOP" if "SOP" in named.index else "SOP+"
        if {"CE", ours} <= set(named.index):
            published, found = (named.loc[ours, key] - named.loc["CE", key] for key in ("published", "ours"))
            gaps[1] += 1
            gaps[0] += found >= GAP * published
    wanted = whole[whole["method"].isin(("CE", "SOP", "SOP+"))]
    return Judged(
        (int((ran["off"] >= -DISTANCE).sum()), len(ran)),
        (int(orders[0]), orders[1]),
        (int(gaps[0]), gaps[1]),
        int((wanted["difference"] == "").sum()),
    )
