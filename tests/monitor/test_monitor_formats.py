"""Windows in the formats of other tools: found by name, and said where their package is not there."""

import importlib.util
from datetime import UTC, datetime

import polars as pl
import pytest

from everloop.core.errors import DataFault, MissingExtra, NotFound, UsageFault
from everloop.monitor import count_window, judge_state, read_profile, reference
from everloop.monitor.formats import JudgedWindow, open_format


def test_a_format_that_there_is_not_is_told_with_the_nearest():
    with pytest.raises(UsageFault, match="evidently, whylogs") as told:
        open_format("evidentl")
    assert told.value.hint == "everloop export evidently"


@pytest.mark.skipif(importlib.util.find_spec("whylogs") is not None, reason="whylogs is installed")
def test_a_profile_without_its_package_says_what_installs_it():
    rows, moment = pl.DataFrame({"a": [float(i % 7) for i in range(200)]}), datetime(2026, 1, 5, tzinfo=UTC)
    kept = reference(rows)
    state = count_window(rows, kept)
    window = JudgedWindow("window_1", "shop", 1, moment, moment, state, kept, judge_state(state, kept))
    with pytest.raises(MissingExtra) as told:
        open_format("whylogs").write(window)
    assert told.value.hint == "pip install 'everloop[whylogs]'"


def test_a_file_of_no_known_tool_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"no file .*gone\.bin"):
        read_profile(tmp_path / "gone.bin")
    with pytest.raises(DataFault, match="cannot be read: Is a directory"):
        read_profile(tmp_path)
    for content in (b"", b"\x00\xff" * 200, b"{}", b"[]", b'{"metrics": [1]}'):
        (tmp_path / "profile").write_bytes(content)
        with pytest.raises(DataFault, match="evidently, whylogs"):
            read_profile(tmp_path / "profile")
