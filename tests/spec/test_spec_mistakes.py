"""Every kind of mistake: exact words, the place, the hint; and nothing secret in any of them."""

import pytest

from everloop.core.errors import SpecFault
from everloop.spec import load, parse

HEAD = "name: a\nproblem: {target: y}\n"
NEW = "everloop new NAME --data FILE --target COLUMN"


def refused(text):
    with pytest.raises(SpecFault) as found:
        parse(text)
    fault = found.value
    return fault.message, fault.place.removeprefix("everloop.yaml:"), fault.hint


# what the file says (below the head, on its third line), the message, the column, the hint
MISTAKES = {
    # unknown keys, at every depth
    "modle: {}": ("modle: 'modle' is no key of this part.", 1, "did you mean 'model'?"),
    "5: 3": (
        "5: '5' is no key of this part.",
        1,
        (
            "known here: name, owner, goal, problem, data, model, deploy, monitor, record, artifacts, engine, "
            "integrations"
        ),
    ),
    "model: {buget: 2m}": ("model.buget: 'buget' is no key of this part.", 9, "did you mean 'budget'?"),
    "deploy: {serve: {prot: 1}}": (
        "deploy.serve.prot: 'prot' is no key of this part.",
        18,
        "did you mean 'port'?",
    ),
    "data: {sources: {a: {file: x, formt: csv}}}": (
        "data.sources.a.formt: 'formt' is no key of this part.",
        31,
        "did you mean 'format'?",
    ),
    "data: {sources: {file: {file: x, formt: csv}}}": (
        "data.sources.file.formt: 'formt' is no key of this part.",
        34,
        "did you mean 'format'?",
    ),
    "monitor: {alerts: [{file: x}, {email: a, smtp: env:B, extra: 1}]}": (
        "monitor.alerts[1].extra: 'extra' is no key of this part.",
        55,
        "known here: every, email, smtp, sender",
    ),
    "data: {features: {f: {from: s, by: b, latest: q, over: 3d}}}": (
        "data.features.f.over: 'over' is no key of this part.",
        50,
        "known here: from, by, latest, within",
    ),
    # sources and receivers of no kind
    "data: {sources: {a: {fil: x}}}": (
        "data.sources.a: expected a source with one of the keys file, sql, http, kafka, mqtt, log, glue, feast.",
        21,
        None,
    ),
    "monitor: {alerts: [{webhok: env:A}]}": (
        "monitor.alerts[0]: expected a receiver with one of the keys webhook, slack, email, pagerduty, alertmanager, file.",
        20,
        None,
    ),
    # wrong types
    "data: {sources: [a]}": ("data.sources: expected keys with values.", 17, None),
    "model:": ("model: expected keys with values, found nothing.", 1, None),
    "model: {learners: linear}": ("model.learners: expected a list, found 'linear'.", 19, None),
    "model: {learners: [xgboost, 1]}": (
        "model.learners[1]: expected text (put it in quotes), found 1.",
        29,
        None,
    ),
    "model: {select_features: yes}": (
        "model.select_features: expected true or false, found 'yes'.",
        26,
        None,
    ),
    "model: {seed: true}": ("model.seed: expected a whole number, found true.", 15, None),
    "model: {seed: -1}": ("model.seed: expected a number of at least 0, found -1.", 15, None),
    "deploy: {serve: {port: 99999}}": (
        "deploy.serve.port: expected a number of at most 65535, found 99999.",
        24,
        None,
    ),
    "deploy: {serve: {port: '80'}}": ("deploy.serve.port: expected a whole number, found '80'.", 24, None),
    "deploy: {serve: {workers: 1.5}}": (
        "deploy.serve.workers: expected a whole number, found 1.5.",
        27,
        None,
    ),
    "goal: {costs: {label: .inf}}": ("goal.costs.label: expected a number, found inf.", 23, None),
    "goal: {costs: {label: -2}}": ("goal.costs.label: expected a number of at least 0, found -2.", 23, None),
    "goal: {today: {always: true}}": (
        "goal.today.always: expected text (put it in quotes), found true.",
        24,
        None,
    ),
    "goal: {value: {true_positive: true}}": (
        "goal.value.true_positive: expected a number or an SQL expression, found true.",
        31,
        None,
    ),
    "goal: {value: {true_positive: .nan}}": (
        "goal.value.true_positive: expected a number or an SQL expression, found nan.",
        31,
        None,
    ),
    "data: {features: {f: 5}}": (
        "data.features.f: expected text (put it in quotes), found 5.",
        22,
        None,
    ),
    # choices
    "deploy: {strategy: canry}": (
        "deploy.strategy: expected 'blue_green', 'canary', 'ab', 'bandit' or 'shadow', found 'canry'.",
        20,
        "did you mean 'canary'?",
    ),
    "data: {sources: {a: {file: x, format: cvs}}}": (
        "data.sources.a.format: expected 'csv', 'parquet', 'jsonl' or 'excel', found 'cvs'.",
        39,
        "did you mean 'csv'?",
    ),
    # words for values
    "deploy: {hold: {time: 10}}": (
        "deploy.hold.time: expected a duration such as 90d, 2m or 5ms, found 10.",
        23,
        None,
    ),
    "model: {max_latency: 99999999999999999d}": (
        "model.max_latency: expected a duration such as 90d, 2m or 5ms, found '99999999999999999d'.",
        22,
        None,
    ),
    "data: {split: {validation: abc}}": (
        "data.split.validation: expected a percentage such as 20%, found 'abc'.",
        28,
        None,
    ),
    "data: {split: {validation: 120%}}": (
        "data.split.validation: expected a percentage from 0% to 100%, found '120%'.",
        28,
        None,
    ),
    "goal: {require: {v: '=> 25'}}": (
        "goal.require.v: expected a bound such as '>= 0.6' or '<= 35%', found '=> 25'.",
        21,
        None,
    ),
    "goal: {require: {v: 25}}": (
        "goal.require.v: expected a bound such as '>= 0.6' or '<= 35%', found 25.",
        21,
        None,
    ),
    "goal: {volume: 10 / fortnight}": (
        "goal.volume: expected a rate such as '10000 / month', found '10 / fortnight'.",
        16,
        None,
    ),
    "deploy: {guard: {error_rate: not wose}}": (
        "deploy.guard.error_rate: expected a bound such as '<= 1%', or 'not worse', 'not worse by 2%' or 'better', found 'not wose'.",
        30,
        None,
    ),
    "monitor: {drift: {alarm: 3 false alarms in 2 windows}}": (
        (
            "monitor.drift.alarm: expected a budget such as '1 false alarm in 100 windows', "
            "found '3 false alarms in 2 windows'."
        ),
        26,
        None,
    ),
    "monitor: {retrain: {on: [drft]}}": (
        (
            "monitor.retrain.on[0]: expected one of drift, performance, value, schedule, labels, contract, rule, "
            "python, found 'drft'."
        ),
        26,
        None,
    ),
    "monitor: {retrain: {on: ['drift: 3']}}": (
        "monitor.retrain.on[0]: expected 'drift', found 'drift: 3'.",
        26,
        None,
    ),
    "monitor: {retrain: {on: [drift, 'schedule: often']}}": (
        (
            "monitor.retrain.on[1]: expected a schedule: 'often' is no schedule; such as weekly, 10d, "
            "'every Monday at 6', 'daily at 02:30 Europe/Oslo', 'first of the month', '30 2 * * 1' "
            "(schedule: weekly), found 'schedule: often'."
        ),
        33,
        None,
    ),
    "monitor: {retrain: {on: ['labels: many']}}": (
        (
            "monitor.retrain.on[0]: expected 'labels: ' with a whole number, such as 'labels: 5000', "
            "found 'labels: many'."
        ),
        26,
        None,
    ),
    # one of several
    "goal: {today: {always: 'no', rule: x}}": (
        "goal.today: expected exactly one of always, rule and column.",
        15,
        None,
    ),
    "deploy: {hold: {requests: 5, time: 3m}}": (
        "deploy.hold: expected {requests: 500} or {time: 10m}.",
        16,
        None,
    ),
    "deploy: {hold: 500}": ("deploy.hold: expected {requests: 500} or {time: 10m}, found 500.", 16, None),
    "deploy: {hold: {time: 0s}}": ("deploy.hold: expected a time longer than nothing.", 16, None),
    "model: {budget: {trials: 5, seconds: 3}}": (
        "model.budget: expected a duration such as 2m, or {trials: 50}.",
        17,
        None,
    ),
    "model: {budget: 2}": (
        "model.budget: expected a duration such as 2m, or {trials: 50}, found 2.",
        17,
        None,
    ),
    "model: {budget: 0s}": ("model.budget: expected a budget longer than nothing, found '0s'.", 17, None),
    "monitor: {window: 5}": (
        "monitor.window: expected a duration such as 1d, or {predictions: 1000}, found 5.",
        19,
        None,
    ),
    "monitor: {window: 0d}": ("monitor.window: expected a window longer than nothing, found '0d'.", 19, None),
    # what must fit together
    "data: {split: {validation: 60%, test: 40%}}": (
        "data.split: expected validation and test above 0% and together below 100%.",
        15,
        None,
    ),
    "data: {split: {validation: 0%}}": (
        "data.split: expected validation and test above 0% and together below 100%.",
        15,
        None,
    ),
    "deploy: {steps: [50%, 25%]}": (
        "deploy.steps: expected steps above 0% that grow, such as [5%, 25%, 50%, 100%].",
        17,
        None,
    ),
    "deploy: {steps: []}": (
        "deploy.steps: expected steps above 0% that grow, such as [5%, 25%, 50%, 100%].",
        17,
        None,
    ),
    "deploy: {steps: 5%}": ("deploy.steps: expected a list, found '5%'.", 17, None),
    # dangling names
    "data: {sources: {loans: {file: x}}, features: {f: {from: loan, by: b, over: 90d, value: sum(a)}}}": (
        "data.features.f.from: there is no source 'loan'.",
        58,
        "did you mean 'loans'?",
    ),
    "data: {features: {f: {from: bureau, by: b, latest: q}}}": (
        "data.features.f.from: there is no source 'bureau'.",
        29,
        "sources: none",
    ),
    "data: {sources: {a: {file: x}, b: {file: z}}}": (
        "data: there are several sources; the key 'table' has to say how they are joined.",
        7,
        None,
    ),
    # secrets
    "data: {sources: {a: {sql: x, url: 'postgres://u:topsecret@h/db'}}}": (
        "data.sources.a.url: expected an address without a password; write env:NAME and keep the address there.",
        35,
        None,
    ),
    "monitor: {alerts: [{webhook: https://topsecret}]}": (
        "monitor.alerts[0].webhook: expected env:NAME or file:PATH, so that the secret itself is not in the file.",
        30,
        None,
    ),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistake(line):
    message, column, hint = MISTAKES[line]
    assert refused(HEAD + line) == (message, f"3:{column}", hint)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "everloop.yaml holds nothing; expected keys such as name, problem and data.", "1:1"),
        (
            "# only a comment",
            "everloop.yaml holds nothing; expected keys such as name, problem and data.",
            "1:1",
        ),
        ("[]", "everloop.yaml holds a list; expected keys such as name, problem and data.", "1:1"),
        ("text", "everloop.yaml holds a single value; expected keys such as name, problem and data.", "1:1"),
        ("a: [", "everloop.yaml is not YAML: expected the node content, but found '<stream end>'.", "1:5"),
        ("a: b: c", "everloop.yaml is not YAML: mapping values are not allowed here.", "1:5"),
        (
            "name: a\n\tb: 3",
            r"everloop.yaml is not YAML: found character '\t' that cannot start any token.",
            "2:1",
        ),
        ("name: a\nname: b", "everloop.yaml is not YAML: the key 'name' is there twice.", "2:1"),
        (
            "a: \0",
            "everloop.yaml is not YAML: unacceptable character #x0000: special characters are not allowed.",
            "everloop.yaml",
        ),
        ("[" * 3000, "everloop.yaml is nested too deeply.", "everloop.yaml"),
        ("name: A B\nproblem: {target: y}", None, "1:7"),
        ("name: a", "the key 'problem' is missing.", "1:1"),
        ("problem: {target: y}", "the key 'name' is missing.", "1:1"),
        ("name: a\nproblem: {}", "problem: the key 'target' is missing.", "2:10"),
        ("name: a\nproblem:\n", "problem: expected keys with values, found nothing.", "2:1"),
        (
            "name: a\nproblem: {target: 5}",
            "problem.target: expected text (put it in quotes), found 5.",
            "2:19",
        ),
    ],
)
def test_file_that_is_none(text, message, place):
    found = refused(text)
    assert found[0] == message or message is None
    assert found[1] == place


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(SpecFault) as found:
        load(tmp_path / "everloop.yaml")
    assert found.value.message == f"There is no lifecycle file at {tmp_path / 'everloop.yaml'}."
    assert found.value.hint == NEW
    with pytest.raises(SpecFault, match="There is no lifecycle file"):
        load(tmp_path)


