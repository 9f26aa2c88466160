"""The digest of a feature's file covers the local modules that it imports, and no others."""

import sys

import pytest

from everloop.core.digest import digest_file
from everloop.data.python_features import load_python_features
from everloop.data.python_modules import code_digest
from everloop.spec import DataSpec

FILE = """
import math
from collections import Counter
import rates
from lib.parts import risk as risk_of
from lib import more
def risk(region: str) -> float:
    return risk_of(region) + rates.BASE + more.MORE + math.pi
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "lib").mkdir()
    for name, text in {
        "features.py": FILE,
        "rates.py": "import deep\nBASE = deep.BASE\n",
        "deep.py": "BASE = 1.0\n",
        "lib/__init__.py": "",
        "lib/parts.py": "from . import weights\ndef risk(region):\n    return weights.WEIGHT * len(region)\n",
        "lib/weights.py": "WEIGHT = 2\n",
        "lib/more.py": "MORE = 0.5\n",
        "lib/unused.py": "X = 1\n",
        "alone.py": "import math\ndef one(a: float) -> float:\n    return a\n",
        "math.py": "",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "math.py").unlink()
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("features.py", True),
        ("rates.py", True),
        ("deep.py", True),
        ("lib/__init__.py", True),
        ("lib/parts.py", True),
        ("lib/weights.py", True),
        ("lib/more.py", True),
        ("lib/unused.py", False),
        ("alone.py", False),
    ],
)
def test_a_change_of_what_is_imported_is_another_digest(code, file, counts):
    before = code_digest(code / "features.py")
    (code / file).write_text((code / file).read_text() + "# changed\n")
    assert (code_digest(code / "features.py") != before) is counts


def test_a_file_alone_has_its_own_digest(code):
    assert code_digest(code / "alone.py") == digest_file(code / "alone.py")


def test_local_modules_are_found_and_none_stays_behind(code, tmp_path_factory):
    data = DataSpec.model_validate({"features": {"risk": "features.py:risk"}})
    (one,) = load_python_features(data, code)
    assert one.function("abc") == pytest.approx(6 + 1.0 + 0.5 + 3.141592653589793)
    assert not {"rates", "deep", "lib", "lib.parts"} & set(sys.modules)
    other = tmp_path_factory.mktemp("other")
    (other / "features.py").write_text(
        "import rates\ndef risk(region: str) -> float:\n    return rates.BASE\n"
    )
    (other / "rates.py").write_text("BASE = 7.0\n")
    (two,) = load_python_features(data, other)
    assert two.function("abc") == 7.0
    assert one.function("abc") == pytest.approx(10.641592653589793)
