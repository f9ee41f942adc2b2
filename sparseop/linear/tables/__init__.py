"""Three tables on which robust regression has been tried for decades, with the rows held to be outliers.

Rousseeuw and Leroy is Robust Regression and Outlier Detection, Wiley 1987, doi:10.1002/0471725382; the table of
Hawkins, Bradu and Kass is doi:10.1080/00401706.1984.10487956.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.errors import FloatArray, choice
from sparseop.files import read_csv

#: name -> source, and the rows (from 0) that the literature names
TABLES = {
    "stackloss": (
        "Brownlee, Statistical Theory and Methodology, 1965; outliers as in Rousseeuw and Leroy 1987, p. 76",
        (0, 2, 3, 20),
    ),
    "stars": (
        "cluster CYG OB1, Rousseeuw and Leroy 1987, p. 27; the four giants are outliers at the edge of the table",
        (10, 19, 29, 33),
    ),
    "hawkins_bradu_kass": (
        "Technometrics 26 (1984); made by hand: rows 0 to 9 are wrong, rows 10 to 13 are as far out, and right",
        tuple(range(10)),
    ),
}


@dataclass(frozen=True, eq=False)
class Table:
    """One table: columns X (N, p) with ``names``, the last column y, and the rows known to be outliers.

    Attributes
    ----------
    frame : pandas data frame of all columns, y last.
    X, y : (N, p), (N,).
    outliers : rows from 0.
    source : where it comes from.
    """

    frame: Any
    X: FloatArray
    y: FloatArray
    outliers: NDArray[np.intp]
    source: str


def load(name: str) -> Table:
    """Return a table of ``TABLES``.

    Raises
    ------
    InputError
        for another name.
    """
    source, outliers = TABLES[choice("name", name, TABLES)]
    with (files(__name__) / f"{name}.csv").open() as file:
        frame = read_csv(file)
    values = frame.to_numpy(dtype=np.float64)
    return Table(frame, values[:, :-1], values[:, -1], np.array(outliers, dtype=np.intp), source)
