"""Images through the whole loop: files in a folder, a convolutional network, the ordinary routes."""
# ruff: noqa: D101, D103, INP001, S101, S603

import base64
import json
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from everloop.model.learners import learner
from everloop.testing.learner_suite import LearnerSuite
from everloop.testing.server_process import ServerProcess, free_port

SMALL: dict[str, object] = {"filters": 8, "blocks": 2, "units": 32, "epochs": 25, "learning_rate": 0.01}
ROWS = 600
FILE = """
name: digits
problem: {target: digit}
data: {sources: {digits: {file: digits.csv}}, files: [picture], split: {by: stratified}}
model: {learners: [cnn], budget: {trials: 1}, select_features: false}
"""
ASK = """
import json, sys
from everloop.runtime import Package
package = Package(sys.argv[1])
rows = json.load(open(sys.argv[2]))
answers = [package.answer(row) for row in rows]
print(json.dumps([[one.score for one in answers], sorted({"torch", "sklearn", "polars"} & set(sys.modules))]))
"""


class TestCnn(LearnerSuite):
    learner = learner("cnn")
    configuration: ClassVar = SMALL


def test_it_beats_a_linear_model_on_images() -> None:
    X, y = load_digits(return_X_y=True)
    X, Xt, y, yt = X[:900] / 6 - 1, X[900:] / 6 - 1, y[:900], y[900:]
    linear = LogisticRegression(max_iter=500).fit(X, y).score(Xt, yt)
    cnn = learner("cnn")
    configuration = {**cnn.portfolio[0], "grids": ((0, 8, 8, 1),)}
    found = cnn.fit(X, y, task="multiclass", configuration=configuration)
    accuracy = float((found.predict(Xt) == yt).mean())
    print(f"accuracy on 897 digits: cnn {accuracy:.3f}, linear {linear:.3f}")  # noqa: T201
    assert accuracy > linear + 0.02


