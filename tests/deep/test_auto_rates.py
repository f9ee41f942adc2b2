"""The rule for lr_u and lr_v against the committed runs on a data set, batch sizes and lengths it was not made for."""

import pandas as pd
import pytest

from deep import auto_rates
from sparseop import plotting

RECORDED = [row for row in auto_rates.STUDIES[0].grids["paper"] if row["record"]]


def test_there_are_records_of_two_batch_sizes_and_lengths():
    assert {(row["batch_size"], row["epochs"]) for row in RECORDED} >= {(128, 20), (256, 30)}


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: row["record"].split("/")[1])
def test_variables_switch_on_around_the_stated_fraction(row):
    """Half of the u (v) that ever switch on have done so within a tenth (a fifth) of the schedule after 20 % (50 %).

    v lags: a network contradicts a wrong label in the same way only once it has learnt the classes.
    """
    table = pd.DataFrame([{**row, **line} for line in auto_rates.cell(**row)])
    found = auto_rates.tables(table)[""].iloc[0]
    assert 0.1 <= found["u: half on at epoch"] / row["epochs"] <= 0.3
    assert 0.45 <= found["v: half on at epoch"] / row["epochs"] <= 0.7
    before = table[table["epoch"] < 0.4 * row["epochs"]]
    assert before["v_on"].max() < 1  # percent: nothing switches on early


def test_the_figure_draws():
    table = pd.DataFrame([{**row, **line} for row in RECORDED for line in auto_rates.cell(**row)])
    with plotting.style():
        figure = auto_rates.draw(table)
    assert len(figure.axes) == 2
    assert len(figure.axes[1].get_legend_handles_labels()[1]) == len(RECORDED)
