"""Numbers that are counted many at once say at any time what they say when each is counted."""

import pytest

from everloop.runtime.service.metrics import COUNTED_TOGETHER, PREDICTIONS, Metrics, metrics_text


@pytest.mark.parametrize("answers", [1, COUNTED_TOGETHER - 1, COUNTED_TOGETHER, 2 * COUNTED_TOGETHER + 3])
def test_answers_are_counted_however_many_wait_to_be(answers):
    metrics = Metrics()
    for number in range(answers):
        metrics.answers("/predict", "POST", 200).took(0.0007 if number % 2 else 3.0)
        if number and number % COUNTED_TOGETHER == 0:
            metrics.count()
    slow = (answers + 1) // 2
    for _ in range(2):  # asking counts nothing twice
        text = metrics_text([("", metrics)])
        assert f'everloop_requests_total{{route="/predict",method="POST",status="200"}} {answers}\n' in text
        assert f'everloop_request_seconds_bucket{{route="/predict",le="2.5"}} {answers - slow}\n' in text
        assert f'everloop_request_seconds_count{{route="/predict"}} {answers}\n' in text
        total = 3.0 * slow + 0.0007 * (answers - slow)
        assert f'everloop_request_seconds_sum{{route="/predict"}} {total:.9g}\n' in text


def test_predictions_are_counted_by_version_and_arm():
    metrics = Metrics()
    metrics.predicted += [(1, "champion")] * 3 + [(2, "challenger")]
    metrics.add(PREDICTIONS.name, "1", "champion", amount=2)
    for _ in range(2):
        text = metrics_text([("", metrics)])
        assert 'everloop_predictions_total{version="1",arm="champion"} 5\n' in text
        assert 'everloop_predictions_total{version="2",arm="challenger"} 1\n' in text
