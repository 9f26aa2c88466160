"""What all tests share."""

import gc
import os
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import wraps
from inspect import unwrap
from pathlib import Path

import pytest

# Before anything imports them: the public suites' assertions explain themselves too.
pytest.register_assert_rewrite("everloop.testing")

ROOT = Path(__file__).parents[1]


def pytest_collection_finish() -> None:
    """What was imported so far stays to the end, so the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real tables beside the project; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real tables are not there: {folder}")
    return folder


def _once(draw: Callable[..., str]) -> Callable[..., str]:
    """Draws the same values once."""
    drawn: dict[bytes, str] = {}

    @wraps(draw)
    def remembering(*values: object, **options: object) -> str:
        asked = pickle.dumps((values, options))
        if asked not in drawn:
            drawn[asked] = draw(*values, **options)
        return drawn[asked]

    return remembering


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Passes over the same rows share their pictures, which are most of what a small pass takes.

    What is to show that the same values give the same picture asks for `drawn_afresh`.
    """
    from everloop.report import pictures

    with pytest.MonkeyPatch.context() as patched:
        for name in pictures.__all__:
            if not isinstance(draw := getattr(pictures, name), (float, type)):
                patched.setattr(pictures, name, _once(draw))
        yield


@pytest.fixture
def drawn_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture is drawn whenever it is asked for."""
    from everloop.report import pictures

    for name in pictures.__all__:
        monkeypatch.setattr(pictures, name, unwrap(getattr(pictures, name)))


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
