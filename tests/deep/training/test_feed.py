"""Who gets which samples: what test_engine does not ask, a handful of samples among many processes."""

import pytest
import torch

from sparseop.deep.training.feed import epoch_order, whole_pass
from sparseop.errors import InputError


@pytest.mark.parametrize(("n", "world"), [(10, 1), (10, 3), (3, 8), (1, 4)])
def test_a_pass_gives_every_process_as_many(n, world):
    samples = 100 + torch.arange(n)
    passes = [torch.cat(whole_pass(samples, 2, rank=rank, world=world)) for rank in range(world)]
    assert {len(share) for share in passes} == {-(-n // world)}
    dealt = torch.stack(passes, 1).flatten()  # round after round, as gather_batch puts them together
    assert dealt[:n].tolist() == samples.tolist()
    assert whole_pass(samples[:0], 2)[0].tolist() == []


@pytest.mark.parametrize(("n", "batch", "world"), [(10, 1, 1), (10, 3, 2), (3, 8, 2)])
def test_batches_that_batch_normalisation_could_not_use(n, batch, world):
    with pytest.raises(
        InputError, match=f"a batch must have two samples for each process, {2 * world}, got {min(n, batch)}"
    ):
        epoch_order(torch.arange(n), batch, torch.Generator(), drop_last=False, world=world)
