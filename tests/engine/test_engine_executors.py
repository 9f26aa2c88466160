import pytest

from everloop.core.errors import EverloopError, SpecFault
from everloop.engine import Executor, executor
from everloop.engine.executors import EXECUTORS, registry
from everloop.testing.executor_suite import ExecutorSuite


class TestExecutors(ExecutorSuite):
    @pytest.fixture(params=sorted(EXECUTORS))
    def executor(self, request):
        return executor(request.param)


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(SpecFault, match="no executor 'locale'; known are local") as caught:
        executor("locale")
    assert isinstance(caught.value, EverloopError)
    assert caught.value.hint == "engine: {train: local}"


def test_executors_of_other_packages_are_found(monkeypatch):
    class Point:
        name = "cluster"

        def load(self):
            return type(executor("local"))

    monkeypatch.setattr(
        registry, "entry_points", lambda group: [Point()] if group == "everloop.executors" else []
    )
    assert isinstance(executor("cluster"), Executor)
    with pytest.raises(SpecFault, match="cluster, local"):
        executor("nowhere")
