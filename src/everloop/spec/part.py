"""What every part of the lifecycle file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the lifecycle file: frozen, with no key that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
