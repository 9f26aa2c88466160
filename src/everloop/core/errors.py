"""The family of errors that a user can meet.

Three families, after the exit status of the command line (`docs/errors.md` lists the codes)::

    EverloopError
    ├── UsageFault (2: used wrongly)
    │   ├── SpecFault            the lifecycle file or an expression in it
    │   ├── DataFault            a table that cannot serve its purpose
    │   ├── ModelFault           a model that cannot be used as asked
    │   ├── NotFound             an id, version or name that is not there
    │   └── MissingExtra         a package that an extra would install
    ├── NegativeAnswer (1: the answer is no)
    │   ├── ContractViolated     a table or row breaks its contract
    │   ├── NotFeasible          the goal cannot be reached as stated
    │   ├── GateRefused          a version may not be released
    │   └── PackageRefused       a package that must not be loaded or shipped
    └── OutsideFault (3: something outside failed)
        ├── SourceUnreachable    retryable
        ├── SourceUnreadable
        ├── RecordBusy           retryable: another process holds it
        ├── RecordUnreachable    retryable
        ├── ServerUnreachable    retryable
        ├── OnlineStoreUnreachable  retryable
        ├── StorageFull
        └── TrainingFailed
"""

from __future__ import annotations

from typing import ClassVar


class EverloopError(Exception):
    """What happened, where, and what to do next.

    Attributes:
        message: What happened and what was expected, in a sentence or two.
        hint: The next step, where possible a command that can be pasted.
        place: Where it happened, such as ``everloop.yaml:12:5``.
        code: A stable name that the documentation lists.
        exit_status: What a command ends with.
        retryable: Whether the same call can succeed later with nothing changed here.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 70
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None, place: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = place
        self._note()

    def put(self, *, place: str | None = None, hint: str | None = None) -> None:
        """Says where it happened or what comes next, better than who raised it could know."""
        self.place, self.hint = place or self.place, hint or self.hint
        self._note()

    def _note(self) -> None:
        """Has a traceback show what the command line shows."""
        notes = {"at": self.place, "hint": self.hint}
        self.__notes__ = [f"{name}: {told}" for name, told in notes.items() if told]

    def to_dict(self) -> dict[str, str | None]:
        """Gives the error as what JSON can carry."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "place": self.place}


class UsageFault(EverloopError):
    """Something was asked in a way that cannot be done."""

    code = "usage"
    exit_status = 2


class SpecFault(UsageFault):
    """The lifecycle file, or an expression in it, is wrong."""

    code = "spec"


class DataFault(UsageFault):
    """A table cannot serve its purpose: empty, without its target, of one class."""

    code = "data"


class ModelFault(UsageFault):
    """A model cannot be used as asked."""

    code = "model"


class NotFound(UsageFault):
    """An id, a version or a name is not there."""

    code = "not-found"


class MissingExtra(UsageFault):
    """A package is needed that an extra of Everloop would install."""

    code = "missing-extra"


class NegativeAnswer(EverloopError):
    """Everything worked, and the answer is no."""

    code = "no"
    exit_status = 1


class ContractViolated(NegativeAnswer):
    """A table or a row breaks its contract."""

    code = "contract"


class NotFeasible(NegativeAnswer):
    """The goal cannot be reached as stated."""

    code = "not-feasible"


class GateRefused(NegativeAnswer):
    """A version does not pass what it must pass to be released."""

    code = "gate"


class PackageRefused(NegativeAnswer):
    """A package must not be loaded or shipped."""

    code = "package"


class OutsideFault(EverloopError):
    """Something outside Everloop failed."""

    code = "outside"
    exit_status = 3


class SourceUnreachable(OutsideFault):
    """A source does not answer."""

    code = "source-unreachable"
    retryable = True


class SourceUnreadable(OutsideFault):
    """A source answers with something that cannot be read."""

    code = "source-unreadable"


class RecordBusy(OutsideFault):
    """Another process holds the record."""

    code = "record-busy"
    retryable = True


class RecordUnreachable(OutsideFault):
    """The record's database does not answer."""

    code = "record-unreachable"
    retryable = True


class ServerUnreachable(OutsideFault):
    """A server does not answer."""

    code = "server-unreachable"
    retryable = True


class OnlineStoreUnreachable(OutsideFault):
    """The online store of features does not answer."""

    code = "online-store-unreachable"
    retryable = True


class StorageFull(OutsideFault):
    """The disk has no room; what was there before is untouched."""

    code = "storage-full"


class TrainingFailed(OutsideFault):
    """No trial of a search came to a model."""

    code = "training"