def test_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "everloop.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(SpecFault) as found:
        load(path)
    assert found.value.message == f"{path} is not UTF-8: byte 9 is not text."
    assert found.value.place == str(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SpecFault, match="There is no lifecycle file"):
        load(path)


def test_place_names_the_file_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.yaml").write_text("name: a\nproblem: {target: y}\nmodle: {}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecFault) as found:
        load("sub/mine.yaml")
    assert found.value.place == "sub/mine.yaml:3:1"


def test_all_mistakes_at_once_in_the_order_of_the_file():
    message, place, hint = refused(
        "name: A\nproblem: {target: y, task: binry}\nmodel:\n  buget: 2m\n  seed: x\n"
    )
    assert message.splitlines() == [
        "The lifecycle file has 4 mistakes:",
        (
            "  everloop.yaml:1:7: name: expected a name of a-z, 0-9, - and _, that begins with a letter or digit, "
            "found 'A'"
        ),
        (
            "  everloop.yaml:2:28: problem.task: expected 'binary', 'multiclass', 'regression', 'clustering', "
            "'anomaly' or 'recommendation', found 'binry' (did you mean 'binary'?)"
        ),
        "  everloop.yaml:4:3: model.buget: 'buget' is no key of this part (did you mean 'budget'?)",
        "  everloop.yaml:5:9: model.seed: expected a whole number, found 'x'",
    ]
    assert (place, hint) == ("1:7", None)


