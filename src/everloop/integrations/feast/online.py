"""What a Feast repository's online store holds, as rows of the source that the view is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from everloop.integrations.feast.repository import faults, open_view


def online_rows(
    repository: Path | str, view: str, entities: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Asks the online store for entities.

    The rows are those of the source `feast` for the same view, the latest of each entity: they can be
    added to a row that is sent to the server, or pushed as events, which keeps Everloop's own online store
    in step with Feast's.

    Args:
        repository: The repository's folder.
        view: The feature view.
        entities: For each entity its keys, such as ``{"customer": 7}``.

    Returns:
        For each entity that is known the keys, the features and the view's timestamp (Feast keeps
        whole seconds); an entity that the store does not know is left out.

    Raises:
        SourceUnreachable: When there is no such repository or view, or its store does not answer.
    """
    opened = open_view(repository, view)
    asked = [f"{view}:{name}" for name in opened.features]
    with faults(f"The online store of {repository}"):
        answer = opened.store.get_online_features(
            features=asked, entity_rows=[dict(entity) for entity in entities]
        ).to_dict(include_event_timestamps=True)
    field = opened.definition.batch_source.timestamp_field
    rows = []
    for place in range(len(entities)):
        seconds = max(answer[f"{name}__ts"][place] for name in opened.features)
        if seconds > 0:
            row = {name: answer[name][place] for name in (*opened.keys, *opened.features)}
            rows.append({**row, field: datetime.fromtimestamp(seconds, UTC)})
    return rows
