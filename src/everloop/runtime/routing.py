"""Routing: which versions serve now, and which of them answers a request.

The deployment writes `routing.json`; every server worker reads it. An arm is chosen by a hash of the
arm's salt and the request's key, so that all workers agree, a key keeps its arm over restarts, and a
key that is in the challenger's 5 % stays in it at 25 %.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import msgspec

from everloop.core.errors import DataFault, NotFound
from everloop.core.files import write_file
from everloop.runtime.json_form import encode_json

ROUTING_FORMAT = 1
STRATEGIES = ("blue_green", "canary", "ab", "bandit", "shadow")
CHAMPION, CHALLENGER, SHADOW = "champion", "challenger", "shadow"
PINNED = "pinned"
"""Of an answer whose client named the version while two were served: no part of the comparison."""
_SPACE = 2**64


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that serves, and its part.

    Attributes:
        version: The version's number.
        package: Its package's folder; a relative one is beside the routing file.
        share: The part of requests that it answers, 0 to 1; of a champion, what is left counts.
        strategy: How a challenger is brought in. A `shadow` answers nobody: it is scored after the
            champion's answer and logged.
        salt: Text that is hashed with the key. It stays the same while a share grows; a new rollout
            takes a new one, so that its first requests come from other keys.
    """

    version: int
    package: str
    share: float = 1.0
    strategy: str = "blue_green"
    salt: str = ""


class Routing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment serves.

    Attributes:
        lifecycle: The lifecycle's name.
        generation: Grows with each change.
        champion: The version that answers.
        challenger: The version that may replace it, if any.
        format: The version of this form.
    """

    lifecycle: str
    generation: int
    champion: Arm
    challenger: Arm | None = None
    format: int = ROUTING_FORMAT

    def __post_init__(self) -> None:
        for arm in (self.champion, self.challenger):
            if arm is not None and not (arm.strategy in STRATEGIES and 0.0 <= arm.share <= 1.0):
                raise DataFault(
                    f"Version {arm.version} is routed by {arm.strategy!r} with a share of {arm.share}; "
                    f"expected one of {STRATEGIES} and a share from 0 to 1."
                )


def write_routing(path: Path, routing: Routing) -> None:
    """Writes a routing file, so that a server reads the old one or the new one whole.

    Raises:
        StorageFull: When the disk has no room; the old one stays.
    """
    write_file(path, encode_json(routing))


def read_routing(path: Path) -> Routing:
    """Reads a routing file.

    Raises:
        NotFound: When there is none.
        DataFault: When it cannot be read or contradicts itself.
    """
    try:
        routing = msgspec.json.decode(path.read_bytes(), type=Routing)
    except FileNotFoundError:
        raise NotFound(f"There is no routing file {path}.", hint="everloop run") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, OSError) as error:
        raise DataFault(f"The routing file {path} cannot be read: {error}.", place=str(path)) from None
    if routing.format > ROUTING_FORMAT:
        raise DataFault(f"The routing file {path} has a newer form.", hint="pip install -U everloop")
    return routing


def choose_arm(routing: Routing, key: str) -> str:
    """Says who answers a request.

    Args:
        routing: What serves now.
        key: What keeps its arm: the entity's value, or the prediction's id where there is none.

    Returns:
        `champion` or `challenger`; a shadow answers nobody.
    """
    challenger = routing.challenger
    if challenger is None or challenger.share <= 0.0 or challenger.strategy == SHADOW:
        return CHAMPION
    if challenger.share >= 1.0:
        return CHALLENGER
    return CHALLENGER if position_of(key, challenger.salt) < challenger.share else CHAMPION


def chance_of(routing: Routing, arm: str) -> float:
    """Says how likely it was that this arm answers: its share, over keys that are not known yet.

    Args:
        routing: What serves now.
        arm: What `choose_arm` gave.
    """
    challenger = routing.challenger
    if challenger is None or challenger.strategy == SHADOW:
        return 1.0
    share = challenger.share
    return (share if arm == CHALLENGER else 1.0 - share) if 0.0 < share < 1.0 else 1.0


def unit_of(key: str, salt: str) -> str:
    """Gives what stands for a key in the log's refusals: the same for the same key in one rollout."""
    return _digest(key, salt).hex()


def position_of(key: str, salt: str) -> float:
    """Gives a key's fixed place between 0 and 1, spread evenly over keys."""
    return int.from_bytes(_digest(key, salt)) / _SPACE


def _digest(key: str, salt: str) -> bytes:
    return blake2b(f"{salt}\x00{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
