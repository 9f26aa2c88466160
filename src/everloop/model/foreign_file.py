"""A model's file, as other libraries write it, as an estimator: nothing in it is executed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault, NotFound, PackageRefused
from everloop.model.foreign_readers import AS_GRAPH, READERS
from everloop.model.foreign_trial import try_to_read
from everloop.model.foreign_words import called, damaged

if TYPE_CHECKING:
    from collections.abc import Sequence

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".dill", ".cloudpickle")
"""Endings of files that are pickles, or may be: reading one runs whatever its maker put in it."""


NATIVE = (".cbm", ".ubj", ".json", ".onnx", ".mar", ".pb")
"""Endings of files that a library parses in native code, where a mistake ends the process."""

SAVED_MODEL = "saved_model.pb"

INSTEAD = "keep it as .skops, .cbm, .ubj, .keras or .onnx, or call everloop.model.package on it"

LEAST_UNPACKED, MOST_UNPACKED = 64 * 2**20, 40
"""A zip file may unpack to so many times its size, and to so much in any case."""


def read_model(path: Path | str, *, classes: Sequence[str] = ()) -> Any:
    """Reads a model's file.

    Args:
        path: ``.skops`` (scikit-learn, LightGBM, XGBoost, CatBoost kept by skops), ``.cbm`` (CatBoost),
            ``.ubj`` or ``.json`` (XGBoost), ``.keras`` (Keras), ``.onnx``, ``.mar`` (TorchServe) that holds
            an ONNX graph, or the folder of a SavedModel (TensorFlow).
        classes: The labels in the order of the outputs, where the file does not say them; none for a
            number.

    Returns:
        What `everloop.model.package` takes.

    Raises:
        NotFound: When there is no such file.
        ModelFault: When the file is a pickle, is of no known kind, or is damaged.
        MissingExtra: When its library is not installed.
    """
    file = _file_of(Path(path))
    ending = file.suffix.lower()
    if ending in PICKLES:
        raise ModelFault(
            f"{file.name} is a pickle, or may be one: reading it would run whatever code is in it.",
            hint=INSTEAD,
        )
    if ending not in READERS:
        raise ModelFault(
            f"{file.name} is of no kind that is known; known are {', '.join(sorted(READERS))}.",
            hint="convert the model to ONNX, or call everloop.model.package on it",
        )
    _refuse_harmful(file)
    try:
        if ending in NATIVE:
            try_to_read(file, classes)
        return READERS[ending](file, tuple(classes))
    except ModelFault as error:
        if called(file) in error.message:
            raise
        raise ModelFault(f"{called(file)} cannot be read: {error.message}", hint=error.hint) from None
    except (ValueError, TypeError, KeyError, OSError, MemoryError, RecursionError) as error:
        raise damaged(file, error) from error


def _file_of(path: Path) -> Path:
    """Gives the file that says what a model is: the path itself, or within the folder of a SavedModel."""
    file = path / SAVED_MODEL if path.is_dir() else path
    if file.is_file():
        return file
    if not path.is_dir():
        raise NotFound(f"There is no file {path}.")
    versions = sorted(one.parent.name for one in path.glob(f"*/{SAVED_MODEL}"))
    raise ModelFault(
        f"The folder {path} is no SavedModel: it has no {SAVED_MODEL}.",
        hint=f"give the folder of one version: {path / versions[-1]}" if versions else None,
    )


def _refuse_harmful(file: Path) -> None:
    """Refuses pickles under any name, and archives that unpack outside themselves or beyond their limit."""
    from everloop.runtime.file_forms import HEAD_BYTES, is_pickle, refuse_archive

    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    if is_pickle(head):
        raise ModelFault(
            f"{called(file)} is a pickle: reading it would run whatever code is in it.", hint=INSTEAD
        )
    if not head.startswith(b"PK"):
        return
    try:
        refuse_archive(file, called(file), max(LEAST_UNPACKED, MOST_UNPACKED * file.stat().st_size))
    except PackageRefused as error:
        hint = AS_GRAPH if file.suffix.lower() == ".mar" else None
        raise ModelFault(error.message, hint=hint) from None
