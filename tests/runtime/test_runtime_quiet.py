"""The engine that runs graphs tells nobody about it."""

import os
import subprocess
import sys

PROGRAM = """
import sys, time
import everloop as el
package = el.runtime.Package(sys.argv[1])
assert package.manifest.runtime == "graph"
assert "onnxruntime" in sys.modules
time.sleep(0.5)
"""


def test_nothing_is_kept_for_the_engines_maker_below_the_home(make_package, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run(
        [sys.executable, "-c", PROGRAM, make_package(tmp_path / "package")],
        env=plain | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        timeout=60,
    )
    assert list(home.rglob("*")) == []
