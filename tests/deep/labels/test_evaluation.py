import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score

from sparseop.deep.labels.evaluation import detection, memorisation, proposal_accuracy
from sparseop.errors import InputError


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_detection_equals_sklearn_with_ties(rows):
    score = torch.tensor([s / 6 for s, _ in rows])
    wrong = torch.tensor([w for _, w in rows])
    found = detection(score, wrong)
    if wrong.any() and not wrong.all():
        assert found.auroc == pytest.approx(roc_auc_score(wrong, score), abs=1e-12)
    else:
        assert math.isnan(found.auroc)
    if wrong.any():
        assert found.average_precision == pytest.approx(average_precision_score(wrong, score), abs=1e-12)
        assert found.recall == pytest.approx(recall_score(wrong, score > 0.5))
    else:
        assert math.isnan(found.average_precision)
        assert math.isnan(found.recall)
    if found.flagged:
        assert found.precision == pytest.approx(precision_score(wrong, score > 0.5))
    else:
        assert math.isnan(found.precision)


def test_detection_by_hand():
    """Scores 0.9 0.8 0.6 0.1 of which the first, third and fourth are wrong labels; threshold 0.5 flags three."""
    found = detection(torch.tensor([0.9, 0.8, 0.6, 0.1]), torch.tensor([True, False, True, True]))
    assert found.flagged == 3
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.auroc == pytest.approx(1 / 3)  # one of the three pairs is in order
    assert found.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_memorisation_and_proposals_look_at_corrupted_samples_only():
    true = torch.tensor([0, 1, 2, 0])
    noisy = torch.tensor([0, 2, 1, 1])
    assert memorisation(torch.tensor([0, 2, 2, 1]), noisy, true) == pytest.approx(2 / 3)
    assert proposal_accuracy(torch.tensor([9, 1, 0, 0]), noisy, true) == pytest.approx(2 / 3)
    assert math.isnan(memorisation(true, true, true))


def test_nan_scores_are_refused():
    with pytest.raises(InputError, match="nan at index 1"):
        detection(torch.tensor([0.0, math.nan]), torch.tensor([True, False]))
