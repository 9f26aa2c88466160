"""What does not compile answers by its own library, as it did; what could do harm is refused by name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.decomposition import KernelPCA
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, QuantileTransformer
from sklearn.svm import SVC

import everloop as el
from everloop.cli import main
from everloop.core.errors import MissingExtra, ModelFault, PackageRefused, UsageFault
from everloop.model.packaging import read_certificate

NAMES = ("size", "age", "weight")
X = np.random.default_rng(0).normal(size=(160, len(NAMES)))
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
ROWS = pl.DataFrame(dict(zip(NAMES, X.T, strict=True)))


def stack() -> StackingClassifier:
    members = [("forest", RandomForestClassifier(3, random_state=0)), ("line", LogisticRegression())]
    return StackingClassifier(members, cv=2)


MODELS = {
    "gaussian process": (GaussianProcessRegressor(), X[:, 0] * 3),
    "kernel PCA and support vectors": (make_pipeline(KernelPCA(2, kernel="rbf"), SVC()), Y),
    "stack of three classes": (stack(), np.digitize(X[:, 0], [-0.5, 0.5])),
    "quantiles": (make_pipeline(QuantileTransformer(n_quantiles=20), LogisticRegression()), Y),
}


def expected_scores(model: Any, table: Any) -> np.ndarray:
    if not hasattr(model, "classes_"):
        return model.predict(table).reshape(-1, 1)
    if not hasattr(model, "predict_proba"):
        return 1 / (1 + np.exp(-model.decision_function(table).reshape(-1, 1)))
    chances = model.predict_proba(table)
    return chances[:, 1:] if chances.shape[1] == 2 else chances


@pytest.mark.parametrize("name", MODELS)
def test_what_does_not_compile_answers_as_it_did(tmp_path: Path, name: str) -> None:
    model, actual = MODELS[name]
    model.fit(X, actual)
    manifest = el.model.package(model, tmp_path / "package", sample=ROWS)
    assert manifest.runtime == "python"
    assert {"scikit-learn", "skops", "numpy"} <= set(manifest.requirements)
    package = el.runtime.Package(tmp_path / "package")
    expected = expected_scores(model, X)
    np.testing.assert_allclose(package.scores(ROWS), expected, atol=1e-9)
    if hasattr(model, "classes_"):
        assert [str(one) for one in package.predict(ROWS)] == [str(one) for one in model.predict(X)]
    row = ROWS.row(3, named=True)
    np.testing.assert_allclose(np.ravel(package.answer(row).score), expected[3], atol=1e-9)
    assert {reason.column for reason in package.explain(row)} <= set(NAMES)
    certificate = read_certificate(package.folder)
    assert certificate["passed"]
    assert set(certificate["runtimes"]) >= {"trained", "row", "batch"}
    assert certificate["runtimes"]["trained"]["largest_difference"] == 0
    assert "cannot be compiled" in certificate["absent"]["graph"]


def test_a_pipeline_over_texts_reads_a_frame_with_names(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list(NAMES))
    frame["count"] = np.arange(len(frame)) % 7
    frame["place"] = np.array(["north", "south", None], dtype=object)[np.arange(len(frame)) % 3]
    frame.loc[::9, "age"] = np.nan
    prepare = make_column_transformer(
        (SimpleImputer(), [*NAMES, "count"]), (OneHotEncoder(handle_unknown="ignore"), ["place"])
    )
    model = make_pipeline(prepare, LogisticRegression()).fit(frame, np.where(Y, "yes", "no"))
    manifest = el.model.package(model, tmp_path / "package", sample=frame)
    assert (manifest.runtime, manifest.classes) == ("python", ("no", "yes"))
    assert "pandas" in manifest.requirements
    assert {one.name: (one.type, one.nullable) for one in manifest.inputs}["place"] == ("text", True)
    package = el.runtime.Package(tmp_path / "package")
    np.testing.assert_allclose(package.scores(frame)[:, 0], model.predict_proba(frame)[:, 1], atol=1e-12)
    row = {**frame.iloc[1].to_dict(), "place": "where nobody was"}
    assert package.answer(row).prediction in ("no", "yes")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skops.io.dump(stack().fit(X, Y), tmp_path / "stack.skops")
    ROWS.write_parquet(tmp_path / "rows.parquet")
    asked = ["package", str(tmp_path / "stack.skops"), "--sample", str(tmp_path / "rows.parquet"), "--out"]
    assert main([*asked, str(tmp_path / "compiled"), "--runtime", "graph"]) == 2
    assert "cannot be compiled" in capsys.readouterr().err
    assert main([*asked, str(tmp_path / "package")]) == 0
    told = capsys.readouterr().out
    assert "Python runtime" in told
    assert "scikit-learn" in told
    scored = tmp_path / "scored.csv"
    assert main(["predict", str(tmp_path / "rows.parquet"), "--package", str(tmp_path / "package"),
                 "--output", str(scored)]) == 0  # fmt: skip
    assert pl.read_csv(scored).height == len(X)
    assert main(["export", "onnx", "--package", str(tmp_path / "package"), "--output",
                 str(tmp_path / "onnx")]) == 2  # fmt: skip
    assert "no model.onnx" in capsys.readouterr().err


def test_the_runtime_that_is_asked_for(tmp_path: Path) -> None:
    model = LogisticRegression().fit(X, Y)
    assert el.model.package(model, tmp_path / "graph", sample=ROWS).runtime == "graph"
    manifest = el.model.package(model, tmp_path / "python", sample=ROWS, runtime="python")
    assert manifest.runtime == "python"
    compiled, asked = (el.runtime.Package(tmp_path / name).scores(ROWS) for name in ("graph", "python"))
    np.testing.assert_allclose(compiled, asked, atol=1e-12)
    with pytest.raises(ModelFault, match="has no graph"):
        _ = el.runtime.Package(tmp_path / "python").table_scorer


@pytest.mark.parametrize(
    ("model", "told", "hint"),
    [
        (make_pipeline(FunctionTransformer(lambda x: x), SVC()), r"not trusted: .*<lambda>", "ONNX"),
        (KNeighborsClassifier(), "_kd_tree.KDTree", "brute"),
        (SVC(), None, "CalibratedClassifierCV"),
    ],
)
def test_what_cannot_be_kept_or_has_no_chances_is_refused_by_name(tmp_path, model, told, hint) -> None:
    three = np.digitize(X[:, 0], [-0.5, 0.5])
    with pytest.raises(UsageFault, match=told) as raised:
        el.model.package(model.fit(X, three), tmp_path / "package", sample=ROWS)
    assert hint in raised.value.hint
    assert list(tmp_path.iterdir()) == []


class _Harm:
    """What a stranger would like to have made."""

    def __init__(self) -> None:
        self.done = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("python") / "package"
    el.model.package(stack().fit(X, Y), place, sample=ROWS)
    return place


def with_estimator(folder: Path, into: Path, content: bytes, **changes: Any) -> Path:
    """A package of another estimator, its digests right: whoever makes one can make those too."""
    import hashlib
    import shutil

    shutil.copytree(folder, into)
    (into / "pipeline.skops").write_bytes(content)
    manifest = json.loads((into / "manifest.json").read_bytes())
    manifest["files"]["pipeline.skops"] = hashlib.sha256(content).hexdigest()
    (into / "manifest.json").write_bytes(json.dumps(manifest | changes).encode())
    return into


def edited(folder: Path, change: Any) -> bytes:
    """The estimator's file with its schema changed as text, or its arrays."""
    out = BytesIO()
    with zipfile.ZipFile(folder / "pipeline.skops") as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def naming(module: str, name: str) -> Any:
    """Puts another type in the place of the line's."""

    def change(file: str, content: bytes) -> bytes:
        if file != "schema.json":
            return content
        text = content.decode().replace(
            '"__module__":"sklearn.linear_model._logistic"', f'"__module__":"{module}"'
        )
        return text.replace('"__class__":"LogisticRegression"', f'"__class__":"{name}"').encode()

    return change


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        (__name__, "_Harm"),
        ("builtins", "eval"),
        ("no.such", "Thing"),
    ],
)
def test_a_type_that_is_not_trusted_is_refused_before_it_is_imported(folder, tmp_path, module, name) -> None:
    place = with_estimator(folder, tmp_path / "package", edited(folder, naming(module, name)))
    with pytest.raises(PackageRefused, match=rf"not trusted: .*{name}"):
        el.runtime.Package(place)


