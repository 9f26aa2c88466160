import json

import pytest

from everloop.cli.calling import run_verb


@pytest.fixture
def in_lifecycle(lived, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return ["--file", str(lived.folder)]


def test_a_report_is_written_and_its_path_printed(in_lifecycle, tmp_path, capsys):
    assert run_verb("report", in_lifecycle) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_a_version_is_written_where_it_was_asked_for(in_lifecycle, tmp_path, capsys):
    assert run_verb("report", ["v2", "--output", "card.html", "--json", *in_lifecycle]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(tmp_path / "card.html")
    assert "Limits" in facts["sections"]


@pytest.mark.parametrize("words", [["v9"], ["run_nothing"], ["--output", "."], ["--output", "no/where.html"]])
def test_what_cannot_be_reported_is_used_wrongly(in_lifecycle, tmp_path, capsys, words):
    assert run_verb("report", [*words, *in_lifecycle]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.glob("*.html"))
