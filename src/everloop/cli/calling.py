"""Runs one verb: parses its words with Typer, calls it, prints its answer or its error."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer

from everloop.cli.faults import fault_of, tell_fault
from everloop.cli.output import Answer, give
from everloop.cli.verbs import VERBS
from everloop.core.errors import EverloopError, UsageFault

# Typer brings its own copy of Click in newer releases; both call the base of all mistakes in a call so.
_MISUSED: type[Exception] = typer.BadParameter.__bases__[0]
Target = Callable[..., Answer] | Mapping[str, Any]
STOPPED = 130
PIPE_CLOSED = 141
_COMMON: dict[str, Any] = {
    "json": Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
}


class Interrupted(EverloopError):
    """Ctrl-C."""

    code = "interrupted"
    exit_status = STOPPED


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called: a person or a program. A verb finds it in its context's `obj`."""

    as_json: bool = False


def run_verb(verb: str, words: Sequence[str]) -> int:
    """Runs a verb with the words that follow it.

    Returns:
        The exit status.
    """
    options = words[: words.index("--")] if "--" in words else words
    as_json, debug = "--json" in options, "--debug" in options
    line = shlex.join(["everloop", verb, *words])
    try:
        answer = _call(verb, words, Caller(as_json))
    except typer.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, typer.Abort):
        stopped = Interrupted("Stopped. What was finished is kept, nothing is half-written.", hint=line)
        return tell_fault(stopped, as_json=as_json)
    except BrokenPipeError:
        return PIPE_CLOSED
    except _MISUSED as misused:
        told = getattr(misused, "format_message", misused.__str__)()
        asked = getattr(getattr(misused, "ctx", None), "command_path", f"everloop {verb}")
        fault: EverloopError = UsageFault(told.replace(": Value error, ", ": "), hint=f"{asked} --help")
        return tell_fault(fault, as_json=as_json, cause=misused if debug else None)
    except Exception as error:  # noqa: BLE001  (the last border: whatever it is, a user reads a sentence)
        return tell_fault(fault_of(error, line), as_json=as_json, cause=error if debug else None)
    return give(answer, as_json=as_json)


def _call(verb: str, words: Sequence[str], caller: Caller) -> Answer:
    module, _, name = VERBS[verb][0].partition(":")
    target = getattr(import_module(module), name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, help=VERBS[verb][1])
    _add(app, verb, target)
    command = typer.main.get_command(app)
    with command.make_context(f"everloop {verb}", list(words), obj=caller) as context:
        answer = command.invoke(context)
    return answer if isinstance(answer, Answer) else Answer(answer)


def _nothing() -> None:
    pass


def _add(app: typer.Typer, word: str, target: Target, *, within: bool = False) -> None:
    """Adds a function as a command, or a table of them as commands or as a command with its own."""
    if not isinstance(target, Mapping):
        _add_function(app, word, target)
        return
    if within:
        inner = typer.Typer(rich_markup_mode=None, help=f"Commands: {', '.join(target)}.")
        app.add_typer(inner, name=word)
        app = inner
    for name, one in target.items():
        _add(app, name, one, within=True)
    app.callback()(_nothing)


def _add_function(app: typer.Typer, word: str, function: Callable[..., Answer]) -> None:
    """Adds a function as a command: its docstring is the help, the docstring's example the last word."""
    text, _, example = inspect.cleandoc(function.__doc__ or "").partition("\nExample:\n")
    shown = "\n".join(f"  {line.strip()}" for line in example.splitlines())
    epilog = f"\b\nExample:\n{shown}" if example else None
    # Given, the first sentence is wrapped in a list of commands; else it is cut after a few words.
    summary = " ".join(text.partition("\n\n")[0].split())
    app.command(word, help=text.strip(), short_help=summary, epilog=epilog)(_with_common(function))


def _with_common(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Gives the function with the options that every verb has; they are the caller's business."""

    @functools.wraps(function)
    def call(**values: Any) -> Answer:
        return function(**{name: value for name, value in values.items() if name not in _COMMON})

    own = inspect.signature(function, eval_str=True)
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in _COMMON.items()
    ]
    everything = own.replace(parameters=[*own.parameters.values(), *common])
    called: Any = call
    del called.__wrapped__
    called.__signature__ = everything
    called.__annotations__ = {name: one.annotation for name, one in everything.parameters.items()}
    return called  # type: ignore[no-any-return]
