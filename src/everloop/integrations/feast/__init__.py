"""Feast, both ways: a lifecycle reads the views of a Feast repository, and is written as one.

- `sources: {scores: {feast: feature_repo, view: customer_scores, time: event_timestamp}}` reads a view's
  rows from the repository's offline store; features over them are defined as over any other source.
- `online_rows` gives what the repository's online store holds of some entities, as rows of that source.
- `export` writes a lifecycle's features as a repository that ``feast apply`` accepts.

Example:
    >>> from everloop.integrations.feast import FeastView
    >>> FeastView.capabilities.kind
    'feast'
"""

from everloop.integrations.feast.export import export
from everloop.integrations.feast.online import online_rows
from everloop.integrations.feast.source import FeastView

__all__ = ["FeastView", "export", "online_rows"]
