"""Detectors that answer at each event: ADWIN, Page-Hinkley and KSWIN, by the package `river`.

They need no window and no reference, and keep no budget of false alarms: what each promises is its own
parameter. Their state is data, so that a process that starts again goes on where another stopped.

Example:
    >>> import numpy as np
    >>> found = detector("adwin").run(np.r_[np.zeros(200), np.ones(200)])
    >>> [199 < place < 264 for place in found]
    [True]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from everloop.core.errors import UsageFault
from everloop.core.extras import require
from everloop.spec.detectors import DETECTOR_OPTIONS

__all__ = ["Detector", "detector"]


class Detector:
    """One detector, which reads numbers one by one.

    Args:
        kind: ``adwin``, ``page_hinkley`` or ``kswin``.
        options: Its parameters, by river's names; river's defaults where left out.
        seed: Of KSWIN's draws; the others draw nothing.

    Raises:
        UsageFault: When there is no such kind, or it has no such option.
        MissingExtra: Without river.
    """

    def __init__(self, kind: str, options: Mapping[str, float] | None = None, *, seed: int = 0) -> None:
        if kind not in DETECTOR_OPTIONS:
            known = ", ".join(DETECTOR_OPTIONS)
            raise UsageFault(f"There is no detector {kind!r}; known are {known}.")
        unknown = sorted(set(options or {}) - set(DETECTOR_OPTIONS[kind]))
        if unknown:
            takes = ", ".join(DETECTOR_OPTIONS[kind])
            raise UsageFault(f"The detector {kind} has no option {unknown[0]!r}; it takes {takes}.")
        self.kind, self.options, self.seed = kind, dict(options or {}), seed
        self._form = _FORMS[kind]
        drift = require("river.drift", extra="river")
        seeded = {"seed": seed} if kind == "kswin" else {}
        self._inner = getattr(drift, self._form.name)(**self.options, **seeded)

    def update(self, value: float) -> bool:
        """Reads a number; says whether the numbers have changed."""
        self._inner.update(float(value))
        return bool(self._inner.drift_detected)

    def run(self, values: Iterable[float]) -> list[int]:
        """Reads numbers in turn; gives the places, counted from 0, at which a change was found."""
        return [place for place, value in enumerate(values) if self.update(value)]

    def to_dict(self) -> dict[str, Any]:
        """Gives all that it remembers, as what JSON can carry."""
        return {
            "kind": self.kind,
            "options": self.options,
            "seed": self.seed,
            "river": _version(),
            "found": bool(self._inner.drift_detected),
            "memory": self._form.remember(self._inner),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Detector:
        """Goes on where the one went that `to_dict` was asked of.

        What another release of river remembers cannot be read: then the detector begins anew.
        """
        made = cls(data["kind"], data["options"], seed=int(data["seed"]))
        if data["river"] == _version():
            made._form.recall(made._inner, data["memory"])
            vars(made._inner)["_drift_detected"] = bool(data["found"])
        return made


def detector(kind: str, *, seed: int = 0, **options: float) -> Detector:
    """Makes a detector that answers at each number; see `Detector`.

    Args:
        kind: ``adwin`` (a mean that changes), ``page_hinkley`` (a mean that rises or falls) or ``kswin``
            (any change of the distribution).
        seed: Of KSWIN's draws.
        options: Its parameters, by river's names, such as ``delta=0.001``.

    Example:
        >>> detector("page_hinkley", threshold=5).run([0.0] * 50 + [1.0] * 20)
        [55]
    """
    return Detector(kind, options, seed=seed)


@dataclass(frozen=True, slots=True)
class _Form:
    """How river calls a detector, and how what it remembers becomes data and comes back."""

    name: str
    remember: Callable[[Any], Any]
    recall: Callable[[Any, Any], None]


def _version() -> str:
    return str(require("river", extra="river").__version__)


def _remember_adwin(inner: Any) -> str:
    """The buckets, in river's own bytes: numbers alone."""
    return bytes(vars(inner)["_helper"].__getstate__()).hex()


def _recall_adwin(inner: Any, memory: str) -> None:
    vars(inner)["_helper"].__setstate__(bytes.fromhex(memory))


_MEAN = ("n", "_mean")
_SUMS = ("_sum_increase", "_sum_decrease", "_min_increase", "_max_decrease")


def _remember_page_hinkley(inner: Any) -> list[str]:
    """Its sums; as texts, since one of them is infinite at first."""
    kept = vars(inner)
    numbers = (*map(vars(kept["_x_mean"]).get, _MEAN), *map(kept.get, _SUMS))
    return [float(number).hex() for number in numbers]


def _recall_page_hinkley(inner: Any, memory: list[str]) -> None:
    numbers = [float.fromhex(number) for number in memory]
    vars(vars(inner)["_x_mean"]).update(zip(_MEAN, numbers[:2], strict=True))
    vars(inner).update(zip(_SUMS, numbers[2:], strict=True))


def _remember_kswin(inner: Any) -> dict[str, Any]:
    version, words, left = vars(inner)["_rng"].getstate()
    chance = [version, list(words), left]
    return {"window": list(inner.window), "read": inner.n, "chance": chance}


def _recall_kswin(inner: Any, memory: Mapping[str, Any]) -> None:
    version, words, left = memory["chance"]
    vars(inner)["_rng"].setstate((version, tuple(words), left))
    inner.window.extend(memory["window"])
    inner.n = memory["read"]


_FORMS = {
    "adwin": _Form("ADWIN", _remember_adwin, _recall_adwin),
    "page_hinkley": _Form("PageHinkley", _remember_page_hinkley, _recall_page_hinkley),
    "kswin": _Form("KSWIN", _remember_kswin, _recall_kswin),
}
