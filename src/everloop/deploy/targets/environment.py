"""What a server that was exported reads from its environment: no file holds it.

Where several lifecycles are served together the name of each is in the names of its variables.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from everloop.runtime.service.settings import TopicSettings

if TYPE_CHECKING:
    from everloop.deploy.targets.target import Release


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment.

    Attributes:
        name: Its name.
        key: What it is called among the secrets of a cluster.
        source: The words of a shell that give its content here.
    """

    name: str
    key: str
    source: str


def token_variables(release: Release, one: Release) -> dict[str, Variable]:
    """Gives the variables that hold the tokens of one of a server's lifecycles, by role."""
    return {role: _variable(release, one, f"{role}_token", role) for role in one.roles}


def online_variable(release: Release, one: Release) -> Variable | None:
    """Gives the variable that holds the online store's address, where the model reads one."""
    return _variable(release, one, "online_store", "address") if one.joins else None


def log_key_variable(release: Release, one: Release) -> Variable | None:
    """Gives the variable that holds the key of the log's hashes, which all servers of a log share."""
    return _variable(release, one, "log_key", "key") if "hash" in one.private.values() else None


def topic_variables(release: Release, one: Release) -> dict[str, Variable]:
    """Gives the variables that a topic's options ask for, by option.

    One that the lifecycle file names keeps its name; what the file has in a file gets one.
    """
    found = {}
    for option, value in sorted({} if one.topic is None else one.topic.options.items()):
        kind, _, place = value.partition(":")
        if kind == "env":
            found[option] = Variable(place, place, f"${place}")
        elif kind == "file":
            variable = _variable(release, one, f"topic_{option}", option)
            content = f'"$(cat {shlex.quote(str(Path(place).absolute()))})"'
            found[option] = Variable(variable.name, variable.name, content)
    return found


def topic_of(release: Release, one: Release) -> TopicSettings | None:
    """Gives a topic whose secrets are in the environment."""
    if one.topic is None:
        return None
    asked = {option: f"env:{variable.name}" for option, variable in topic_variables(release, one).items()}
    return msgspec.structs.replace(one.topic, options=one.topic.options | asked)


def cluster_secrets(release: Release) -> dict[str, tuple[Variable, ...]]:
    """Gives the secrets that a cluster keeps, by name, with the variables that hold them in a pod."""
    found: dict[str, tuple[Variable, ...]] = {}
    named: set[str] = set()
    for one in release.each:
        groups = {
            "tokens": token_variables(release, one).values(),
            "online": (online_variable(release, one),),
            "log": (log_key_variable(release, one),),
            "topic": topic_variables(release, one).values(),
        }
        for group, variables in groups.items():
            # Two options, or two lifecycles, may read the same variable.
            kept = {asked.name: asked for asked in variables if asked is not None and asked.name not in named}
            if kept:
                found[f"{one.name}-{group}"] = tuple(kept.values())
                named |= kept.keys()
    return found


def variables_of(release: Release) -> tuple[str, ...]:
    """Names the environment variables that a server reads."""
    return tuple(variable.name for group in cluster_secrets(release).values() for variable in group)


def secret_commands(release: Release) -> tuple[str, ...]:
    """Gives the commands that hand a cluster the secrets that its pods read."""
    return tuple(
        f"kubectl create secret generic {name} "
        + " ".join(f"--from-literal={variable.key}={variable.source}" for variable in group)
        for name, group in cluster_secrets(release).items()
    )


def _variable(release: Release, one: Release, word: str, key: str) -> Variable:
    whose = f"{one.name}_" if release.beside else ""
    name = "EVERLOOP_" + f"{whose}{word}".upper().replace("-", "_").replace(".", "_")
    return Variable(name, key, f"${name}")
