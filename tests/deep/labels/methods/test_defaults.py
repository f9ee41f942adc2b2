"""What a method does when nothing is said: the values of the papers and of the released codes, pinned."""

import inspect

import pytest
import torch

from sparseop.deep.labels.methods import ELR, METHODS
from sparseop.errors import InputError

PAPERS = {
    "gce": {"q": 0.7},
    "mixup": {"alpha": 1.0},
    "elr": {"lam": 3.0, "beta": 0.7},
    "forward": {"transition": "estimate", "warmup": 10, "quantile": 1.0},
    "coteaching": {"forget_rate": 0.2, "ramp": 10},
    "coteaching+": {"forget_rate": 0.2, "ramp": 10, "warmup": 20},
    "cores2": {"beta": 2.0, "start": 10, "ramp": 30, "warmup": 30},
    "sop": {"lr_u": 10.0, "lr_v": 10.0, "u_on": 0.2, "v_on": 0.5, "init_std": 1e-8, "eps": 1e-4},
    "sop+": {"lambda_C": 0.9, "lambda_B": 0.1, "lr_u": 10.0, "lr_v": 10.0, "init_std": 1e-8, "eps": 1e-4},
}


@pytest.mark.parametrize("name", PAPERS)
def test_defaults_are_the_papers(name):
    known = inspect.signature(METHODS[name]).parameters
    assert {option: known[option].default for option in PAPERS[name]} == PAPERS[name]
    assert all(known[option].kind is inspect.Parameter.KEYWORD_ONLY for option in PAPERS[name])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gce", {"q": 1.5}),
        ("gce", {"q": 0.0}),
        ("coteaching+", {"warmup": -1}),
        ("coteaching", {"forget_rate": -0.1}),
        ("coteaching", {"ramp": 0}),
        ("cores2", {"ramp": 0}),
    ],
)
def test_options_end_where_they_are_said_to(name, options):
    with pytest.raises(InputError):
        METHODS[name](20, 4, **options)


def test_elr_of_one_sample():
    assert ELR(1, 2)(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), torch.tensor([0])).isfinite()
