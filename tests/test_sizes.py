"""Numbers of bytes as people write them."""

import pytest

from resnetkit import UserError
from resnetkit.sizes import gigabytes, parse_size


@pytest.mark.parametrize("text", ["4GB", "4G", "4000MB", "4000000000", " 4gb "])
def test_sizes(text):
    assert parse_size(text, "--memory") == 4 * 10**9


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "nan", "4 apples", "1e99"])
def test_what_is_no_size(text):
    with pytest.raises(UserError, match="--memory must be a size"):
        parse_size(text, "--memory")


def test_for_people():
    assert (gigabytes(2.04e9), gigabytes(5e6)) == ("2.0 GB", "5.0 MB")
