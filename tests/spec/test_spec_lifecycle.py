"""A whole lifecycle file, read and written back; its schema; YAML 1.2; secrets."""

import json
import re
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import OutsideFault, SpecFault
from everloop.spec import (
    AsOfFeature,
    EmailAlert,
    FileSource,
    Frame,
    LifecycleSpec,
    Secret,
    SqlSource,
    WebhookAlert,
    WindowFeature,
    json_schema,
    load,
    parse,
)
from everloop.spec.fields import AlarmBudget, Trigger
from everloop.spec.sources import kind_of_source

FILE = Path(__file__).with_name("loan-default.yaml")
SAMPLE = FILE.read_text()
MINIMAL = "name: a\nproblem: {target: y}\n"


@pytest.fixture(scope="module")
def sample():
    return load(FILE)


def test_goal_and_problem(sample):
    assert (sample.name, sample.owner) == ("loan-default", "credit-risk@bank.example")
    assert sample.goal.today.always == "no"
    assert sample.goal.today.rule is sample.goal.today.column is None
    assert sample.goal.value.true_positive == "0"
    assert sample.goal.value.false_negative == "-0.55 * amount"
    assert sample.goal.require["value_per_decision"].holds(25.0)
    assert not sample.goal.require["positive_rate"].holds(0.36)
    assert sample.goal.costs.per_1000_predictions == 0.02
    assert sample.goal.volume.per_month == 10_000
    assert (sample.problem.target, sample.problem.positive) == ("defaulted", "yes")
    assert sample.problem.label_delay == timedelta(days=90)
    assert sample.problem.sensitive == ("sex", "age_group")


def test_data(sample):
    sources = sample.data.sources
    assert sources["loans"] == FileSource(file="data/loans-*.parquet")
    assert isinstance(sources["payments"], SqlSource)
    assert sources["payments"].url == Secret("env:DATABASE_URL")
    assert [kind_of_source(source) for source in sources.values()] == [
        *("file", "sql", "http", "kafka", "mqtt", "log")
    ]
    features = sample.data.features
    assert features["debt_ratio"] == "debt / nullif(income, 0)"
    assert features["paid_90d"] == WindowFeature(
        source="payments", by="customer_id", over=timedelta(days=90), value="sum(amount)"
    )
    assert features["bureau"] == AsOfFeature(
        source="bureau", by="customer_id", latest="score", within=timedelta(days=30)
    )
    assert (sample.data.split.validation, sample.data.split.test) == (0.2, 0.2)


def test_model_deploy_and_monitor(sample):
    assert sample.model.budget.seconds == 120
    assert sample.model.max_latency == timedelta(milliseconds=5)
    assert sample.deploy.steps == (0.05, 0.25, 0.5, 1.0)
    assert sample.deploy.guard["latency_p99"].limit == pytest.approx(0.05)
    assert str(sample.deploy.guard["value_per_decision"]) == "not worse"
    assert sample.monitor.window.time == timedelta(days=1)
    assert sample.monitor.drift.alarm == AlarmBudget(1, 100)
    assert sample.monitor.drift.alarm.rate == 0.01
    assert sample.monitor.alerts == (
        WebhookAlert(webhook=Secret("env:ALERT_URL")),
        EmailAlert(email="ml@bank.example", smtp=Secret("env:SMTP_URL")),
    )
    assert sample.monitor.retrain.on[3:] == (Trigger("schedule", "weekly"), Trigger("labels", "5000"))
    assert sample.integrations == {"mlflow": Secret("env:MLFLOW_TRACKING_URI")}


def test_relative_paths_start_at_the_file(sample, tmp_path):
    assert sample.folder == FILE.parent
    (tmp_path / "everloop.yaml").write_text(MINIMAL)
    assert load(tmp_path).folder == tmp_path.resolve()
    assert parse(MINIMAL, folder=tmp_path).folder == tmp_path
    moved = sample.in_folder(tmp_path)
    assert (moved.folder, sample.folder) == (tmp_path, FILE.parent)


