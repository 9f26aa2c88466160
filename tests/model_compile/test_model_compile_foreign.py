"""Models from elsewhere become packages that answer as they do; files that could do harm are refused."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper, numpy_helper

import everloop as el
from everloop.cli import main
from everloop.core.errors import MissingExtra, ModelFault, NotFound
from everloop.model import foreign_trial
from everloop.model.foreign_file import PICKLES, read_model
from everloop.model.foreign_readers import READERS

WIDTH = 4


def table(rows: int = 300) -> tuple[pl.DataFrame, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(rows, WIDTH)).astype(np.float32).astype(np.float64)
    return pl.DataFrame({f"size_{place}": X[:, place] for place in range(WIDTH)}), X


def network_file(path: Path, outputs: int, *, softmax: bool, opset: int = 17) -> Path:
    """A network in single precision, as other libraries export one."""
    random = np.random.default_rng(1)
    shapes = {"w1": (WIDTH, 8), "b1": (8,), "w2": (8, outputs), "b2": (outputs,)}
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Gemm", ["rows", "w1", "b1"], ["inner"]),
        helper.make_node("Relu", ["inner"], ["bent"]),
        helper.make_node("Gemm", ["bent", "w2", "b2"], ["said"]),
        helper.make_node("Softmax", ["said"], ["answer"]) if softmax
        else helper.make_node("Identity", ["said"], ["answer"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def packaged(folder: Path, *arguments: str) -> el.runtime.Package:
    assert main(["package", *arguments, "--out", str(folder / "package")]) == 0
    certificate = json.loads((folder / "package" / "parity.json").read_bytes())
    assert certificate["passed"]
    return el.runtime.Package(folder / "package")


@pytest.mark.parametrize("labels", [("no", "yes"), ("a", "b", "c"), (1, 5)])
def test_a_catboost_classifier_keeps_its_labels(tmp_path, labels) -> None:
    import catboost

    rows, X = table()
    actual = np.array(labels)[np.digitize(X[:, 0], np.linspace(-0.5, 0.5, len(labels) - 1))]
    model = catboost.CatBoostClassifier(iterations=20, allow_writing_files=False, verbose=False)
    model.fit(X, actual)
    before = list(model.classes_)
    model.save_model(str(tmp_path / "model.cbm"))
    rows.write_parquet(tmp_path / "rows.parquet")
    package = packaged(tmp_path, str(tmp_path / "model.cbm"), "--sample", str(tmp_path / "rows.parquet"))
    expected = model.predict_proba(X)
    expected = expected[:, 1:] if len(labels) == 2 else expected
    np.testing.assert_allclose(package.scores(rows).reshape(len(X), -1), expected, atol=1e-9)
    assert [str(one) for one in package.predict(rows)] == [str(one) for one in model.predict(X).ravel()]
    assert list(model.classes_) == before


def test_a_catboost_regressor_and_an_xgboost_file(tmp_path) -> None:
    import catboost
    import xgboost

    rows, X = table()
    regressor = catboost.CatBoostRegressor(iterations=20, allow_writing_files=False, verbose=False)
    regressor.fit(X, X[:, 0])
    el.model.package(regressor, tmp_path / "numbers", sample=rows)
    answers = el.runtime.Package(tmp_path / "numbers").predict(rows)
    np.testing.assert_allclose(answers, regressor.predict(X), atol=1e-9)
    classifier = xgboost.XGBClassifier(n_estimators=10, n_jobs=1).fit(X, (X[:, 1] > 0).astype(int))
    classifier.save_model(tmp_path / "model.ubj")
    rows.write_csv(tmp_path / "rows.csv")
    package = packaged(
        tmp_path,
        str(tmp_path / "model.ubj"),
        "--sample",
        str(tmp_path / "rows.csv"),
        "--classes",
        "low, high",
    )
    assert package.manifest.classes == ("low", "high")
    scores = package.scores(rows).ravel()
    np.testing.assert_allclose(scores, classifier.predict_proba(X)[:, 1], atol=1e-6)


@pytest.mark.parametrize(("outputs", "softmax", "opset"), [(3, True, 17), (3, False, 21), (1, False, 13)])
def test_an_onnx_file_is_run_as_it_is(tmp_path, outputs, softmax, opset) -> None:
    import onnxruntime

    rows, X = table()
    rows.write_parquet(tmp_path / "rows.parquet")
    file = network_file(tmp_path / "net.onnx", outputs, softmax=softmax, opset=opset)
    classes = ["--classes", "a,b,c"] if outputs == 3 else []
    package = packaged(tmp_path, str(file), "--sample", str(tmp_path / "rows.parquet"), *classes)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    said = session.run(None, {"rows": X.astype(np.float32)})[0].astype(np.float64)
    if outputs == 3 and not softmax:
        powers = np.exp(said - said.max(axis=1, keepdims=True))
        said = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(package.scores(rows).reshape(said.shape), said, atol=1e-6)
    assert (package.folder / "model.onnx").exists()
    assert package.answer(rows.row(0, named=True)).score is not None


def archived(path, name, content):
    """An archive as torch-model-archiver writes it, with a handler that does harm where it is run."""
    model = {"modelName": "net", "modelVersion": "1.0", "handler": "handler.py", "serializedFile": name}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": model}))
        archive.writestr("handler.py", f"open({str(path.parent / 'harm')!r}, 'w')")
        archive.writestr(name, content)
    return path


def test_the_graph_in_an_archive_of_torchserves_is_served(tmp_path) -> None:
    rows, X = table()
    rows.write_parquet(tmp_path / "rows.parquet")
    content = network_file(tmp_path / "net.onnx", 3, softmax=True).read_bytes()
    file = archived(tmp_path / "net.mar", "net.onnx", content)
    options = ("--sample", str(tmp_path / "rows.parquet"), "--classes", "a,b,c")
    package = packaged(tmp_path, str(file), *options)
    expected = read_model(tmp_path / "net.onnx", classes=("a", "b", "c")).predict_proba(X)
    np.testing.assert_allclose(package.scores(rows), expected, atol=1e-9)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.bin"])
def test_an_archive_that_holds_a_pickle_is_refused_with_the_way_to_a_graph(tmp_path, name) -> None:
    with pytest.raises(ModelFault, match=name) as raised:
        read_model(archived(tmp_path / "net.mar", name, pickle.dumps({"weights": [1.0]})))
    assert "torch.onnx.export" in str(raised.value.hint)
    assert not (tmp_path / "harm").exists()


def test_a_single_score_of_two_classes_is_a_chance_after_the_sigmoid(tmp_path) -> None:
    rows, X = table()
    model = read_model(network_file(tmp_path / "net.onnx", 1, softmax=False), classes=("no", "yes"))
    el.model.package(model, tmp_path / "package", sample=rows)
    scores = el.runtime.Package(tmp_path / "package").scores(rows).ravel()
    np.testing.assert_allclose(scores, model.predict_proba(X)[:, 1], atol=1e-6)
    assert ((scores > 0) & (scores < 1)).all()


class _Harm:
    def __reduce__(self):
        return (Path("harm").write_text, ("done",))


@pytest.mark.parametrize("ending", PICKLES)
def test_a_pickle_is_refused_unread(tmp_path, monkeypatch, ending) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"model{ending}").write_bytes(pickle.dumps(_Harm()))
    with pytest.raises(ModelFault, match="is a pickle, or may be one") as raised:
        read_model(tmp_path / f"model{ending}")
    assert ".onnx" in str(raised.value.hint)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("ending", [".cbm", ".ubj", ".json", ".onnx", ".skops", ".mar"])
@pytest.mark.parametrize("content", [b"", b"no model", b"CBM1" + b"\x00" * 64, b"{}"])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path, ending, content) -> None:
    (tmp_path / f"model{ending}").write_bytes(content)
    with pytest.raises(ModelFault) as raised:
        read_model(tmp_path / f"model{ending}")
    assert raised.value.hint


def test_a_graph_that_reads_another_file_is_refused(tmp_path) -> None:
    model = onnx.load(network_file(tmp_path / "net.onnx", 1, softmax=False))
    onnx.save_model(
        model, tmp_path / "out.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    with pytest.raises(ModelFault, match="another file"):
        read_model(tmp_path / "out.onnx")


def test_what_does_not_fit_says_so(tmp_path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        read_model(tmp_path / "model.onnx")
    (tmp_path / "model.rds").write_bytes(b"")
    with pytest.raises(ModelFault, match=r"known are .cbm, .json, .keras, .mar, .onnx"):
        read_model(tmp_path / "model.rds")
    file = network_file(tmp_path / "net.onnx", 3, softmax=True)
    with pytest.raises(ModelFault, match="No output of the graph has 4 numbers"):
        read_model(file, classes=("a", "b", "c", "d"))
    model = read_model(file, classes=("a", "b", "c"))
    with pytest.raises(ModelFault, match="trained on 4 columns"):
        el.model.package(model, tmp_path / "package", sample=table()[0].drop("size_0"))


@pytest.mark.skipif(find_spec("keras") is not None, reason="Keras is installed here")
def test_a_missing_library_names_its_extra(tmp_path) -> None:
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "empty", "layers": []}}
    arrays = io.BytesIO()
    h5py.File(arrays, "w").close()
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", arrays.getvalue())
    with pytest.raises(MissingExtra) as raised:
        read_model(tmp_path / "model.keras")
    assert "everloop[tensorflow]" in str(raised.value.hint)


def test_a_file_that_takes_too_long_is_not_read_here(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(foreign_trial, "SECONDS", 0.0)
    monkeypatch.setitem(READERS, ".onnx", lambda *_: pytest.fail("it was read here"))
    with pytest.raises(ModelFault, match="out of time: ended after 0 s"):
        read_model(network_file(tmp_path / "net.onnx", 1, softmax=False))


def hungry_file(path: Path) -> Path:
    """A graph that fills a gibibyte before it answers."""
    nodes = [
        helper.make_node("ReduceSum", ["rows"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["whole", "many"], ["size"]),
        helper.make_node("Reshape", ["size", "one"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceMax", ["large"], ["most"], keepdims=0),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[1]),
        helper.make_node("Add", ["mean", "most"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "hungry",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", 1])],
        [
            numpy_helper.from_array(np.array(2**28, np.int64), "many"),
            numpy_helper.from_array(np.array([1], np.int64), "one"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_file_that_takes_too_much_memory_is_not_read_here(tmp_path, monkeypatch) -> None:
    file = hungry_file(tmp_path / "net.onnx")
    foreign_trial.try_to_read(file, ())
    monkeypatch.setattr(foreign_trial, "MEMORY", 2**29)
    monkeypatch.setitem(READERS, ".onnx", lambda *_: pytest.fail("it was read here"))
    with pytest.raises(ModelFault, match=r"net\.onnx .*(bad_alloc|allocate|memory)"):
        read_model(file)


def test_what_crashes_its_reader_does_not_crash_who_asked(tmp_path, monkeypatch) -> None:
    ending = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{ending}'\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(foreign_trial.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ModelFault, match=r"net\.onnx .* its process was ended by SIGSEGV"):
        read_model(network_file(tmp_path / "net.onnx", 1, softmax=False))


def test_a_misspelt_runtime_is_told_in_plain_words(tmp_path, capsys) -> None:
    assert main(["package", "net.onnx", "--sample", "rows.csv", "--runtime", "grph"]) == 2
    told = capsys.readouterr().err
    assert "'grph' is not one of 'graph', 'python'" in told
    assert "Value error" not in told
