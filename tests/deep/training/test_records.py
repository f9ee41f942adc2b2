"""What a run that goes on makes of the record that it finds."""

import pytest

from sparseop.deep.training.records import Record
from sparseop.errors import InputError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "run.json' cannot be read"),
        ("[]", "the labels differ from those that the run in"),
        ('{"labels": 2}', "the labels differ"),
    ],
)
def test_a_record_of_something_else(content, message, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Record.go_on(tmp_path, [], {"labels": ("the labels", 1)})