def test_written_back_it_is_the_same(sample):
    text = json.dumps(sample.to_dict())
    again = parse(text, folder=sample.folder)
    assert again == sample
    assert again.to_dict() == sample.to_dict()
    assert LifecycleSpec.model_validate(sample.to_dict()).to_dict() == sample.to_dict()


@pytest.mark.parametrize(("window", "days"), [("7d", 7), ("{predictions: 500}", 1)])
def test_a_window_has_a_length_also_where_it_is_a_number_of_predictions(window, days):
    spec = parse(f"{MINIMAL}\nmonitor: {{window: {window}}}")
    assert spec.monitor.window.length == timedelta(days=days)


def test_defaults_written_back_are_the_same():
    spec = parse(MINIMAL)
    assert parse(json.dumps(spec.to_dict())) == spec


@pytest.mark.parametrize(
    "more",
    [
        "model: {budget: {trials: 7}}",
        "monitor: {window: {predictions: 500}}",
        "deploy: {strategy: shadow, hold: {time: 90m}, guard: {latency_p50: not worse}}",
        "monitor: {retrain: {on: [{labels: 10}, contract], approve: manual}}",
        "goal: {today: {rule: amount > 5}, value: {true_positive: 1.5}, volume: 3 per day}",
        "data: {split: {by: group, group: g, validation: 0.1}, features: {}}",
        "data: {sources: {a: {log: x, within: 36h, pattern: syslog}}}",
        "data: {sources: {a: {http: 'https://h', headers: {Authorization: 'env:T', Accept: json}}}}",
    ],
)
def test_other_forms_written_back_are_the_same(more):
    spec = parse(MINIMAL + more)
    assert parse(json.dumps(spec.to_dict())) == spec


def test_a_part_is_frozen(sample):
    with pytest.raises(ValueError, match="frozen"):
        sample.problem.target = "other"


def test_yes_and_no_are_text_as_in_yaml_1_2():
    spec = parse("name: yes\nproblem: {target: no, positive: yes, entity: on, time: 2013-01-01}\n")
    assert (spec.name, spec.problem.target, spec.problem.positive) == ("yes", "no", "yes")
    assert (spec.problem.entity, spec.problem.time) == ("on", "2013-01-01")
    assert parse(MINIMAL + "goal: {value: {true_positive: 010}}").goal.value.true_positive == "10"


def test_anchors_and_merges_are_read():
    spec = parse("name: a\nproblem: &p {target: y}\n").problem
    assert spec == parse("problem:\n  <<: {target: y}\nname: a\n").problem


def test_a_byte_order_mark_is_passed_over():
    assert parse("\ufeff" + MINIMAL).name == "a"


def test_schema_is_valid_and_takes_the_sample(sample):
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    written = {key: value for key, value in sample.to_dict().items() if value is not None}
    assert [error.message for error in validator.iter_errors(_without_none(written))] == []
    assert list(validator.iter_errors({"name": "a"}))
    assert list(validator.iter_errors({"name": "a", "problem": {"target": "y"}, "modle": {}}))
    short = {"name": "a", "problem": {"target": "y"}, "model": {"budget": "2m"}, "monitor": {"window": "1d"}}
    assert list(validator.iter_errors(short)) == []


def _without_none(value):
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def test_secret_is_read_when_it_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("EVERLOOP_TEST_SECRET", "s3cr3t")
    secret = Secret("env:EVERLOOP_TEST_SECRET")
    assert secret.reveal() == "s3cr3t"
    assert "s3cr3t" not in f"{secret} {secret!r}"
    (tmp_path / "token").write_text("t0k3n\n")
    assert Secret(f"file:{tmp_path / 'token'}").reveal() == "t0k3n"


