"""Formats of text: what has one, and what has none."""

import ipaddress
import uuid

import numpy as np
import polars as pl
import pytest

from everloop.table.formats import FORMATS, format_of, shape_pattern

EXAMPLES = {
    "e-mail": ["ann@example.org", "b.c+d@mail.example.co.uk"],
    "URL": ["https://example.org", "http://a.b/c?d=e#f", "ftp://files.example.org/x"],
    "UUID": [str(uuid.UUID(int=n * 10**30)) for n in range(1, 5)],
    "IPv4": [str(ipaddress.IPv4Address(n * 99_999_999)) for n in range(40)],
    "IPv6": [str(ipaddress.IPv6Address(n**9 * 7**20)) for n in range(1, 40)] + ["::1", "fe80::1:2"],
    "IBAN": ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO9386011117947"],
    "date": ["2024-02-29", "1999-12-31"],
    "date and time": ["2024-02-29T23:59:59Z", "2024-02-29 10:00", "2024-02-29T10:00:00.123+02:00"],
    "date, day first": ["29.2.2024", "31/12/1999", "01-02-2020"],
    "date, month first": ["02/29/2024", "12/31/1999"],
    "time of day": ["23:59", "00:00:01.5"],
    "phone": ["+49 30 123456", "+1 (555) 010-9999", "030 1234567", "(0)30/123 45 67"],
}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_each_format_is_recognised_as_itself(name):
    found = format_of(EXAMPLES[name])
    assert found is not None
    assert found.name == name


def test_every_format_has_examples_and_one_meaning_in_polars_and_python():
    assert [one.name for one in FORMATS] == list(EXAMPLES)
    texts = [text for some in EXAMPLES.values() for text in some] + [
        "",
        "x",
        "ann@",
        "256.1.1.1",
        "2024-13-01",
    ]
    for one in FORMATS:
        found = pl.Series(texts).str.contains(f"^(?:{one.pattern})$").to_list()
        assert found == [one.matches(text) for text in texts], one.name


@pytest.mark.parametrize(
    "texts", [[], ["x"], ["a@b", "c@d.e"], ["256.1.1.1"], ["2024-13-01"], ["12", "345"], ["25:00", "x"]]
)
def test_what_is_no_format_is_none(texts):
    assert format_of(texts) is None


@pytest.mark.parametrize(
    ("shapes", "pattern"),
    [
        (["AA-999"], "[A-Z]{2}-[0-9]{3}"),
        (["99999", "99999-9999"], "[0-9]{5}|[0-9]{5}\\-[0-9]{4}"),
        (["A9 9AA", "AA99 9AA"], "[A-Z]{1,2}[0-9]{1,2}\\ [0-9][A-Z]{2}"),
        (["aaa", "Aaaa"], None),
        (["A9", "A9999999"], None),
        (["", "9"], None),
        (["9a", "a9", "9 a"], None),
        ([], None),
    ],
)
def test_codes_of_a_shape(shapes, pattern):
    found = shape_pattern(shapes)
    assert (found or "").replace("\\", "") == (pattern or "").replace("\\", "")


def test_a_shape_accepts_what_it_was_made_of():
    random = np.random.default_rng(0)
    codes = [f"X{random.integers(10, 9999)}-{random.integers(100, 999)}{'ab'[n % 2]}" for n in range(50)]
    shapes = (
        pl.Series(codes)
        .str.replace_all("[0-9]", "9")
        .str.replace_all("[A-Z]", "A")
        .str.replace_all("[a-z]", "a")
    )
    pattern = shape_pattern(shapes.unique().to_list())
    assert pattern is not None
    assert pl.Series(codes).str.contains(f"^(?:{pattern})$").all()
    assert not pl.Series(["X1-2", "12", "Y12345678-123a"]).str.contains(f"^(?:{pattern})$").any()
