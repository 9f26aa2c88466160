"""SavedModels, written by hand: they are read as data, and what is no plain computation is refused by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.cli import main
from everloop.core.errors import ModelFault
from everloop.model.foreign_file import read_model
from everloop.model.foreign_readers import READERS
from everloop.model.saved_model import walk
from everloop.model.saved_model.checkpoint import INDEX, Checkpoint
from everloop.model.saved_model.reading import read_saved_model
from everloop.testing.malicious.saved_models import (
    BIAS,
    DATA,
    FLOAT,
    KERNEL,
    SAVED_MODEL_ATTACKS,
    call,
    function,
    node,
    numbers,
    saved_model,
    served,
    tensor,
    variables,
)

T = {"T": {"type": FLOAT}}


def written(folder: Path, content: bytes, beside: dict[str, bytes] | None = None) -> Path:
    for name, part in {"saved_model.pb": content, **(beside or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(part)
    return folder / "saved_model.pb"


def model_of(folder: Path, content: bytes, beside: dict[str, bytes] | None = None, classes=()):
    """What `read_model` gives, without the first reading in a process aside."""
    return READERS[".pb"](written(folder, content, beside), classes)


def numbers_in(array, kind="<f4"):
    return tensor(np.asarray(array, dtype=kind))


def test_a_saved_model_becomes_a_package_without_tensorflow(tmp_path) -> None:
    written(tmp_path / "3", served(), numbers())
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32).astype(np.float64)
    rows = pl.DataFrame(X, schema=["a", "b", "c"])
    rows.write_parquet(tmp_path / "rows.parquet")
    options = ["--sample", str(tmp_path / "rows.parquet"), "--classes", "no,yes"]
    assert main(["package", str(tmp_path / "3"), *options, "--out", str(tmp_path / "package")]) == 0
    scores = el.runtime.Package(tmp_path / "package").scores(rows).ravel()
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-(X @ KERNEL + BIAS)[:, 0])), atol=1e-6)
    assert "tensorflow" not in sys.modules


def test_the_folder_of_all_versions_is_refused_with_the_way_to_one(tmp_path) -> None:
    written(tmp_path / "models" / "3", served(), numbers())
    with pytest.raises(ModelFault, match="is no SavedModel") as raised:
        read_model(tmp_path / "models")
    assert raised.value.hint == f"give the folder of one version: {tmp_path / 'models' / '3'}"


@pytest.mark.parametrize("name", [name for name in SAVED_MODEL_ATTACKS if name != "that fills memory"])
def test_what_is_harmful_or_damaged_is_refused_by_name(tmp_path, name) -> None:
    content, beside = SAVED_MODEL_ATTACKS[name]
    with pytest.raises(ModelFault) as raised:
        read_saved_model(written(tmp_path, content(), beside()))
    assert raised.value.message.startswith(f"{tmp_path}: ")
    if name.startswith("with "):
        assert name.removeprefix("with ") in raised.value.message
    assert "model.keras" in str(raised.value.hint)


def test_functions_within_functions_are_followed_to_a_bound(tmp_path, monkeypatch) -> None:
    functions = [
        function(f"f{step}", ["x"], [call("inner", f"f{step + 1}", "x")], result="inner:output:0")
        for step in range(4)
    ]
    last = function("f4", ["x"], [node("y", "Neg", "x", **T)], result="y:y:0")
    content = saved_model(
        [call("inner", "f0", "x"), node("axis", "Const", value=numbers_in([1], "<i4")),
         node("score", "Sum", "inner", "axis", **T)],
        [*functions, last],
    )  # fmt: skip
    X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_allclose(model_of(tmp_path, content).predict(X), [-6.0, -15.0])
    monkeypatch.setattr(walk, "MOST_CALLS", 4)
    with pytest.raises(ModelFault, match="more than 4 deep"):
        model_of(tmp_path, content)


def test_several_inputs_are_columns_by_name(tmp_path) -> None:
    inputs = {"size": (FLOAT, (-1, 2)), "age": (2, (-1, 1)), "kind": (9, (-1,))}
    nodes = [
        node("age_in_single", "Cast", "age", SrcT={"type": 2}, DstT={"type": FLOAT}),
        node("kind_in_single", "Cast", "kind", SrcT={"type": 9}, DstT={"type": FLOAT}),
        node("last", "Const", value=numbers_in(1, "<i4")),
        node("kinds", "ExpandDims", "kind_in_single", "last"),
        node("all", "ConcatV2", "age_in_single", "kinds", "size", "last"),
        node("weights", "Const", value=numbers_in([[1.0], [10.0], [100.0], [1000.0]])),
        node("score", "MatMul", "all", "weights", **T),
    ]
    found = model_of(tmp_path, saved_model(nodes, inputs=inputs))
    assert found.feature_names_in_ == ("age", "kind", "size_0", "size_1")
    np.testing.assert_allclose(
        found.predict(np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 0.0]])), [4321, 10]
    )


def test_the_only_signature_is_taken_by_any_name(tmp_path) -> None:
    content = saved_model([node("score", "Neg", "x", **T)], signature="own", inputs={"x": (FLOAT, (-1, 1))})
    np.testing.assert_allclose(model_of(tmp_path, content).predict(np.array([[2.0]])), [-2.0])


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"x": (7, (-1, 1))}, "'x' takes texts"),
        ({"x": (19, (-1, 3))}, "half"),
        ({"x": (FLOAT, (-1, -1))}, "does not say how many columns"),
        ({"x": (FLOAT, ())}, "no tensor of rows"),
        ({"x": (FLOAT, (-1, 2**40))}, "columns"),
    ],
)
def test_what_is_no_row_of_numbers_is_refused(tmp_path, inputs, told) -> None:
    with pytest.raises(ModelFault, match=told):
        read_saved_model(written(tmp_path, saved_model([node("score", "Neg", "x", **T)], inputs=inputs)))


def test_an_operation_beside_the_answer_is_refused_too(tmp_path) -> None:
    body = [node("write", "WriteFile", "x"), node("y", "Neg", "x", **T)]
    content = saved_model([call("score", "f", "x")], [function("f", ["x"], body, result="y:y:0")])
    with pytest.raises(ModelFault, match="WriteFile"):
        read_saved_model(written(tmp_path, content))


def test_what_an_answer_waits_for_is_refused_too(tmp_path) -> None:
    content = saved_model([node("check", "Assert", "x"), node("score", "Neg", "x", "^check", **T)])
    with pytest.raises(ModelFault, match="Assert"):
        read_saved_model(written(tmp_path, content))


def test_a_place_beyond_an_embedding_has_no_answer(tmp_path) -> None:
    nodes = [
        node("table", "Const", value=numbers_in([[1.0], [2.0]])),
        node("axis", "Const", value=numbers_in(0, "<i4")),
        node("score", "GatherV2", "table", "x", "axis", Tindices={"type": 3}),
    ]
    content = saved_model(nodes, inputs={"x": (3, (-1, 1))})
    found = model_of(tmp_path, content)
    np.testing.assert_allclose(found.predict(np.array([[1.0], [0.0]])), [2.0, 1.0])
    for beyond in (2.0, -1.0):
        with pytest.raises(ValueError, match="no finite answer"):
            found.predict(np.array([[beyond]]))


X3 = np.array([[0.5, -1.25, 2.0], [-3.0, 0.0, 1.0]])
AXIS = node("axis", "Const", value=numbers_in([1], "<i4"))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("Elu", np.where(X3 > 0, X3, np.exp(np.minimum(X3, 0)) - 1)),
        ("Softplus", np.log1p(np.exp(X3))),
        ("Softsign", X3 / (1 + np.abs(X3))),
        ("Relu6", np.clip(X3, 0, 6)),
        ("LeakyRelu", np.where(X3 > 0, X3, 0.2 * X3)),
        ("Square", X3**2),
        ("Expm1", np.expm1(X3)),
        ("Softmax", np.exp(X3) / np.exp(X3).sum(axis=1, keepdims=True)),
        ("OnesLike", np.ones_like(X3)),
    ],
)
def test_an_operation_is_what_it_is_by_its_definition(tmp_path, operation, expected) -> None:
    weights = node("w", "Const", value=numbers_in([[1.0], [0.5], [0.25]]))
    nodes = [node("y", operation, "x", **T), weights, node("score", "MatMul", "y", "w", **T)]
    found = model_of(tmp_path, saved_model(nodes))
    np.testing.assert_allclose(found.predict(X3), expected @ [1.0, 0.5, 0.25], atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "masks", "expected"),
    [
        (([0, 2], [0, 0], [1, -1]), {"begin_mask": 1, "end_mask": 3}, X3[:, 2::-1].sum(axis=1)),
        (([0, -1], [0, 0], [1, 1]), {"begin_mask": 1, "end_mask": 1, "shrink_axis_mask": 2}, X3[:, -1]),
        (([0, 1], [0, 3], [1, 1]), {"ellipsis_mask": 1}, X3[..., 1:3].sum(axis=1)),
        (([0, 0], [0, 0], [1, 1]), {"ellipsis_mask": 1, "new_axis_mask": 2}, X3.sum(axis=1)),
    ],
)
def test_slices_are_those_of_python(tmp_path, spec, masks, expected) -> None:
    sizes = [node(f"s{place}", "Const", value=numbers_in(part, "<i4")) for place, part in enumerate(spec)]
    told = {name: {"i": mask} for name, mask in masks.items()}
    nodes = [
        *sizes,
        node("part", "StridedSlice", "x", "s0", "s1", "s2", **told),
        node("shape", "Const", value=numbers_in([2, -1], "<i4")),
        node("flat", "Reshape", "part", "shape"),
        AXIS,
        node("score", "Sum", "flat", "axis", **T),
    ]
    np.testing.assert_allclose(model_of(tmp_path, saved_model(nodes)).predict(X3), expected, atol=1e-6)


def test_numbers_that_were_changed_are_refused(tmp_path) -> None:
    files = numbers()
    files[DATA] = bytes([files[DATA][0] ^ 1]) + files[DATA][1:]
    with pytest.raises(ModelFault, match="not those that were written"):
        read_saved_model(written(tmp_path, served(), files))


def test_an_index_that_was_changed_is_refused(tmp_path) -> None:
    files = numbers()
    files[INDEX] = files[INDEX][:20] + bytes([files[INDEX][20] ^ 1]) + files[INDEX][21:]
    with pytest.raises(ModelFault, match="a block is not what was written"):
        read_saved_model(written(tmp_path, served(), files))


def test_a_checkpoint_gives_its_arrays_by_key(tmp_path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, -1], dtype=np.int64)}
    written(tmp_path, b"", variables(arrays))
    checkpoint = Checkpoint(tmp_path)
    for key, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.array(key), array)
    with pytest.raises(ModelFault, match="no numbers of 'c'"):
        checkpoint.array("c")


def test_no_cut_of_a_file_ends_in_anything_but_a_refusal(tmp_path) -> None:
    content, files = served(), numbers()
    for size in range(0, len(content), 97):
        with pytest.raises(ModelFault):
            read_saved_model(written(tmp_path, content[:size], files))
    for size in range(0, len(files[INDEX]), 7):
        with pytest.raises(ModelFault):
            read_saved_model(written(tmp_path, content, {**files, INDEX: files[INDEX][:size]}))
