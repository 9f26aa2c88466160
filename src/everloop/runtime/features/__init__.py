"""Features of other sources, kept current from events: the online side of one definition.

Example:
    >>> from everloop.runtime.features import FeatureReader, FeatureSet, FeatureWriter, open_store
    >>> from everloop.spec import WindowFeature
    >>> from everloop.table.feature_joined import SourceEvents, define_joined
    >>> paid = WindowFeature(**{"from": "payments", "by": "customer", "over": "90d", "value": "sum(amount)"})
    >>> features = FeatureSet((define_joined("paid", paid),), {"payments": SourceEvents("at", "at")})
    >>> with open_store("memory:") as store:
    ...     rows = [{"customer": 7, "amount": 10, "at": 1_000}, {"customer": 7, "amount": 5, "at": 3_000}]
    ...     added = FeatureWriter(features, store).add("payments", rows, now=3_000)
    ...     FeatureReader(features.features, store).read({"customer": 7}, at=2_000)
    {'paid': 10.0}
"""

from everloop.runtime.features.definitions import FEATURES_NAME, FeatureSet
from everloop.runtime.features.incoming import Flaw
from everloop.runtime.features.reading import FeatureReader, FeatureValue
from everloop.runtime.features.stores import OnlineStore, known_stores, open_store
from everloop.runtime.features.writing import Added, FeatureWriter

__all__ = [
    "FEATURES_NAME",
    "Added",
    "FeatureReader",
    "FeatureSet",
    "FeatureValue",
    "FeatureWriter",
    "Flaw",
    "OnlineStore",
    "known_stores",
    "open_store",
]
