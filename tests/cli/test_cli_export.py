"""`everloop export`: a released version as files, and what is said where there is none."""

import json

import pytest

from everloop.deploy.targets import known_targets
from everloop.integrations.pipelines import SCHEDULERS

SERVE = "deploy: {strategy: blue_green, serve: {port: 9100, tokens: {predict: env:OUR_TOKEN}}}\n"


def test_targets_are_listed(cli):
    assert set(cli("export", "--list", "--json").facts["targets"]) == {*known_targets(), *SCHEDULERS}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export",), "Name a target"),
        (("export", "dokcer"), "everloop export docker"),
        (("export", "docker"), "no champion yet"),
        (("export", "docker", "--version", 3), "no version 3"),
    ],
)
def test_what_cannot_be_exported_is_told_and_nothing_is_written(cli, home, words, said):
    answer = cli(*words)
    assert answer.status == 2
    assert said in answer.err
    assert {path.name for path in home.iterdir()} <= {"rows.csv", "everloop.yaml", ".everloop"}


@pytest.mark.parametrize(
    ("every", "schedule"),
    [(None, "None"), ("weekly", "'@weekly'"), ("12h", "timedelta(seconds=43200)")],
)
def test_a_pass_becomes_a_dag_that_runs_as_often_as_the_file_says(cli, home, lifecycle, every, schedule):
    retrain = f'monitor: {{retrain: {{on: ["schedule: {every}"]}}}}\n' if every else ""
    (home / "everloop.yaml").write_text(lifecycle + retrain)
    answer = cli("export", "airflow", "--json")
    assert answer.facts["local"] == ["record", "artifacts"]
    text = (home / "export-airflow" / "loans_dag.py").read_text()
    assert f"schedule={schedule}," in text
    compile(text, "loans_dag.py", "exec")


def test_steps_on_several_machines_are_told_what_they_do_not_share(cli, home):
    told = cli("export", "kubeflow").out
    assert "need a record and artifacts that they share" in told
    compile((home / "export-kubeflow" / "pipeline.py").read_text(), "pipeline.py", "exec")
    assert cli("export", "kubeflow").status == 0
    assert cli("export", "kubeflow", "--output", home).status == 2


@pytest.mark.slow
def test_a_released_version_is_exported_as_the_file_says_that_it_serves(cli, home, lifecycle):
    (home / "everloop.yaml").write_text(lifecycle + SERVE)
    assert cli("run").status == 0
    facts = cli("export", "kubernetes", "--json").facts
    assert (facts["lifecycle"], facts["version"]) == ("loans", 1)
    folder = home / "export-kubernetes"
    settings = json.loads((folder / "image" / "settings.json").read_bytes())
    assert (settings["port"], settings["secrets"]) == (9100, {"predict": "env:EVERLOOP_PREDICT_TOKEN"})
    assert "blueGreen" in (folder / "rollouts" / "rollout.yaml").read_text()
    served = folder / "image" / "package"
    manifest = json.loads((served / "manifest.json").read_bytes())
    assert {path.name for path in served.iterdir()} == {*manifest["files"], "manifest.json"}
    refused = cli("export", "docker", "--output", home)
    assert refused.status == 2
    assert "would be lost" in refused.err
