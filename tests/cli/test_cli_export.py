"""`everloop export`: a released version as files, and what is said where there is none."""

import json

import pytest

from everloop.deploy.targets import known_targets

SERVE = "deploy: {strategy: blue_green, serve: {port: 9100, tokens: {predict: env:OUR_TOKEN}}}\n"


def test_targets_are_listed(cli):
    assert set(cli("export", "--list", "--json").facts["targets"]) == set(known_targets())


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
