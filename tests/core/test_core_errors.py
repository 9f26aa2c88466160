"""What an error carries is seen wherever it is shown."""

import pickle
import traceback

from everloop.core.errors import SpecFault


def test_a_traceback_shows_the_place_and_the_hint() -> None:
    fault = SpecFault("No such key.", place="everloop.yaml:3:1", hint="did you mean 'goal'?")
    shown = "".join(traceback.format_exception(fault))
    assert shown.endswith("No such key.\nat: everloop.yaml:3:1\nhint: did you mean 'goal'?\n")
    assert str(fault) == "No such key."


def test_a_place_that_is_known_better_later_takes_the_first_ones_place() -> None:
    fault = SpecFault("No such table.", place="data.table")
    fault.put(place="everloop.yaml:7:3")
    again = pickle.loads(pickle.dumps(fault))
    assert again.place == "everloop.yaml:7:3"
    assert again.__notes__ == ["at: everloop.yaml:7:3"]
    again.put(hint="data: {table: ...}")
    assert again.__notes__ == ["at: everloop.yaml:7:3", "hint: data: {table: ...}"]
