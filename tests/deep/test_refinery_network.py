"""SANE's S+ on a network's kernel: with equal crops the theory's case holds exactly, whatever the network."""

import pytest
import torch

from deep import refinery_network


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Six images, three crops each."""
    for name, value in (("CLUSTERS", 6), ("CROPS", 3), ("SHOWN", 18), ("EPOCHS", 1)):
        monkeypatch.setattr(refinery_network, name, value)


@pytest.mark.parametrize("data", refinery_network.DATA)
def test_equal_crops_have_no_part_in_the_complement_and_moved_ones_have(data):
    """Rows of J of equal crops are equal: S- is not seen, rank is the number of clusters, clean labels lie in S+."""
    equal, moved = (refinery_network.cell(data, shift, 0) for shift in (0, 1))
    assert len(equal) == 2 * 18  # both moments, every eigenvalue
    for row in equal:
        assert abs(row["minus_max"]) < 1e-4 * row["plus_min"]
        assert row["plus_in_leading"] == pytest.approx(1, abs=1e-4)
        assert row["clean_in_plus"] == pytest.approx(1)
        assert row["number"] <= 6 or abs(row["eigenvalue"]) < 1e-4
        assert 0 < row["noise_in_plus"] < 1
    assert all(row["minus_max"] > 1e-3 for row in moved)
    for rows in (equal, moved):
        assert sum(row["eigenvalue"] for row in rows[:18]) == pytest.approx(18, rel=1e-4)  # trace n


def test_crops_are_shifts_of_their_cluster():
    """No pixel is lost, clusters follow one another, and classes belong to them."""
    images, classes = refinery_network.crops("digits", 2, 0)
    assert images.shape[0] == 18
    assert classes.shape == (6,)
    pixels = images.flatten(1).sort(1).values.view(6, 3, -1)
    assert torch.equal(pixels, pixels[:, :1].expand_as(pixels))
