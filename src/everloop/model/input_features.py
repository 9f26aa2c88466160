"""Which inputs of a model are features made beforehand, and what a package says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class InputFeatures:
    """The inputs that are features.

    Attributes:
        origins: Input -> `joined` or `python`, in the words of `runtime.manifest`.
        joined: The definitions of those over other sources, with what the sources say of their rows;
            None where there is none.
    """

    origins: Mapping[str, str]
    joined: dict[str, Any] | None

    @classmethod
    def of(cls, features: Mapping[str, Any], inputs: Sequence[str]) -> InputFeatures:
        """Takes those features of a snapshot that the model reads.

        Args:
            features: `Snapshot.features`.
            inputs: The raw columns that the model reads.
        """
        whole = features.get("joined", {})
        read = [each for each in whole.get("features", ()) if each["name"] in inputs]
        used = {each["source"] for each in read}
        functions = [each["name"] for each in features.get("python", ()) if each["name"] in inputs]
        sources = {name: events for name, events in whole.get("sources", {}).items() if name in used}
        return cls(
            origins={**{each["name"]: "joined" for each in read}, **dict.fromkeys(functions, "python")},
            joined={**whole, "features": read, "sources": sources} if read else None,
        )
