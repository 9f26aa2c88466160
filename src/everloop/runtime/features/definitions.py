"""What a package, or a lifecycle file, says of features over rows of other sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from everloop.core.errors import EverloopError, PackageRefused
from everloop.runtime.json_form import encode_json
from everloop.table.feature_joined import JoinedFeature, SourceEvents

FEATURES_NAME = "features.json"
FEATURES_FORMAT = 1


@dataclass(frozen=True)
class FeatureSet:
    """Features with what their sources say of their rows.

    Attributes:
        features: The definitions, in the file's order.
        sources: For each source that they read: which columns say what its rows are.
    """

    features: tuple[JoinedFeature, ...] = ()
    sources: Mapping[str, SourceEvents] = field(default_factory=dict)

    def together(self, other: FeatureSet) -> FeatureSet:
        """Gives the features of both, for a store that serves two versions at once."""
        known = {feature.name for feature in self.features}
        extra = [
            feature for feature in other.features if feature.name not in known or feature not in self.features
        ]
        return FeatureSet((*self.features, *extra), {**other.sources, **self.sources})

    def to_json(self) -> bytes:
        """Gives the set as JSON."""
        return encode_json(
            {
                "format": FEATURES_FORMAT,
                "features": [feature.to_dict() for feature in self.features],
                "sources": {name: events.to_dict() for name, events in self.sources.items()},
            }
        )

    @staticmethod
    def from_json(text: bytes) -> FeatureSet:
        """Reads what `to_json` gave; needs no SQL parser.

        Raises:
            PackageRefused: When it is none, or of a newer form.
        """
        try:
            data: dict[str, Any] = msgspec.json.decode(text)
            if data["format"] > FEATURES_FORMAT:
                raise PackageRefused(
                    "The features have a newer form than this Everloop reads.", hint="pip install -U everloop"
                )
            found = FeatureSet(
                tuple(JoinedFeature.from_dict(one) for one in data["features"]),
                {name: SourceEvents.from_dict(one) for name, one in data["sources"].items()},
            )
            missing = [one.source for one in found.features if one.source not in found.sources]
            if missing:
                raise PackageRefused(
                    f"{FEATURES_NAME} does not say when the rows of {missing[0]!r} happened."
                )
            for feature in found.features:
                _ = feature.meaning
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PackageRefused(f"{FEATURES_NAME} cannot be read: {error}.") from None
        except EverloopError as error:
            raise PackageRefused(f"{FEATURES_NAME} cannot be read: {error.message}") from None
        return found
