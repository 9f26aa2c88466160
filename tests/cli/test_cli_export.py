"""`everloop export`: a released version as files, and what is said where there is none."""

import json
import shutil

import msgspec
import pytest

from everloop.deploy.targets import known_targets
from everloop.integrations.lifecycle_exports import LIFECYCLE_EXPORTS
from everloop.monitor.formats import known_formats
from everloop.runtime.manifest import read_manifest, write_manifest

SERVE = "deploy: {strategy: blue_green, serve: {port: 9100, tokens: {predict: env:OUR_TOKEN}}}\n"


def test_targets_are_listed(cli):
    assert set(cli("export", "--list", "--json").facts["targets"]) == {
        *known_targets(),
        *LIFECYCLE_EXPORTS,
        *known_formats(),
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export",), "Name a target"),
        (("export", "dokcer"), "everloop export docker"),
        (("export", "docker"), "no champion yet"),
        (("export", "docker", "--version", 3), "no version 3"),
        (("export", "docker", "--window", "window_0"), "--window says nothing there"),
        (("export", "evidently", "--version", 1), "--version says nothing there"),
        (("export", "evidently", "--window", "window_0"), "window_0"),
        (("export", "evidently"), "No window of loans was judged yet"),
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
    assert "record and artifacts" in answer.facts["notice"]
    text = (home / "export-airflow" / "loans_dag.py").read_text()
    assert f"schedule={schedule}," in text
    compile(text, "loans_dag.py", "exec")


def test_steps_on_several_machines_are_told_what_they_do_not_share(cli, home):
    told = cli("export", "kubeflow").out
    assert "need a record and artifacts that they share" in told
    compile((home / "export-kubeflow" / "pipeline.py").read_text(), "pipeline.py", "exec")
    assert cli("export", "kubeflow").status == 0
    assert cli("export", "kubeflow", "--output", home).status == 2


def test_rules_have_the_bounds_that_the_file_states(cli, home, lifecycle):
    guards = "deploy: {guard: {error_rate: '<= 3%', latency_p99: '<= 20ms'}, serve: {port: 9100}}\n"
    (home / "everloop.yaml").write_text(lifecycle + guards)
    assert cli("export", "prometheus").status == 0
    rules = (home / "export-prometheus" / "rules.yml").read_text()
    assert "> 0.03" in rules
    assert "> 0.02" in rules
    assert 'lifecycle="loans"' in rules
    assert "127.0.0.1:9100" in (home / "export-prometheus" / "prometheus.yml").read_text()


def test_a_dashboard_draws_value_in_the_goals_currency(cli, home):
    assert cli("export", "grafana").status == 0
    drawn = json.loads((home / "export-grafana" / "dashboard.json").read_bytes())
    assert drawn["panels"][0]["fieldConfig"]["defaults"]["unit"] == "currency:EUR"
    text = json.dumps(drawn)
    assert "{of}" not in text
    assert "{{{{" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export", "promethes"), "everloop export prometheus"),
        (("export", "airflow", "--version", 3), "--version says nothing there"),
        (("export", "grafana", "--port", 9100), "--port says nothing there"),
        (("export", "grafana", "-f", "a/", "-f", "b/"), "a second --file says nothing there"),
        (("export", "docker", "-f", "a/", "-f", "b/", "--version", 3), "--version says nothing there"),
        (("export", "docker", "--trusted", "a.pem"), "--trusted goes with --package"),
        (("serve", "--trusted", "a.pem"), "--trusted goes with --package"),
    ],
)
def test_what_an_option_cannot_mean_is_refused(cli, home, words, said):
    answer = cli(*words)
    assert answer.status == 2
    assert said in answer.err
    assert not list(home.glob("export-*"))


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
    twice = cli("export", "docker", "--package", served, "--package", served)
    assert "Two lifecycles of one server are called 'loans'" in twice.err
    other = shutil.copytree(served, home / "churn")
    (other / "manifest.json").unlink()
    write_manifest(other, msgspec.structs.replace(read_manifest(served), lifecycle="churn", files={}))
    both = cli("export", "systemd", "--package", served, "--package", other, "--json").facts
    assert (both["lifecycle"], both["beside"]) == ("loans", {"churn": 1})
    exported = {path.parent.name for path in home.glob("export-systemd/package/*/manifest.json")}
    assert exported == {"loans", "churn"}
    assert "takes one lifecycle" in cli("export", "lambda", "--package", served, "--package", other).err
