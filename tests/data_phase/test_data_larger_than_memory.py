"""Tables larger than memory: what checking holds grows by far less than the table does.

Of the other parts, whose buffers are not full at sizes that a test can afford, the benchmark
`larger_than_memory` gives the peaks.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.larger_than_memory import LIFECYCLE, make_csv
from benchmarks.timing import peak_memory

ROWS = (400_000, 1_200_000)
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
    peaks = []
    for rows in ROWS:
        folder = tmp_path / str(rows)
        folder.mkdir()
        make_csv(folder / "loans.csv", rows)
        (folder / "everloop.yaml").write_text(LIFECYCLE)
        for part in ("collect", "check"):
            peak, _ = peak_memory([sys.executable, "-c", PART, part, folder, str(rows)])
        peaks.append(peak)
    assert (peaks[1] - peaks[0]) / (ROWS[1] - ROWS[0]) < MOST_BYTES_OF_A_ROW
