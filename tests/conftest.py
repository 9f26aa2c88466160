"""What all tests share."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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


@pytest.fixture
def small_disk() -> Iterator[Callable[[str], Path]]:
    """Mounts file systems of a size such as "512k"; the test is skipped where that may not be done.

    They are outside pytest's own folders: a test that is killed leaves its mount, and pytest cannot remove
    a folder with one.
    """
    with ExitStack() as mounted:

        def mount(size: str) -> Path:
            place = Path(tempfile.mkdtemp(prefix="everloop-disk-"))
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
            if (
                not shutil.which("mount")
                or os.geteuid() != 0
                or subprocess.run(command, capture_output=True, check=False).returncode
            ):
                place.rmdir()
                pytest.skip("mounting a small file system needs root")
            mounted.callback(place.rmdir)
            mounted.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
            return place

        yield mount
