"""A package answers as its graph says, and is refused whole when anything in it is not as named."""

import json
import os
import shutil
import subprocess
import sys

import msgspec
import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper, numpy_helper

from everloop.core.errors import DataFault, ModelFault, PackageRefused
from everloop.runtime.manifest import read_manifest, write_manifest
from everloop.runtime.onnx_guard import refuse_unknown
from everloop.runtime.package import Package

ROW = {"amount": 12.0, "region": "north"}
ROWS = [ROW, {"amount": None, "region": "south"}, {"amount": -40.0, "region": "west"}, {}]
VECTORS = np.array([[1.2, 1, 0], [0, 0, 1], [-4, 0, 0], [0, 0, 0]])


def by_hand(task, weights):
    z = VECTORS @ weights
    if task == "binary":
        return 1 / (1 + np.exp(-z))
    if task == "multiclass":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    return z


WEIGHTS = {
    "binary": np.array([[1.0], [0.5], [-0.5]]),
    "multiclass": np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    "regression": np.array([[2.0], [1.0], [-1.0]]),
}


@pytest.mark.parametrize("task", list(WEIGHTS))
def test_scores_are_those_of_the_formula_in_every_form(packages, task):
    package = Package(packages[task])
    table = pl.DataFrame([row if row else {"amount": None, "region": None} for row in ROWS])
    expected = by_hand(task, WEIGHTS[task])
    for form in (ROWS, table, table.to_pandas(), table.to_arrow()):
        np.testing.assert_allclose(package.scores(form), expected, atol=1e-15)
    singly = [package.answer(row) for row in ROWS]
    assert singly == package.answers(ROWS)
    np.testing.assert_allclose(
        np.array([np.atleast_1d(answer.score) for answer in singly]), expected, atol=1e-15
    )
    assert [answer.prediction for answer in singly] == package.predict(ROWS).tolist()
    assert package.answers(ROWS, table) == singly


def test_binary_decides_at_the_threshold(packages, make_package, tmp_path):
    score = Package(packages["binary"]).answer(ROW).score
    for threshold, decision in ((score, "yes"), (np.nextafter(score, 1), "no")):
        folder = make_package(tmp_path / decision, threshold=threshold)
        assert Package(folder).answer(ROW).prediction == decision


def test_multiclass_decides_for_the_highest(packages):
    assert Package(packages["multiclass"]).predict(ROWS).tolist() == ["a", "c", "c", "a"]


def test_nothing_gives_nothing(packages):
    package = Package(packages["binary"])
    assert package.predict([]).shape == (0,)
    assert package.scores(
        pl.DataFrame({"amount": [], "region": []}, schema={"amount": pl.Float64, "region": pl.String})
    ).shape == (0, 1)


def test_many_rows_go_in_batches(packages):
    package = Package(packages["binary"])
    rows = [{"amount": float(n), "region": "north"} for n in range(10_000)]
    np.testing.assert_array_equal(package.scores(rows), package.scores(pl.DataFrame(rows)))


def test_reasons_are_the_changes_of_the_score(packages):
    package = Package(packages["regression"])
    reasons = package.explain({"amount": 30.0, "region": "south"}, 5)
    # score = 0.2 * amount + 1 (north) - 1 (south); the reference is 0 and north.
    assert [(reason.column, round(reason.effect, 12)) for reason in reasons] == [
        ("amount", 6.0),
        ("region", -2.0),
    ]
    assert len(package.explain({"amount": 30.0, "region": "south"}, 1)) == 1
    assert package.explain({"amount": 0.0, "region": "north"}) == ()


def test_reasons_without_what_they_need(make_package, tmp_path):
    with pytest.raises(ModelFault, match=r"explain\.npz"):
        Package(make_package(tmp_path / "p", explain=False)).explain(ROW)


def test_a_row_that_is_no_row(packages):
    with pytest.raises(DataFault, match="A row is a int"):
        Package(packages["binary"]).predict([3])


