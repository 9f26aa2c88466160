"""The manifest: what a package is, what it needs, and the digest of every file in it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.core.digest import digest_file
from everloop.core.errors import PackageRefused
from everloop.core.files import write_file
from everloop.core.tasks import LISTED_ITEMS, TASKS, decides_by
from everloop.runtime.decision import DecisionRule
from everloop.runtime.file_forms import refuse_json
from everloop.runtime.json_form import encode_json

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_FORMAT = 1
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "signature.json"
# The signature is over the manifest, so the manifest cannot name it.
OUTSIDE_MANIFEST = frozenset({MANIFEST_NAME, SIGNATURE_NAME})
RUNTIMES = ("graph", "python")
ORIGINS = ("row", "joined", "python")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# They become lines of a requirements file and arguments of pip.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+!_]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 16 * 2**20


class ManifestColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of a request's row.

    Attributes:
        name: Its name.
        type: Its type, as `table.schema` says.
        nullable: Whether it may be null.
        origin: `row` where it is what the table holds; `joined` where it is a feature over rows of another
            source, which `features.json` defines; `python` where it is what a function of the lifecycle
            gives, which no package holds, so that whoever asks computes it.
    """

    name: str
    type: str
    nullable: bool = True
    origin: str = "row"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a package says of itself.

    Attributes:
        format: The version of this form.
        lifecycle: The lifecycle's name.
        version: The version's number.
        created: When it was made, ISO 8601 in UTC.
        task: One of `core.tasks.TASKS`.
        classes: The classes' texts, the negative first where binary; empty for a regression.
        positive: The positive class, where binary.
        target: The column that is predicted; empty where there is none.
        threshold: A binary decision is positive where the score is at least this.
        decision: What decides beyond it: segments' thresholds, prices of classes, a moved number.
        inputs: The raw columns that a row has.
        outputs: What the answer holds, such as `{"prediction": "text", "score": "number"}`.
        entity: The column whose value keeps its arm during a rollout, if any.
        time: The column that says when a row was decided on, if any.
        fixed: Columns that nobody can change, sensitive ones among them: no counterfactual proposes to.
        metrics: Numbers from the evaluation.
        lineage: Ids of what it was made from, such as `{"run": "run_01J...", "dataset": "..."}`.
        files: The SHA-256 of every file beside the manifest.
        runtime: `graph` where the compiled model serves, `python` where it could not be compiled.
        requirements: What a Python runtime needs to be installed: distribution to version.
        missing_text: What stands for a missing text in `model.onnx`.
        listed: How many items an answer of a recommendation lists, where there are as many.
    """

    lifecycle: str
    version: int
    created: str
    task: str
    target: str
    inputs: tuple[ManifestColumn, ...]
    files: dict[str, str]
    classes: tuple[str, ...] = ()
    positive: str | None = None
    threshold: float | None = None
    decision: DecisionRule | None = None
    outputs: dict[str, str] = msgspec.field(default_factory=dict)
    entity: str | None = None
    time: str | None = None
    fixed: tuple[str, ...] = ()
    metrics: dict[str, float | None] = msgspec.field(default_factory=dict)
    lineage: dict[str, Any] = msgspec.field(default_factory=dict)
    runtime: str = "graph"
    requirements: dict[str, str] = msgspec.field(default_factory=dict)
    missing_text: str | None = None
    listed: int = LISTED_ITEMS
    format: int = MANIFEST_FORMAT

    def to_json(self) -> bytes:
        """Gives the manifest as JSON."""
        return encode_json(self)

    @staticmethod
    def from_json(text: bytes) -> Manifest:
        """Reads a manifest and holds it against its own rules.

        Raises:
            PackageRefused: When it is none, is of a newer form, or contradicts itself.
        """
        refuse_json(text, MANIFEST_NAME)
        try:
            if msgspec.json.decode(text, type=_FormatOnly).format > MANIFEST_FORMAT:
                raise PackageRefused(
                    f"{MANIFEST_NAME} is of a form newer than {MANIFEST_FORMAT}, the newest that is known.",
                    hint="pip install -U everloop",
                )
            manifest = msgspec.json.decode(text, type=Manifest)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise PackageRefused(f"{MANIFEST_NAME} cannot be read: {error}.") from None
        _check(manifest)
        return manifest


class _FormatOnly(msgspec.Struct):
    format: int


def _check(manifest: Manifest) -> None:
    wrong = _contradiction(manifest)
    if wrong:
        raise PackageRefused(f"{MANIFEST_NAME}: {wrong}.")
    for name, digest in manifest.files.items():
        if not _FILE_NAME.fullmatch(name):
            raise PackageRefused(f"{MANIFEST_NAME} names the file {name!r}; expected a plain file name.")
        if not _DIGEST.fullmatch(digest):
            raise PackageRefused(f"{MANIFEST_NAME} has no SHA-256 for the file {name!r}.")


def _contradiction(manifest: Manifest) -> str | None:
    task, classes = manifest.task, manifest.classes
    binary, several = decides_by(task, "threshold"), decides_by(task, "largest")
    claims = (
        (task in TASKS, f"the task is {task!r}; expected one of {tuple(TASKS)}"),
        (manifest.runtime in RUNTIMES, f"the runtime is {manifest.runtime!r}; expected one of {RUNTIMES}"),
        (_requires(manifest), "a Python runtime, and no other, says what it requires, by name and version"),
        (len(set(classes)) == len(classes), "a class is named twice"),
        (all(one.origin in ORIGINS for one in manifest.inputs), f"an origin is none of {ORIGINS}"),
        (not binary or len(classes) == 2, f"a task of the kind {task} has two classes, not {classes}"),
        (not binary or manifest.positive in classes[-1:], "the positive class is the last of the two"),
        (not binary or manifest.threshold is not None, f"a task of the kind {task} has a threshold"),
        (not several or len(classes) > 1, f"a task of the kind {task} has at least two classes"),
        (task != "regression" or not classes, "a regression has no classes"),
        (manifest.listed > 0, "an answer lists at least one item"),
        (_fits(manifest.decision, task, len(classes)), f"its decision does not fit a {task} task"),
    )
    return next((sentence for holds, sentence in claims if not holds), None)


def _requires(manifest: Manifest) -> bool:
    stated = manifest.requirements.items()
    plain = all(_NAME.fullmatch(name) and _VERSION.fullmatch(version) for name, version in stated)
    return plain and bool(stated) == (manifest.runtime == "python")


def _fits(rule: DecisionRule | None, task: str, classes: int) -> bool:
    """Says whether a rule decides what the task decides, with finite numbers."""
    if rule is None:
        return True
    numbers = [*rule.thresholds.values(), rule.scale, rule.offset, *(n for row in rule.matrix for n in row)]
    moved = (rule.scale, rule.offset) != (1.0, 0.0)
    square = len(rule.matrix) == classes and all(len(row) == classes for row in rule.matrix)
    return (
        all(math.isfinite(number) for number in numbers)
        and (task == "binary" or not (rule.segment or rule.thresholds))
        and (not rule.matrix or (task == "multiclass" and square))
        and (task == "regression" or not moved)
    )


def digest_files(folder: Path) -> dict[str, str]:
    """Gives the SHA-256 of every file in a package's folder that its manifest must name."""
    paths = sorted(path for path in folder.iterdir() if path.name not in OUTSIDE_MANIFEST)
    return {path.name: digest_file(path) for path in paths}


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Writes the manifest of a finished folder, with the digests of the files that are in it.

    Args:
        folder: The package's folder, whole except for the manifest.
        manifest: Everything but the files, which are filled in.

    Returns:
        The manifest as written.

    Raises:
        PackageRefused: When the manifest contradicts itself or a file's name is not plain.
    """
    whole = msgspec.structs.replace(manifest, files=digest_files(folder))
    _check(whole)
    write_file(folder / MANIFEST_NAME, whole.to_json())
    return whole


def read_manifest(folder: Path) -> Manifest:
    """Reads a package's manifest, without looking at its files.

    Raises:
        PackageRefused: When there is none or it cannot be read.
    """
    return Manifest.from_json(manifest_bytes(folder))


def manifest_bytes(folder: Path) -> bytes:
    """Gives the content of a package's manifest, which a signature is over.

    Raises:
        PackageRefused: When there is none or it is too large.
    """
    path = folder / MANIFEST_NAME
    if not folder.exists():
        raise PackageRefused(f"{folder} is no package: there is no such folder.", hint=f"ls {folder.parent}")
    if path.is_symlink() or not path.is_file():
        raise PackageRefused(f"{folder} is no package: it has no file {MANIFEST_NAME}.")
    if path.stat().st_size > _MOST_BYTES:
        raise PackageRefused(f"{path} is larger than {_MOST_BYTES} bytes.")
    return path.read_bytes()
