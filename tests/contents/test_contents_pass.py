"""Columns that name files, through the phases: snapshot, contract, frame, model, package."""

import json
import wave

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import everloop as el
from everloop.cli import main
from everloop.core.errors import DataFault, ModelFault, SpecFault
from everloop.data.contents import contents_at
from everloop.model.learners import learner
from everloop.model.learners.image_net import ImageNet
from everloop.problem.frame import build_frame
from everloop.spec import ProblemSpec
from everloop.table.content import array_text, content_kind
from everloop.table.contract import ColumnRule, Contract, check
from everloop.table.contract.json_rows import json_row_reader
from everloop.table.contract.rows import row_checker

ROWS = 240


def write_digits(folder, rows=ROWS):
    X, y = load_digits(n_class=3, return_X_y=True)
    (folder / "pictures").mkdir()
    names = [f"pictures/{place}.png" for place in range(rows)]
    for name, pixels in zip(names, X[:rows].reshape(-1, 8, 8), strict=True):
        Image.fromarray((pixels * 15).astype(np.uint8)).save(folder / name)
    pl.DataFrame({"picture": names, "digit": [f"d{one}" for one in y[:rows]]}).write_csv(folder / "rows.csv")


def lifecycle(folder, more="", **tables):
    (folder / "everloop.yaml").write_text(
        "name: digits\n"
        f"problem: {{target: digit{more}}}\n"
        "data: {sources: {rows: {file: rows.csv}}, files: [picture], split: {by: stratified}}\n"
        "model: {learners: [linear], budget: {trials: 1}, select_features: false}\n"
    )
    return el.load(folder / "everloop.yaml")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    lifecycle(folder).run()
    return folder


@pytest.fixture
def package(home):
    return el.runtime.Package(next((home / ".everloop").rglob("parity.json")).parent)


@pytest.mark.slow
def test_windows_are_compared_by_what_pictures_look_like(home):
    kept = el.monitor.Reference.load(next((home / ".everloop").rglob("parity.json")).parent)
    assert ("picture (brightness)", "cramer_von_mises") in kept.watched
    rows = pl.DataFrame({"picture": [array_text(np.full((8, 8), 250 - row % 9)) for row in range(60)]})
    finding = el.monitor.judge_state(el.monitor.count_window(rows, kept), kept)
    assert "picture (brightness)" in finding.moved()


@pytest.mark.slow
def test_a_run_learns_from_files_and_proves_its_graph(home, package):
    certificate = json.loads((package.folder / "parity.json").read_bytes())
    assert certificate["passed"]
    assert certificate["runtimes"]["graph"]["decisions_differ"] == 0
    table = pl.read_csv(home / "rows.csv")
    carried = table.with_columns(contents_at(table["picture"], home))
    assert (package.predict(carried) == table["digit"].to_numpy()).mean() > 0.95
    arrays = [np.asarray(Image.open(home / name), dtype=float).tolist() for name in table["picture"][:20]]
    given = package.predict(pl.DataFrame({"picture": arrays}))
    assert (given == table["digit"].to_numpy()[:20]).mean() > 0.9
    rule = next(one for one in package.contract.columns if one.name == "picture")
    assert (rule.content, rule.size, rule.severity) == ("image", (8, 8), "error")


@pytest.mark.slow
def test_rows_of_a_file_that_name_images_are_scored(home, package, monkeypatch, capsys):
    monkeypatch.chdir(home)
    table = pl.read_csv(home / "rows.csv")
    table.head(40).write_csv(home / "new.csv")
    assert main(["predict", "new.csv", "--output", "scored.parquet", "--keep", "digit"]) == 0
    scored = pl.read_parquet(home / "scored.parquet")
    expected = package.predict(table.head(40).with_columns(contents_at(table["picture"].head(40), home)))
    assert scored["prediction"].to_list() == expected.tolist()
    monkeypatch.chdir(home.parent)
    elsewhere = ["predict", str(home / "new.csv"), "--output", str(home / "no.parquet")]
    assert main([*elsewhere, "--package", str(package.folder)]) == 2
    assert "names files beside a lifecycle file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_that_changes_makes_another_snapshot(tmp_path):
    write_digits(tmp_path, rows=120)
    spec = lifecycle(tmp_path)
    for _ in range(2):
        spec.run(until="data")
        assert len(snapshots(tmp_path)) == 1
    Image.fromarray(np.full((8, 8), 77, dtype=np.uint8)).save(tmp_path / "pictures/5.png")
    spec.run(until="data")
    assert len(snapshots(tmp_path)) == 2


