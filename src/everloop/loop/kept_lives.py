"""Lives that were lived to their end before a backtest was stopped: the next one takes them over."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import parse_time
from everloop.core.digest import digest_bytes, digest_file, digest_value
from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.data.python_features import python_digests
from everloop.loop.compared import Lived

if TYPE_CHECKING:
    from everloop.loop.living import Life

_TOLD, _WORTH = "lived.json", "worth.npy"


def identity_of(life: Life) -> str:
    """Gives what a life depends on, as a digest: the file, the rows, functions of the user's, the release."""
    spec, folder = life.spec, Path(life.spec.folder)
    functions = [one.argument for one in spec.monitor.retrain.on if one.kind == "python"]
    contract = folder / spec.data.contract if spec.data.contract else None
    return digest_value(
        {
            "release": version("everloop"),
            "spec": spec.model_dump(mode="json", by_alias=True),
            "rows": digest_bytes(life.rows.facts.hash_rows().to_numpy().tobytes()),
            "functions": [digest_file(folder / str(name).rpartition(":")[0]) for name in functions],
            "features": python_digests(spec.data, folder),
            "contract": digest_file(contract) if contract is not None and contract.is_file() else None,
            "times": to_jsonable([life.since, life.until, life.every]),
        }
    )


def keep_life(folder: Path, identity: str, lived: Lived, currency: str) -> None:
    """Keeps what a life came to beside its record."""
    np.save(folder / _WORTH, lived.worth)
    told = {name: value for name, value in vars(lived).items() if name != "worth"}
    content = {"identity": identity, "currency": currency, "lived": to_jsonable(told)}
    write_file(folder / _TOLD, json.dumps(content).encode())


def kept_life(folder: Path, identity: str) -> tuple[Lived, str] | None:
    """Gives what the same life came to; None where it was not lived to its end."""
    try:
        content = json.loads((folder / _TOLD).read_bytes())
        if content["identity"] != identity:
            return None
        told: dict[str, Any] = content["lived"]
        moments = {name: tuple(map(parse_time, told[name])) for name in ("promoted", "alarms", "failed")}
        retrains = tuple((parse_time(moment), float(cost)) for moment, cost in told["retrains"])
        worth = np.load(folder / _WORTH)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Lived(told["name"], worth, retrains, **moments), content["currency"]


def forget_lives(folder: Path) -> None:
    """Lets go of what was kept: the backtest came to its end."""
    for told in folder.glob(f"*/{_TOLD}"):
        told.unlink()
        (told.parent / _WORTH).unlink(missing_ok=True)
