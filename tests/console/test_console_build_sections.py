import pytest

from everloop.console.build_sections import BY_CHANCE, data_section
from everloop.report.page import Facts

STEPS = {
    "snapshot": {
        "rows": 90,
        "as_of": "2026-01-01T00:00:00+00:00",
        "sources": {"rows": {}},
        "hidden_actuals": 0,
    },
    "dataset": {
        "features": [],
        "rows": {"train": 54, "validation": 18, "test": 18},
        "cleaning": [],
        "leaks": [],
    },
}


class Told:
    """The steps of a pass whose split found equal rows so."""

    def __init__(self, by_chance):
        self.split = {"by": "random", "starts": {}, "by_chance": by_chance}

    def step(self, name):
        facts = STEPS.get(name)
        return {**facts, "split": self.split} if name == "dataset" else facts


@pytest.mark.parametrize("by_chance", [False, True])
def test_rows_that_are_equal_by_chance_are_told(by_chance):
    facts = next(block for block in data_section(Told(by_chance)).blocks if isinstance(block, Facts))
    assert (BY_CHANCE in facts.facts.values()) is by_chance