def snapshots(folder):
    return {json.loads(path.read_bytes())["digest"] for path in folder.rglob("snapshot.json")}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda folder: (folder / "pictures/3.png").write_bytes(b"\x89PNG\r\n\x1a\nno"),
            "row 4, pictures/3.png",
        ),
        (lambda folder: (folder / "pictures/7.png").unlink(), "There is no file pictures/7.png"),
        (
            lambda folder: (folder / "rows.csv").write_text("picture,digit\n../secret.png,1\n"),
            "outside of the lifecycle",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path, spoil, told):
    write_digits(tmp_path, rows=20)
    spoil(tmp_path)
    with pytest.raises(DataFault) as raised:
        lifecycle(tmp_path).run(until="data")
    assert told in raised.value.message
    assert ".;" not in raised.value.message


def test_a_column_that_is_not_there_is_told(tmp_path):
    write_digits(tmp_path, rows=20)
    (tmp_path / "rows.csv").write_text("image,digit\npictures/1.png,1\n")
    with pytest.raises(SpecFault, match="'picture', which no source has"):
        lifecycle(tmp_path).run(until="data")


def frame_table(rows=60):
    random = np.random.default_rng(0)
    pictures = [array_text(random.random((6, 5)).tolist()) for _ in range(rows)]
    return pl.DataFrame({"picture": pictures, "kind": ["a", "b"] * (rows // 2)})


def test_images_are_inputs_and_their_size_can_be_stated():
    table = frame_table()
    frame = build_frame(table, ProblemSpec(target="kind"))
    assert frame.inputs == ("picture",)
    assert "picture" in frame.reasons["images"]
    spec = ProblemSpec.model_validate({"target": "kind", "images": {"picture": {"rows": 3, "columns": 4}}})
    stated = build_frame(table, spec)
    assert stated.image_sizes == {"picture": (3, 4)}
    assert type(stated).from_dict(json.loads(json.dumps(stated.to_dict()))) == stated
    wrong = ProblemSpec.model_validate({"target": "kind", "images": {"kind": {"rows": 3, "columns": 4}}})
    with pytest.raises(SpecFault, match="no column of images"):
        build_frame(table, wrong)


def test_a_stated_size_is_what_the_model_reads():
    table = frame_table()
    spec = ProblemSpec.model_validate({"target": "kind", "images": {"picture": {"rows": 3, "columns": 4}}})
    from everloop.model.features import Features
    from everloop.model.preparation import PreparationSettings, fit_preparation

    features = Features({"picture": "image"}, {"picture": "text"})
    frame = build_frame(table, spec)
    plan, X = fit_preparation(table, frame, features, PreparationSettings(), np.arange(60) % 2)
    assert X.shape == (60, 12)
    assert (plan.encoders[0].rows, plan.encoders[0].columns) == (3, 4)


def test_a_row_and_a_table_are_judged_alike():
    rule = ColumnRule("picture", "text", content="image", size=(6, 5))
    contract = Contract((rule,))
    assert Contract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract
    good = array_text(np.zeros((6, 5)).tolist())
    texts = [good, array_text([[1.0]]), "data:image/png;base64,AAAA", "a chair", None]
    table = check(pl.DataFrame({"picture": texts}), contract)
    found = {(finding.rule, finding.failing) for finding in table.findings}
    assert found == {("size", 1), ("content", 2)}
    rows = [row_checker(contract)({"picture": text}) for text in texts]
    assert [[one.rule for one in found] for found in rows] == [[], ["size"], ["content"], ["type"], []]
    values, flaws = row_checker(contract).normalise({"picture": [[0.0] * 5] * 6})
    assert not flaws
    assert content_kind(values["picture"]) == "image"


def test_a_row_read_from_json_is_judged_too():
    contract = Contract((ColumnRule("picture", "text", content="image", size=(1, 2)),))
    reader = json_row_reader(contract, row_checker(contract))
    flawed = ([[1.0]], "data:image/png;base64,AAAA", "a chair", 7)
    assert [reader.read(json.dumps({"picture": value}).encode()) for value in flawed] == [None] * 4
    read, *_ = reader.read(b'{"picture": [[1.0, 2.0]]}')
    assert read == row_checker(contract).normalise({"picture": [[1.0, 2.0]]})[0]


def test_rules_of_contents_are_for_texts():
    for flaw in ({"type": "number", "content": "image"}, {"type": "text", "size": (1, 2)}):
        with pytest.raises(SpecFault):
            ColumnRule("picture", **flaw)


def test_learners_of_images_need_images(home):
    table = pl.DataFrame({"a": np.arange(60.0), "kind": ["x", "y"] * 30})
    with pytest.raises(ModelFault, match="learns from images and sounds"):
        el.model.search(table, target="kind", learners=["cnn"], budget={"trials": 1})


def test_a_network_without_its_library_names_the_extra():
    for name, extra in (("cnn", "torch"), ("cnn_keras", "tensorflow")):
        try:
            learner(name).fit(np.zeros((20, 4)), np.arange(20) % 2, task="binary", configuration={})
        except el.core.errors.EverloopError as error:
            assert f"everloop[{extra}]" in str(error.hint)  # noqa: PT017
        else:
            pytest.skip(f"{extra} is installed here")


def test_images_of_one_size_are_channels_of_one():
    net = ImageNet.of({"grids": ((1, 2, 2, 1), (5, 2, 2, 3))}, 17)
    assert (net.rows, net.columns, net.channels) == (2, 2, 4)
    assert net.slots.tolist() == [1, 5, 6, 7, 2, 8, 9, 10, 3, 11, 12, 13, 4, 14, 15, 16]
    with pytest.raises(ModelFault, match="images of one size"):
        ImageNet.of({"grids": ((0, 2, 2, 1), (4, 3, 2, 1))}, 10)


def write_sounds(folder, rows=120, rate=4_000):
    random = np.random.default_rng(0)
    names, kinds = [], []
    for place in range(rows):
        kind = ("low", "high", "noise")[place % 3]
        moments = np.arange(int(rate * random.uniform(0.2, 0.3))) / rate
        pitch = {"low": 300, "high": 1_200, "noise": 0}[kind] * random.uniform(0.9, 1.1)
        samples = np.sin(2 * np.pi * pitch * moments) if pitch else random.normal(size=len(moments)) * 0.3
        samples = np.clip(samples * random.uniform(0.2, 0.9), -1, 1)
        names.append(f"sound-{place}.wav")
        kinds.append(kind)
        with wave.open(str(folder / names[-1]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((samples * 32_000).astype("<i2").tobytes())
    pl.DataFrame({"picture": names, "digit": kinds}).write_csv(folder / "rows.csv")


@pytest.mark.slow
def test_sounds_are_heard_as_images_are_seen(tmp_path):
    write_sounds(tmp_path)
    lifecycle(tmp_path).run()
    package = el.runtime.Package(next((tmp_path / ".everloop").rglob("parity.json")).parent)
    assert json.loads((package.folder / "parity.json").read_bytes())["passed"]
    table = pl.read_csv(tmp_path / "rows.csv")
    carried = table.with_columns(contents_at(table["picture"], tmp_path))
    assert (package.predict(carried) == table["digit"].to_numpy()).mean() > 0.95