def pointing(field: str, where: int) -> Callable[[str, bytes], bytes]:
    """Has every inner node of every tree point somewhere else."""

    def changed(file: str, content: bytes) -> bytes:
        array = np.load(BytesIO(content), allow_pickle=False) if file.endswith(".npy") else None
        if array is None or array.dtype.names is None or field not in array.dtype.names:
            return content
        array[field][array[field] >= 0] = where
        out = BytesIO()
        np.save(out, array, allow_pickle=False)
        return out.getvalue()

    return changed


@pytest.mark.parametrize(
    "change",
    [pointing("left_child", 2**40), pointing("left_child", 0), pointing("feature", 1_000_000)],
    ids=["a node that is not there", "the root: a walk would never end", "a column that no row has"],
)
def test_trees_that_point_outside_are_refused_before_they_are_asked(folder, tmp_path, change) -> None:
    place = with_estimator(folder, tmp_path / "package", edited(folder, change))
    with pytest.raises(PackageRefused, match="indices of a Tree point outside"):
        el.runtime.Package(place)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\x00" * 40])
def test_a_damaged_estimator_is_refused(folder, tmp_path, content) -> None:
    with pytest.raises(PackageRefused, match=r"pipeline\.skops'? is (damaged|no \.skops file)"):
        el.runtime.Package(with_estimator(folder, tmp_path / "package", content))


def test_a_changed_byte_is_refused_before_anything_is_read(folder, tmp_path, monkeypatch) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "package")
    file = tmp_path / "package" / "pipeline.skops"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(skops.io, "get_untrusted_types", lambda **_: pytest.fail("it was read"))
    monkeypatch.setattr(skops.io, "loads", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(PackageRefused, match=r"'pipeline\.skops' is not the one"):
        el.runtime.Package(tmp_path / "package")


def test_another_model_than_the_package_says_is_refused(folder, tmp_path) -> None:
    content = skops.io.dumps(GaussianProcessRegressor().fit(X, X[:, 0]))
    with pytest.raises(PackageRefused, match="tells 0 classes apart; the package says 2"):
        el.runtime.Package(with_estimator(folder, tmp_path / "package", content))


def test_what_it_requires_has_to_be_there_in_that_version(folder, tmp_path) -> None:
    content = (folder / "pipeline.skops").read_bytes()
    absent = with_estimator(folder, tmp_path / "absent", content, requirements={"no-such-library": "1.0"})
    with pytest.raises(MissingExtra, match="no-such-library") as raised:
        el.runtime.Package(absent)
    assert raised.value.hint == "pip install 'no-such-library==1.0'"
    other = with_estimator(folder, tmp_path / "other", content, requirements={"scikit-learn": "0.1"})
    with pytest.raises(PackageRefused, match=r"proven with scikit-learn 0\.1 \(installed: "):
        el.runtime.Package(other)
