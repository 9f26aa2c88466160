"""Triggers that `monitor` cannot ask: a function of the user's own, and whether the contract is new."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from everloop.core.digest import digest_value
from everloop.core.errors import SpecFault
from everloop.data.python_modules import importable
from everloop.monitor.situation import FACTS, Situation
from everloop.monitor.triggers import read_rule

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.spec.fields import Trigger


def asked_outside(workspace: Workspace, situation: Situation, contract: str | None) -> dict[str, str]:
    """Asks the triggers of the file that `monitor` cannot: their reasons by their text, empty if they rest.

    Args:
        workspace: The lifecycle.
        situation: What is known.
        contract: The digest of the contract that the last pass was made under; None where there was none.

    Raises:
        SpecFault: When a function cannot be loaded, or fails.
    """
    found = {}
    for trigger in workspace.spec.monitor.retrain.on:
        if trigger.kind == "python":
            rule = load_rule(trigger.argument or "", workspace.folder)
            found[str(trigger)] = rule(situation.facts())
        elif trigger.kind == "contract":
            found[str(trigger)] = _contract_changed(workspace, contract)
    return found


def check_trigger(trigger: Trigger, folder: Path) -> None:
    """Reads the rule or the function that a trigger names, where it names one.

    Raises:
        SpecFault: When it cannot be read.
    """
    if trigger.kind == "python":
        load_rule(trigger.argument or "", folder)
    elif trigger.kind == "rule":
        try:
            read_rule(trigger.argument or "")
        except SpecFault as fault:
            raise SpecFault(
                f"{trigger}: {fault.message}", hint=fault.hint, place="monitor.retrain.on"
            ) from None


def load_rule(written: str, folder: Path) -> Callable[[Mapping[str, Any]], str]:
    """Loads a function of the user's own that says whether to retrain.

    Its parameters name the facts that it reads (`everloop.monitor.situation.FACTS`); it returns whether to
    retrain, or why as text::

        def when(drift: float | None, days: float) -> bool | str:
            return "it has been a while" if days > 60 else (drift or 0) > 2 and days > 7

    Args:
        written: The file and the function, such as ``policy.py:when``.
        folder: The lifecycle file's folder.

    Returns:
        A function of the facts that gives the reason, empty where it asks for nothing.

    Raises:
        SpecFault: When the file or the function is not there, does not load, or reads what is no fact.
    """
    file, _, name = (part.strip() for part in written.partition(":"))
    path = folder / file
    if not path.is_file():
        raise SpecFault(
            f"{written}: {file} is not there.", hint=f"ls {path.parent}", place="monitor.retrain.on"
        )
    function = getattr(_module(path), name, None)
    if not inspect.isfunction(function):
        raise SpecFault(f"{written}: {file} has no function {name}.", place="monitor.retrain.on")
    names = tuple(inspect.signature(function).parameters)
    unknown = [each for each in names if each not in FACTS]
    if unknown:
        raise SpecFault(
            f"{written} reads {unknown[0]}, which is no fact; there are {', '.join(FACTS)}.",
            hint=f"def {name}(drift, days): return (drift or 0) > 1.5 and days >= 14",
            place="monitor.retrain.on",
        )

    def rule(facts: Mapping[str, Any]) -> str:
        try:
            answer = function(**{each: facts[each] for each in names})
        except Exception as error:  # a user's function may fail in any way
            raise SpecFault(
                f"{written} fails: {type(error).__name__}: {error}.",
                hint="a fact that is not known is None",
                place="monitor.retrain.on",
            ) from error
        return answer if isinstance(answer, str) else f"{name} says so" if answer else ""

    return rule


def contract_digest(workspace: Workspace) -> str | None:
    """Gives the digest of what the contract's file says; None where there is none."""
    from everloop.table.contract import load_contract

    path = workspace.contract_path
    return digest_value(load_contract(path).to_dict()) if path.exists() else None


def _contract_changed(workspace: Workspace, known: str | None) -> str:
    if known is None or contract_digest(workspace) in (None, known):
        return ""
    return "the contract is another than that of the last pass"


def _module(path: Path) -> ModuleType:
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        with importable(path.parent):
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102  (the user's own)
    except Exception as error:
        raise SpecFault(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}.", hint=f"python {path}"
        ) from error
    return module