def test_merged_keys_have_a_place():
    message, place, _ = refused(HEAD + "model:\n  <<: {learners: 5}\n")
    assert (message, place) == ("model.learners: expected a list, found 5.", "4:3")


def test_long_values_are_shortened():
    assert len(refused(HEAD + f"deploy: {{strategy: {'x' * 5000}}}")[0]) < 200


@pytest.mark.parametrize(
    "more",
    [
        "record: postgresql://u:topsecret@h/db",
        "record: postgresql://u:top/topsecret@h/db",
        "record: postgresql://h/db?password=topsecret",
        "record: [topsecret]",
        "deploy: {serve: {tokens: {predict: topsecret}}}",
        "deploy: {serve: {tokens: topsecret}}",
        "monitor: {alerts: [{pagerduty: topsecret}]}",
        "monitor: {alerts: [{slack: https://topsecret}]}",
        "monitor: {alerts: [{alertmanager: 'http://u:topsecret@h'}]}",
        "artifacts: s3://key:topsecret@bucket",
        "integrations: {mlflow: 'http://u:topsecret@h'}",
        "data: {sources: {a: {http: 'http://u:topsecret@h'}}}",
        "data: {sources: {a: {http: 'http://h/x?api_key=topsecret'}}}",
        "data: {sources: {a: {http: x, auth: topsecret}}}",
        "data: {sources: {a: {kafka: x, servers: 'u:topsecret@h'}}}",
        "data: {sources: {a: 'postgres://u:topsecret@h'}}",
        "data: {sources: {a: {sql: x, ulr: topsecret}}}",
        "data: {sources: {a: {sql: x, url: env:A, url: topsecret}}}",
        "data: {table: [], sources: {a: {sql: x, url: 'mysql://a:topsecret@h'}}}",
        "monitor: {alerts: [https://hooks.example/topsecret]}",
        "monitor: {alerts: [{email: x, smtp: 'smtp://u:topsecret@h'}]}",
        "monitor: {alerts: [{webhook: 'env:topsecret not a name'}]}",
        "owner: [a@b]\nrecord: mysql://u:topsecret@h",
    ],
)
def test_no_message_shows_a_secret(more):
    with pytest.raises(SpecFault) as found:
        parse(HEAD + more)
    assert "topsecret" not in f"{found.value.message} {found.value.hint} {found.value.place}"
    assert found.value.__cause__ is None
    assert found.value.__suppress_context__


@pytest.mark.parametrize(
    "address",
    ["postgresql://me@h/db", "https://h:8080/a@b", "sqlite:///x.db", "https://h/a?page=token", "a@b"],
)
def test_addresses_without_a_password_are_taken(address):
    assert parse(HEAD + f"record: '{address}'").record == address


def test_an_anchor_that_is_defined_twice_is_told_without_its_lines(tmp_path):
    (tmp_path / "everloop.yaml").write_text("name: &a loans\nowner: &a secret-owner\n")
    with pytest.raises(SpecFault, match="same anchor") as told:
        load(tmp_path)
    assert "secret-owner" not in str(told.value)
