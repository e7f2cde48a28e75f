import math
from dataclasses import dataclass, field
from typing import Literal

import pytest

from resnetkit import UserError
from resnetkit.config import check_ranges, from_plain, option, parse, to_plain


@dataclass(frozen=True)
class Inner:
    share: float = option(0.5, "a share", least=0, most=1)


@dataclass(frozen=True)
class Outer:
    count: int
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1, 2)
    maybe: float | None = None
    inner: Inner = field(default_factory=Inner)


def test_round_trip():
    outer = Outer(3, "b", (4,), 0.25, Inner(1.0))
    assert from_plain(Outer, to_plain(outer), where="x") == outer
    assert from_plain(Outer, {"inner": {"share": 1}}, where="x", base=outer).inner.share == 1.0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "x: the key 'count' is missing"),
        ({"count": 1, "cuont": 2}, "unknown key 'cuont'; did you mean count"),
        ({"count": 1.5}, "count: expected a whole number, found 1.5"),
        ({"count": 1, "kind": "c"}, "kind: 'c' is not one of a, b"),
        ({"count": 1, "inner": {"shere": 1}}, "inner: unknown key 'shere'"),
        ({"count": 1, "maybe": "no"}, "maybe: expected a number"),
    ],
)
def test_mistakes_are_named(data, said):
    with pytest.raises(UserError, match=said):
        from_plain(Outer, data, where="x")


def test_words():
    assert parse(int | None, "none") is None
    assert parse(Literal["none", "shift"] | None, "none") == "none"
    assert parse(float, "1e-3") == 0.001
    assert parse(tuple[float, ...], "0.5,0.75") == (0.5, 0.75)
    with pytest.raises(UserError, match="expected a whole number, found '1.5'"):
        parse(int, "1.5")


@pytest.mark.parametrize("share", [math.nan, math.inf, -0.1, 1.1])
def test_ranges(share):
    with pytest.raises(UserError, match="share must be"):
        check_ranges(Inner(share))
