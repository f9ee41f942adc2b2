import numpy as np
import pytest
import torch

from sparseop.deep.training.metrics import accuracy, auroc, average_precision, calibration_error
from sparseop.errors import InputError


def test_accuracy():
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    assert accuracy(logits, torch.tensor([0, 1, 1])) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="same length, got 3 and 2"):
        accuracy(logits, torch.tensor([0, 1]))


def test_calibration_error_against_a_loop():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 300)
    labels = rng.integers(0, 4, 300)
    expected = 0.0
    for b in range(10):
        inside = [i for i in range(300) if b / 10 < probabilities[i].max() <= (b + 1) / 10]
        if inside:
            hit = np.mean([probabilities[i].argmax() == labels[i] for i in inside])
            expected += len(inside) / 300 * abs(hit - np.mean([probabilities[i].max() for i in inside]))
    found = calibration_error(torch.tensor(probabilities), torch.tensor(labels), bins=10)
    assert found == pytest.approx(expected, abs=1e-12)


def test_perfect_calibration_is_zero():
    assert calibration_error(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])) == 0


def test_auroc_of_a_constant_score_is_a_half():
    assert auroc(torch.zeros(10), torch.arange(10) < 3) == 0.5
    assert average_precision(torch.zeros(10), torch.arange(10) < 3) == pytest.approx(0.3)
