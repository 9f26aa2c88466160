"""Retraining policies: when the loop considers a retrain, by name, in the file's words, or by a rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import UsageFault
from everloop.core.nearness import near_names
from everloop.loop.ruling import check_trigger
from everloop.loop.task_support import silent_triggers
from everloop.spec.fields import TRIGGER_ARGUMENTS, TRIGGER_KINDS, Trigger, read_trigger

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

NEVER, FILE = "never", "file"


@dataclass(frozen=True)
class Policy:
    """When a retrain is considered.

    Attributes:
        name: What it is called.
        on: What asks for a retrain.
        if_it_pays: Whether what drift, performance and value ask for must also be expected to pay.
    """

    name: str
    on: tuple[Trigger, ...] = ()
    if_it_pays: bool = True

    def applied(self, spec: LifecycleSpec) -> LifecycleSpec:
        """Gives the lifecycle under this policy; nobody outside is told of, or asked for, a rehearsal."""
        update = {"on": self.on, "if_it_pays": self.if_it_pays, "approve": "automatic"}
        retrain = spec.monitor.retrain.model_copy(update=update)
        monitor = spec.monitor.model_copy(update={"retrain": retrain, "alerts": ()})
        log = spec.deploy.log.model_copy(update={"to": None, "options": {}, "keep": None, "most_gb": None})
        deploy = spec.deploy.model_copy(update={"log": log})
        changed = {"monitor": monitor, "deploy": deploy, "integrations": {}}
        return spec.model_copy(update=changed).in_folder(spec.folder)


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(NEVER),
        Policy("weekly", (Trigger("schedule", "weekly"),)),
        Policy("monthly", (Trigger("schedule", "monthly"),)),
        Policy("drift", (Trigger("drift"),), if_it_pays=False),
        Policy("pays", (Trigger("drift"), Trigger("performance"), Trigger("value"))),
    )
}
USUAL = (NEVER, "monthly", "drift", "pays")
"""What is compared where nobody says otherwise."""
WORDS = (
    "never, weekly, monthly, drift, pays, file; 'schedule: every Monday at 6'; 'rule: SQL'; FILE.py:FUNCTION"
)


def policies_of(words: Sequence[str], spec: LifecycleSpec) -> list[Policy]:
    """Reads policies; `never`, which all are compared with, comes first.

    Args:
        words: Names in `POLICIES`; `file` for what the lifecycle file says; triggers as the file has them,
            several divided by ``;``; a condition in SQL over `everloop.monitor.situation.FACTS`; or a file
            and a function of its facts, such as ``policy.py:when``.
        spec: The lifecycle.

    Raises:
        UsageFault: When there is no such policy.
        SpecFault: When a rule or a function cannot be read.
    """
    found = [_policy(word.strip(), spec) for word in words]
    return list({policy.name: policy for policy in (POLICIES[NEVER], *found)}.values())


def _policy(word: str, spec: LifecycleSpec) -> Policy:
    if word in POLICIES or word == FILE:
        said, silent = spec.monitor.retrain, silent_triggers(spec)
        policy = POLICIES.get(word) or Policy(FILE, said.on, said.if_it_pays)
        return replace(policy, on=tuple(one for one in policy.on if one.kind not in silent))
    if re.fullmatch(r"[\w./-]+\.py:\w+", word):
        return _checked(Policy(word, (Trigger("python", word),)), spec.folder)
    kind, colon, _ = word.partition(":")
    if (colon and kind.strip() in TRIGGER_ARGUMENTS) or ";" in word:
        return _checked(Policy(word, tuple(_trigger(part.strip()) for part in word.split(";"))), spec.folder)
    if re.search(r"[<>=\s(]", word):
        return _checked(Policy(word, (Trigger("rule", word),)), spec.folder)
    known = (*POLICIES, FILE)
    near = near_names(word, known)
    raise UsageFault(
        f"There is no policy {word!r}; there are {WORDS}.", hint=f"did you mean {near[0]}?" if near else None
    )


def _trigger(text: str) -> Trigger:
    try:
        return read_trigger(text)
    except ValueError as error:
        raise UsageFault(
            f"{text!r} asks for nothing: {error}.", hint=f"one of {', '.join(TRIGGER_KINDS)}"
        ) from None


def _checked(policy: Policy, folder: Path) -> Policy:
    """Reads rules and functions now, so that a mistake is said before hours of rehearsal."""
    for trigger in policy.on:
        check_trigger(trigger, folder)
    return policy
