"""`everloop sign`, and a lifecycle whose versions are signed."""

import json

import pytest

SIGNING = "deploy: {{signing: {{key: 'file:{home}/keys/{key}.pem', trusted: [{trusted}]}}}}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("package", "nothing", "--key", "k.pem"), "there is no such folder"),
        (("check", "nothing", "--trusted", "k.pub.pem"), "there is no such folder"),
    ],
)
def test_what_is_not_there_is_named(cli, words, said):
    answer = cli("sign", *words)
    assert answer.status in {1, 2}
    assert said in answer.err


def test_a_key_is_made_once(cli, home):
    facts = cli("sign", "new", "keys/release", "--json").facts
    assert (home / "keys" / "release.pub.pem").is_file()
    assert "PRIVATE" not in json.dumps(facts)
    again = cli("sign", "new", "keys/release")
    assert again.status == 2
    assert "there already" in again.err


def test_a_key_that_nobody_trusts_is_said_before_anything_is_done(cli, home, lifecycle):
    cli("sign", "new", "keys/a")
    cli("sign", "new", "keys/b")
    (home / "everloop.yaml").write_text(
        lifecycle + SIGNING.format(home=home, key="a", trusted="keys/b.pub.pem")
    )
    checked = cli("check")
    assert checked.status == 2
    assert "not among those that are trusted" in checked.err


@pytest.mark.slow
def test_versions_are_signed_and_signed_anew_when_the_key_changes(cli, home, lifecycle):
    (home / "everloop.yaml").write_text(lifecycle)
    assert cli("run").status == 0
    cli("sign", "new", "keys/old")
    cli("sign", "new", "keys/new")

    def run(key, *trusted):
        files = ", ".join(f"keys/{name}.pub.pem" for name in trusted)
        (home / "everloop.yaml").write_text(lifecycle + SIGNING.format(home=home, key=key, trusted=files))
        return cli("run", "--json")

    (home / "everloop.yaml").write_text(
        lifecycle + SIGNING.format(home=home, key="old", trusted="keys/old.pub.pem")
    )
    refused = cli("predict", "rows.csv", "--output", "scored.csv")
    assert refused.status == 1
    assert "not signed" in refused.err

    assert run("old", "old").status == 0
    assert cli("predict", "rows.csv", "--output", "scored.csv").status == 0
    assert run("new", "old", "new").status == 0
    assert run("new", "new").status == 0
    assert cli("predict", "rows.csv", "--output", "again.csv").status == 0
    assert (home / "scored.csv").read_bytes() == (home / "again.csv").read_bytes()

    facts = cli("export", "docker", "--json").facts
    settings = json.loads((home / facts["folder"] / "settings.json").read_bytes())
    assert len(settings["trusted"]) == 1
    assert "cryptography==" in (home / facts["folder"] / "requirements.txt").read_text()
    package = home / facts["folder"] / "package"
    assert cli("sign", "check", package, "--trusted", "keys/new.pub.pem").status == 0
    assert cli("sign", "check", package, "--trusted", "keys/old.pub.pem").status == 1
    assert cli("status", "--json").facts["deployment"]["champion"] == "v1"
