import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"


def test_what_the_page_shows_is_what_happens():
    outcome = doctest.testfile(str(PAGE), module_relative=False)
    assert outcome.attempted > 10
    assert outcome.failed == 0