def test_secret_that_is_not_there_says_where_it_was_sought(monkeypatch, tmp_path):
    monkeypatch.delenv("EVERLOOP_TEST_SECRET", raising=False)
    with pytest.raises(OutsideFault, match="EVERLOOP_TEST_SECRET is not set") as found:
        Secret("env:EVERLOOP_TEST_SECRET").reveal()
    assert found.value.hint == "export EVERLOOP_TEST_SECRET=..."
    with pytest.raises(OutsideFault, match="No such file"):
        Secret(f"file:{tmp_path / 'none'}").reveal()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OutsideFault, match="not UTF-8"):
        Secret(f"file:{tmp_path / 'bytes'}").reveal()


def test_secrets_never_leave_their_place(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cr3t@h/db")
    spec = parse(SAMPLE)
    assert "s3cr3t" not in repr(spec) + json.dumps(spec.to_dict()) + spec.model_dump_json()
    assert spec.to_dict()["data"]["sources"]["payments"]["url"] == "env:DATABASE_URL"


LINES = SAMPLE.splitlines(keepends=True)
JUNK = st.sampled_from(
    [
        "",
        "{",
        "]",
        ": ",
        "- ",
        "null",
        "yes",
        "99999d",
        "-1",
        "5%",
        "1e999",
        "&a ",
        "*a",
        "<<: ",
        "\t",
        "'",
        "\0",
    ]
)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_any_damage_is_told_as_a_fault(data):
    text = SAMPLE
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = min(len(text), begin + data.draw(st.integers(0, 25)))
        text = text[:begin] + data.draw(st.one_of(JUNK, st.text(max_size=8))) + text[end:]
    _read_or_refused(text)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_wrong_value_is_told_at_its_place(data):
    tree = json.loads(json.dumps(load(FILE).to_dict()))
    node = tree
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not node[key] or not isinstance(node[key], (dict, list)) or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=4,
        )
    )
    _read_or_refused(json.dumps(tree))


def _read_or_refused(text):
    try:
        spec = parse(text)
    except SpecFault as found:
        fault = found
    else:
        assert parse(written(spec)) == spec
        return
    assert fault.place.startswith("everloop.yaml")
    assert fault.message


def written(spec):
    """JSON that is YAML too: YAML knows no surrogate pairs, and takes no raw control characters."""
    text = json.dumps(spec.to_dict(), ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda found: f"\\U{ord(found[0]):08x}", text)


def test_frame_written_and_read(tmp_path):
    frame = Frame(
        task="binary",
        target="y",
        classes=("no", "yes"),
        positive="yes",
        metric="roc_auc",
        sensitive=("sex",),
        excluded={"id": "an identifier"},
        inputs=("a", "b"),
        reasons={"task": "two classes"},
    )
    assert Frame.from_dict(json.loads(json.dumps(frame.to_dict()))) == frame
    frame.save(tmp_path)
    assert Frame.load(tmp_path) == frame


def test_a_character_that_json_escapes_in_halves_is_one():
    tree = json.loads(json.dumps(load(FILE).to_dict()))
    tree["goal"]["statement"] = "Less loss \U0001f600"
    tree["data"]["features"] = {"x\U0001f600": "amount / 2"}
    spec = parse(json.dumps(tree))
    assert spec.goal.statement == "Less loss \U0001f600"
    assert list(spec.data.features) == ["x\U0001f600"]


@pytest.mark.parametrize("key", ["x\\ud83d", "\\ude00\\ud83d"])
def test_half_a_character_is_refused(key):
    tree = json.loads(json.dumps(load(FILE).to_dict()))
    for place, value in (("features", {"HERE": "amount / 2"}), ("table", "select 'HERE' from loans")):
        spoiled = tree | {"data": tree["data"] | {place: value}}
        with pytest.raises(SpecFault, match="half a character"):
            parse(json.dumps(spoiled).replace("HERE", key))


def test_a_mistake_below_such_a_key_is_told():
    tree = json.loads(json.dumps(load(FILE).to_dict()))
    tree["data"]["features"] = {"x\U0001f600": {"form": 5}}
    with pytest.raises(SpecFault) as caught:
        parse(json.dumps(tree))
    assert caught.value.place.startswith("everloop.yaml")
