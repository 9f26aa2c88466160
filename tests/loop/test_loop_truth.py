from everloop.loop.truth import failed_estimates


def window(low, measured, high, *, status="known", maturity=1.0):
    return {
        "maturity": maturity,
        "estimated": {"recall": {"status": "estimated", "interval": {"low": low, "high": high}}},
        "performance": {"recall": {"status": status, "interval": {"estimate": measured}}},
        "estimated_value": {"status": "silent", "interval": {"low": 1.0, "high": 2.0}},
        "value": {"status": "known", "interval": {"estimate": 1.5}},
    }


def test_an_estimate_that_misses_the_truth_window_after_window_falls_silent():
    missed, held = window(0.6, 0.2, 0.8), window(0.6, 0.7, 0.8)
    assert failed_estimates([missed, held, held, held]) == {}
    reason = failed_estimates([missed, missed, missed, held])["recall"]
    assert "1 of the last 4" in reason


def test_it_comes_back_when_it_is_right_again():
    assert failed_estimates([window(0.6, 0.7, 0.8)] * 20) == {}


def test_what_is_not_known_is_no_miss():
    waiting = window(0.6, None, 0.8, status="too early")
    assert failed_estimates([waiting, window(0.6, 0.2, 0.8, maturity=0.5), {}] * 10) == {}
    assert failed_estimates([window(None, 0.2, None)] * 10) == {}
