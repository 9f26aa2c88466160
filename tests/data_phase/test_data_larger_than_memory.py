"""Tables larger than memory: what a part holds grows by far less than the table does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.larger_than_memory import LIFECYCLE, make_csv
from benchmarks.timing import peak_memory

ROWS = (100_000, 400_000)
# Bytes that a further row may add to the peak; a row is some 230 bytes in memory, and as much again in work.
MOST_BYTES_OF_A_ROW = 230
PART = """
import sys
from pathlib import Path
from everloop.data import fitting, profiling
from everloop.table import stored
from everloop.table.contract import checking
rows = int(sys.argv[3])
# As with twenty million rows: nothing is small enough to be held whole.
stored.IN_MEMORY_BYTES = checking.ROWS_AT_ONCE = 0
stored.VALUES_AT_ONCE = fitting.MOST_CELLS = profiling.VALUES_AT_ONCE = 3 * rows
from benchmarks.larger_than_memory import PARTS
print(PARTS[sys.argv[1]](Path(sys.argv[2])))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(tmp_path):
    peaks = {}
    for rows in ROWS:
        folder = tmp_path / str(rows)
        folder.mkdir()
        make_csv(folder / "loans.csv", rows)
        (folder / "everloop.yaml").write_text(LIFECYCLE)
        for part in ("collect", "check", "prepare"):
            peaks[part, rows], _ = peak_memory([sys.executable, "-c", PART, part, folder, str(rows)])
    few, many = ROWS
    growth = {
        part: (peaks[part, many] - peaks[part, few]) / (many - few)
        for part in ("collect", "check", "prepare")
    }
    assert all(bytes_of_a_row < MOST_BYTES_OF_A_ROW for bytes_of_a_row in growth.values()), growth