def test_a_pickle_in_the_reasons_is_never_loaded(make_package, tmp_path):
    folder = make_package(tmp_path / "p")
    np.savez(folder / "explain.npz", columns=np.array([object()], dtype=object), values=np.array(["1"]))
    write_manifest(folder, read_manifest(folder))
    with pytest.raises(PackageRefused, match=r"explain\.npz"):
        Package(folder).explain(ROW)


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_file(name):
    return lambda folder: edit_manifest(
        folder, files=json.loads((folder / "manifest.json").read_text())["files"] | {name: "0" * 64}
    )


def link(folder):
    shutil.move(folder / "plan.json", folder.parent / "elsewhere")
    (folder / "plan.json").symlink_to(folder.parent / "elsewhere")


def flip(name):
    def change(folder):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(bytes(content))

    return change


BREAKS = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest"),
    "manifest is a link": (
        lambda f: (
            (f / "manifest.json").rename(f.parent / "m"),
            (f / "manifest.json").symlink_to(f.parent / "m"),
        ),
        "manifest",
    ),
    "garbage": (lambda f: (f / "manifest.json").write_bytes(b"\x80\x04."), "cannot be read"),
    "deep": (lambda f: (f / "manifest.json").write_bytes(b'{"a":' * 100_000), "cannot be read"),
    "newer": (lambda f: edit_manifest(f, format=99), "newer"),
    "changed plan": (flip("plan.json"), r"'plan\.json'"),
    "changed graph": (flip("score.onnx"), r"'score\.onnx'"),
    "changed reasons": (flip("explain.npz"), r"'explain\.npz'"),
    "missing file": (lambda f: (f / "score.onnx").unlink(), r"lacks 'score\.onnx'"),
    "added file": (lambda f: (f / "run.py").write_text("boom"), r"'run\.py'"),
    "added folder": (lambda f: (f / "deeper").mkdir(), "'deeper'"),
    "link": (link, r"'plan\.json'"),
    "parent": (with_file("../plan.json"), r"'\.\./plan\.json'"),
    "absolute": (with_file("/etc/passwd"), "'/etc/passwd'"),
    "backslash": (with_file("..\\x"), "plain file name"),
    "hidden": (with_file(".bashrc"), r"'\.bashrc'"),
    "nul": (with_file("a\x00b"), "plain file name"),
    "no digest": (lambda f: edit_manifest(f, files={"plan.json": "abc"}), "no SHA-256"),
    "unknown key": (lambda f: edit_manifest(f, execute="rm"), "cannot be read"),
    "python": (lambda f: edit_manifest(f, runtime="python"), "says what it requires"),
    "requires": (lambda f: edit_manifest(f, requirements={"scikit-learn": "1.9"}), "says what it requires"),
    "options": (
        lambda f: edit_manifest(f, runtime="python", requirements={"a": "1 --index-url=x"}),
        "by name and version",
    ),
    "task": (lambda f: edit_manifest(f, task="guessing"), "task"),
    "classes": (lambda f: edit_manifest(f, classes=["no"]), "two classes"),
    "positive": (lambda f: edit_manifest(f, positive="no"), "positive"),
    "threshold": (lambda f: edit_manifest(f, threshold=None), "threshold"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_package_is_refused_with_the_name(packages, tmp_path, name):
    folder = tmp_path / "package"
    shutil.copytree(packages["binary"], folder)
    change, message = BREAKS[name]
    change(folder)
    with pytest.raises(PackageRefused, match=message):
        Package(folder)


def test_a_fifo_is_not_waited_for(packages, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(packages["binary"], folder)
    (folder / "plan.json").unlink()
    os.mkfifo(folder / "plan.json")
    with pytest.raises(PackageRefused, match=r"'plan\.json'"):
        Package(folder)


def test_a_huge_file_is_not_read(packages, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(packages["binary"], folder)
    with (folder / "plan.json").open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(PackageRefused, match="too large"):
        Package(folder)


def graph_of(nodes, inputs, outputs, tensors=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def value(name, kind=TensorProto.DOUBLE, shape=("n", 3)):
    return helper.make_tensor_value_info(name, kind, list(shape))


def external():
    tensor = numpy_helper.from_array(np.zeros((3, 1)), "w")
    onnx.external_data_helper.set_external_data(tensor, "../../etc/passwd")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


GRAPHS = {
    "float input": graph_of(
        [helper.make_node("Identity", ["x"], ["score"])],
        [value("x", TensorProto.FLOAT)],
        [value("score", TensorProto.FLOAT)],
    ),
    "other name": graph_of([helper.make_node("Identity", ["y"], ["score"])], [value("y")], [value("score")]),
    "wrong width": graph_of(
        [helper.make_node("Identity", ["x"], ["score"])], [value("x", shape=("n", 9))], [value("score")]
    ),
    "wrong shape out": graph_of(
        [helper.make_node("Identity", ["x"], ["score"])], [value("x")], [value("score")]
    ),
    "unknown operator": graph_of(
        [helper.make_node("Evil", ["x"], ["score"], domain="evil")], [value("x")], [value("score")]
    ),
    "external data": graph_of(
        [helper.make_node("MatMul", ["x", "w"], ["score"])], [value("x")], [value("score")], [external()]
    ),
    "external in an attribute": graph_of(
        [
            helper.make_node("Constant", [], ["w"], value=external()),
            helper.make_node("MatMul", ["x", "w"], ["score"]),
        ],
        [value("x")],
        [value("score")],
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_does_not_fit_is_refused(packages, tmp_path, name):
    folder = tmp_path / "package"
    shutil.copytree(packages["binary"], folder)
    (folder / "score.onnx").write_bytes(GRAPHS[name].SerializeToString())
    write_manifest(folder, read_manifest(folder))
    with pytest.raises(PackageRefused):
        Package(folder)


@pytest.mark.parametrize("name", ["external data", "external in an attribute"])
def test_external_data_is_found_before_the_graph_is_loaded(name):
    with pytest.raises(PackageRefused, match="another file"):
        refuse_unknown(GRAPHS[name].SerializeToString(), "score.onnx")


def test_the_word_alone_is_no_external_data():
    model = graph_of([helper.make_node("Identity", ["x"], ["location"])], [value("x")], [value("location")])
    refuse_unknown(model.SerializeToString(), "score.onnx")


@pytest.mark.parametrize(
    "content", [b"location", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01location", b"\x3a\x50location"]
)
def test_what_is_no_graph_is_refused(content):
    with pytest.raises(PackageRefused):
        refuse_unknown(content, "score.onnx")


def test_a_broken_contract_is_refused(packages, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(packages["binary"], folder)
    (folder / "contract.json").write_text("[1]")
    write_manifest(folder, read_manifest(folder))
    with pytest.raises(PackageRefused):
        _ = Package(folder).contract


def test_the_manifest_round_trips(packages):
    manifest = read_manifest(packages["binary"])
    assert type(manifest).from_json(manifest.to_json()) == manifest
    assert set(manifest.files) == {"plan.json", "contract.json", "score.onnx", "explain.npz"}
    assert msgspec.json.decode(manifest.to_json())["format"] == 1


def test_answering_needs_no_heavy_library(packages):
    code = (
        "import sys; from everloop.runtime import Package;"
        f"print(Package({str(packages['binary'])!r}).answer({ROW!r}).prediction);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert out[0] == "yes"
    heavy = {
        "polars",
        "pandas",
        "sklearn",
        "pyarrow",
        "onnx",
        "scipy",
        "lightgbm",
        "xgboost",
        "sqlglot",
        "pydantic",
        "uvicorn",
    }
    assert not heavy & set(out[1].split())
