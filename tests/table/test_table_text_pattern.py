"""Patterns of contracts and of `like` take linear time, and say the same of a row and of a table."""

import re
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import SpecFault
from everloop.table.contract import ColumnRule, Contract, check
from everloop.table.contract.text_pattern import LONGEST_TEXT, MOST_POSITIONS, matcher, positions
from everloop.table.expression.patterns import like_matcher, of_like
from everloop.table.formats import FORMATS
from everloop.testing.malicious import SLOW_PATTERNS

LIKE = {"%a" * 30 + "b": "a" * 20_000, "%a_" * 20 + "%z": "ab" * 10_000}


def test_no_pattern_goes_back():
    """In a process of its own: an engine that goes back would not be done in a lifetime."""
    script = f"""
from everloop.table.contract.text_pattern import matcher
from everloop.table.expression.patterns import like_matcher
for pattern, text in {SLOW_PATTERNS!r}.items():
    assert not matcher(pattern)(text), pattern
for pattern, text in {LIKE!r}.items():
    assert not like_matcher(pattern)(text), pattern
"""
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(?!x)a", "look-around"),
        (r"(a)\1", "backreferences"),
        ("[", "unclosed"),
        ("a)|(b", "unopened"),
        ("a{3}" * 400, "positions"),
        ("(?:(?:a{0,30}){0,30}){0,30}", "27000 positions"),
        ("a" * 3_000, "3000 positions"),
        ("(?x) a # comment [", "flag x"),
        (r"(?:\w?){400}", "size limit"),
        (7, "no text"),
    ],
)
def test_a_pattern_without_linear_time_is_refused_where_the_contract_is_read(pattern, told):
    with pytest.raises(SpecFault, match=r"^Column 's': .*" + told) as refused:
        ColumnRule("s", "text", pattern=pattern)
    assert len(refused.value.message) < 3_500


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        ("a{3}b", 4),
        ("(ab){2,5}c", 11),
        ("(?P<n>ab){4}", 8),
        ("(?:a[]b]{2}){3}", 9),
        ("[[:alpha:]&&[^a]]x", 2),
        (r"\p{Greek}{3}\{4}", 6),
        (r"(?i)\x{41}+?", 1),
        ("(?i:a|b)*", 3),
        ("a{2}{3}", 6),
    ],
)
def test_repetitions_are_counted_as_if_written_out(pattern, size):
    assert positions(pattern) == size


def test_every_format_that_is_learned_can_be_used():
    for one in FORMATS:
        assert positions(one.pattern) < MOST_POSITIONS
        assert not matcher(one.pattern)("!")


PIECES = st.sampled_from(
    ["a", "b", ".", "[ab]", "(a|b)", r"\d", r"\w", "é", "_", "(?:ab)?", "a{2}", "b+", "a*"]
)
TEXTS = st.text(st.sampled_from("abé1_\n A"), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(PIECES, max_size=6).map("".join), st.lists(TEXTS, min_size=1, max_size=5))
def test_row_table_and_pythons_engine_agree(pattern, texts):
    rule = ColumnRule("s", "text", pattern=pattern)
    report = check(pl.DataFrame({"s": texts}), Contract((rule,)))
    matches = [matcher(pattern)(text) for text in texts]
    assert sum(finding.failing for finding in report.findings) == matches.count(False)
    assert matches == [re.fullmatch(pattern, text) is not None for text in texts]


def test_a_text_that_is_too_long_matches_nothing_in_a_row_and_in_a_table():
    texts = ["é" * LONGEST_TEXT, "é" * (LONGEST_TEXT + 1)]
    assert [matcher("é*")(text) for text in texts] == [True, False]
    (finding,) = check(
        pl.DataFrame({"s": texts}), Contract((ColumnRule("s", "text", pattern="é*"),))
    ).findings
    assert finding.failing == 1


@settings(deadline=None)
@given(st.text(st.sampled_from("ab%_\n."), max_size=8), st.text(st.sampled_from("ab\n.é"), max_size=12))
def test_like_is_its_regular_expression(pattern, text):
    assert like_matcher(pattern)(text) == (re.fullmatch(of_like(pattern), text) is not None)
