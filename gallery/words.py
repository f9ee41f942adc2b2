"""Numbers as text, alike all over the gallery."""

from typing import Any

import pandas as pd


def sig(value: float, digits: int = 2) -> str:
    """Return a number to so many significant digits: 0.013, 1.2e-07, 84."""
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < 1e6 else text


def share(value: float) -> str:
    """Return a share as a percentage: 26 %, 0.42 %, 99.9 %; 100 % is all."""
    if 0.99 < value < 1:
        return f"{min(100 * value, 99.9):.1f} %"
    return f"{sig(100 * value)} %"


def spread(values: Any) -> str:
    """Return mean and standard deviation of accuracies in percent: 98.0 ± 1.2."""
    column = pd.Series(values)
    return f"{column.mean():.1f}" + (f" ± {column.std():.1f}" if len(column) > 1 else "")
