"""A Feast repository, opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everloop.core.errors import EverloopError, SourceUnreachable
from everloop.core.extras import require

EXTRA = "feast"


@dataclass(frozen=True)
class View:
    """A feature view of a repository.

    Attributes:
        store: The repository's `feast.FeatureStore`.
        definition: The `feast.FeatureView`.
        keys: The columns that name entities.
        features: The columns of its features.
    """

    store: Any
    definition: Any
    keys: tuple[str, ...]
    features: tuple[str, ...]


def open_view(repository: Path | str, name: str) -> View:
    """Opens a view of a repository.

    Raises:
        SourceUnreachable: When there is no such repository, or no such view in it.
        MissingExtra: When Feast is not installed.
    """
    feast = require("feast", extra=EXTRA)
    path = Path(repository)
    if not (path / "feature_store.yaml").is_file():
        raise SourceUnreachable(
            f"{path} is no Feast repository: feature_store.yaml is not there.", hint=f"ls {path}"
        )
    with faults(f"The Feast repository {path}"):
        store = feast.FeatureStore(repo_path=str(path))
        known = {view.name: view for view in store.list_feature_views()}
        if name not in known:
            raise SourceUnreachable(
                f"The Feast repository {path} has no feature view {name}; "
                f"it has {', '.join(known) or 'none'}.",
                hint=f"feast -c {path} apply",
            )
        view = known[name]
        return View(store, view, tuple(view.join_keys), tuple(feature.name for feature in view.features))


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Turns errors of Feast, and of the store behind it, into ours."""
    try:
        yield
    except EverloopError:
        raise
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceUnreachable(f"{what} does not answer: {line}") from error
