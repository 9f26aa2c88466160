"""The command line's verbs that take in packages and model files, as the suites of harmful ones call them."""

import io
from contextlib import redirect_stderr, redirect_stdout

from everloop.core.errors import EverloopError

TABLE_ROWS = 20_000


def predict(folder, scratch):
    """`everloop predict --package`."""
    rows = scratch / "rows.csv"
    if not rows.exists():
        rows.write_text("amount,region\n" + "1.0,north\n" * TABLE_ROWS)
    _cli("predict", str(rows), "--output", str(scratch / "scored.csv"), "--package", str(folder))


def export(folder, scratch):
    """`everloop export --package`."""
    _cli("export", "docker", "--output", str(scratch / "image"), "--package", str(folder))


def package_command(file, scratch):
    """`everloop package`."""
    rows = scratch / "rows.csv"
    if not rows.exists():
        rows.write_text("a,b,c\n" + "1.0,2.0,3.0\n" * 50)
    _cli("package", str(file), "--sample", str(rows), "--out", str(scratch / "made"))


def _cli(*words):
    from everloop.cli import main

    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            status = main(list(words))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    text = said.getvalue()
    if "Traceback" in text:
        raise RuntimeError(text)
    if status:
        raise EverloopError(text)
