"""A run that nothing has disturbed."""

from pathlib import Path

import pytest
from tests.training.runs import train


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    train(out)
    return out
