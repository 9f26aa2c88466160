"""Tables larger than memory: what a part of the data phase holds grows by far less than the table does.

What is held whole where it is small is set to nothing, and buffers and samples of a fixed size are small
enough to be full. The benchmark `larger_than_memory` gives the peaks on twenty million rows.
"""

from __future__ import annotations

import gzip
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.larger_than_memory import LIFECYCLE, make_csv
from benchmarks.timing import peak_memory

ROWS = (200_000, 500_000)
# How many bytes a further row may add to the peak. With all rows held it is some 1,000, 300, 400 and 760;
# the sorted keys and masks that are held of every row are 20 to 60, and allocators add their own.
MOST_BYTES_OF_A_ROW = {"collect": 400, "check": 250, "profile": 280, "prepare": 450}
PART = """
import sys
from pathlib import Path
from everloop.data import duck, profiling, value_counts
from everloop.data.leaks import duplicates
from everloop.table import stored
from everloop.table.contract import checking
rows = int(sys.argv[3])
# As with twenty million rows: nothing is small enough to be held whole.
stored.IN_MEMORY_BYTES = checking.ROWS_AT_ONCE = 0
value_counts.ROWS_AT_ONCE = rows // 4
stored.VALUES_AT_ONCE = profiling.VALUES_AT_ONCE = checking.VALUES_AT_ONCE = 3 * rows
duck.MEMORY_LIMIT, duplicates.MOST_ROWS = "200MB", 20_000
from benchmarks.larger_than_memory import PARTS
print(PARTS[sys.argv[1]](Path(sys.argv[2])))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(tmp_path):
    peaks: dict[str, list[int]] = {part: [] for part in MOST_BYTES_OF_A_ROW}
    for rows in ROWS:
        folder = tmp_path / str(rows)
        folder.mkdir()
        make_csv(folder / "loans.csv", rows)
        with (
            (folder / "loans.csv").open("rb") as plain,
            gzip.open(folder / "loans.csv.gz", "wb", 1) as packed,
        ):
            shutil.copyfileobj(plain, packed)
        (folder / "everloop.yaml").write_text(LIFECYCLE.replace("loans.csv", "loans.csv.gz"))
        for part, found in peaks.items():
            found.append(peak_memory([sys.executable, "-c", PART, part, folder, str(rows)])[0])
    grown = {part: (large - small) / (ROWS[1] - ROWS[0]) for part, (small, large) in peaks.items()}
    assert not {part: by for part, by in grown.items() if by > MOST_BYTES_OF_A_ROW[part]}, grown