def test_colours_and_several_images_are_channels() -> None:
    """What PyTorch says of channels first is what the layers say of channels last."""
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 2 + 2 * 5 * 4 * 3))
    y = (X[:, 2] + X[:, 65] > 0).astype(np.int64)
    grids = ((2, 5, 4, 3), (62, 5, 4, 3))
    fit = learner("cnn").fit(X, y, task="binary", configuration={**SMALL, "grids": grids})
    twin = X.copy()
    twin[:, :2] = 0.0  # what is no image is not read
    assert np.array_equal(fit.predict_proba(X), fit.predict_proba(twin))
    assert (fit.predict(X) == y).mean() > 0.8


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    X, y = load_digits(return_X_y=True)
    (folder / "digits").mkdir()
    names = [f"digits/{place:04d}.png" for place in range(ROWS)]
    for name, pixels in zip(names, X[:ROWS].reshape(-1, 8, 8), strict=True):
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(folder / name)
    pl.DataFrame({"picture": names, "digit": y[:ROWS]}).write_csv(folder / "digits.csv")
    (folder / "everloop.yaml").write_text(FILE)
    command = [sys.executable, "-m", "everloop.cli", "run", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def package(home) -> Path:
    return next((home / ".everloop").rglob("parity.json")).parent


def test_the_graph_is_proven_to_the_last_digits(package) -> None:
    certificate = json.loads((package / "parity.json").read_bytes())
    assert certificate["passed"]
    assert certificate["tolerance"] == 1e-9
    assert set(certificate["runtimes"]) == {"trained", "plan_graph", "graph", "batch"}
    assert all(one["decisions_differ"] == 0 for one in certificate["runtimes"].values())


def test_it_serves_without_pytorch_and_without_polars(home, package) -> None:
    rows = [{"picture": _base64(home / f"digits/{place:04d}.png")} for place in range(30)]
    (home / "rows.json").write_text(json.dumps(rows))
    asked = [sys.executable, "-c", ASK, str(package), str(home / "rows.json")]
    scores, loaded = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    assert loaded == []
    from everloop.runtime import Package

    whole = Package(package).scores(pl.DataFrame(rows))
    assert np.allclose(scores, whole, atol=1e-12, rtol=0)


def test_the_server_takes_files_and_arrays(home, package, tmp_path) -> None:
    actual = pl.read_csv(home / "digits.csv")["digit"].to_list()
    with served(package, tmp_path) as ask:
        encoded = [{"picture": _base64(home / f"digits/{place:04d}.png")} for place in range(20)]
        plain = [
            {"picture": _base64(home / f"digits/{place:04d}.png").partition(",")[2]} for place in range(20)
        ]
        arrays = [
            {"picture": np.asarray(Image.open(home / f"digits/{place:04d}.png")).tolist()}
            for place in range(20)
        ]
        said = [ask({"rows": rows})[1] for rows in (encoded, plain, arrays)]
        scores = [[one["score"] for one in answer["predictions"]] for answer in said]
        assert np.allclose(scores[0], scores[1], atol=0)
        assert np.allclose(scores[0], scores[2], atol=1e-12)
        right = [str(a) == one["prediction"] for a, one in zip(actual, said[0]["predictions"], strict=False)]
        assert sum(right) >= 18


def test_what_is_no_image_is_refused_by_its_field(package, tmp_path) -> None:
    cases = {
        "size": [[0] * 9] * 9,
        "content": "data:image/png;base64,iVBORw0KGgo=",
        "type": 7,
    }
    with served(package, tmp_path) as ask:
        for rule, value in cases.items():
            status, said = ask({"picture": value})
            assert status == 422
            assert [(one["field"], one["rule"]) for one in said["errors"]] == [("picture", rule)]


def test_sounds_are_heard_by_the_same_network(tmp_path) -> None:
    """Tones, chirps and noise of different lengths and loudness, in WAV files."""
    random, rate, names, kinds = np.random.default_rng(0), 4_000, [], []
    for place in range(180):
        kinds.append(("tone", "chirp", "noise")[place % 3])
        moments = np.arange(int(rate * random.uniform(0.3, 0.4))) / rate
        pitch = random.uniform(300, 900) + {"chirp": 2_000.0 * moments}.get(kinds[-1], 0.0)
        wave_ = np.sin(2 * np.pi * np.cumsum(np.broadcast_to(pitch, moments.shape)) / rate)
        samples = random.normal(size=len(moments)) / 3 if kinds[-1] == "noise" else wave_
        names.append(f"{place}.wav")
        with wave.open(str(tmp_path / names[-1]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            loud = np.clip(samples, -1, 1) * random.uniform(0.2, 1)
            file.writeframes((loud * 32_767).astype("<i2").tobytes())
    pl.DataFrame({"picture": names, "digit": kinds}).write_csv(tmp_path / "digits.csv")
    (tmp_path / "everloop.yaml").write_text(FILE)
    for command in (["run", "--json"], ["predict", "digits.csv", "--output", "said.parquet"]):
        program = [sys.executable, "-m", "everloop.cli", *command]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    certificate = json.loads(next((tmp_path / ".everloop").rglob("parity.json")).read_bytes())
    assert certificate["passed"]
    assert certificate["tolerance"] == 1e-9
    said = pl.read_parquet(tmp_path / "said.parquet")
    assert (said["prediction"] == said["digit"]).mean() > 0.9


@contextmanager
def served(package: Path, folder: Path) -> Iterator[Callable[[Any], tuple[int, Any]]]:
    port = free_port()
    command = ["serve", "--package", str(package), "--port", str(port)]
    process = ServerProcess("everloop serve", port, [sys.executable, "-m", "everloop.cli", *command])

    def ask(body: Any) -> tuple[int, Any]:
        answer = httpx.post(f"http://{process.address}/predict", json=body, timeout=30)
        return answer.status_code, answer.json()

    with chdir(folder), process:
        yield ask


def _base64(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
