"""What all tests share."""

from pathlib import Path

import pytest

# Before anything imports them: the public suites' assertions explain themselves too.
pytest.register_assert_rewrite("everloop.testing")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real tables beside the project; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real tables are not there: {folder}")
    return folder
