"""One pass through the phases, from the goal to the release.

`run_once` reads from top to bottom as the product. Each line is a step (`everloop.loop.passes`): executed
once for the same code, settings and inputs, taken from the artifact store ever after.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from everloop.loop import passes
from everloop.loop.observing import observe
from everloop.loop.pass_ import Pass, RunResult

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace


def run_once(
    workspace: Workspace,
    *,
    as_of: datetime | None = None,
    until: str | None = None,
    since: str | None = None,
    reason: str = "asked for",
) -> RunResult:
    """Passes once through the phases; what is unchanged is not done again.

    Args:
        workspace: The lifecycle.
        as_of: Take the data as it was known then; by default as it is known now.
        until: Stop after this phase: `goal`, `problem`, `data`, `model` or `deploy`.
        since: Do this phase and the later ones again, even where nothing changed.
        reason: Why the pass is made; kept with the run.

    Returns:
        What was reached. A version that its gate refuses is in it, without a release.

    Raises:
        EverloopError: What stopped the pass; the next one continues where it stopped.
    """
    with Pass.begin(workspace, as_of=as_of, until=until, since=since, reason=reason) as this:
        taken = passes.quarantine(this, passes.snapshot(this))
        enforced = passes.contract(this, taken)
        framed = passes.frame(this, taken)
        passes.brief(this, taken, framed)
        this.stop_after("problem")

        prepared = passes.dataset(this, taken, framed)
        this.stop_after("data")

        trained = passes.train(this, prepared, framed)
        passes.explain(this, trained, prepared)
        referred = passes.reference(this, trained, prepared)
        packaged = passes.package(this, trained, prepared, enforced, referred)
        version = this.register(trained, packaged)
        this.stop_after("model")

        judged = passes.gate(this, version, packaged, prepared, framed, enforced)
        this.release(version, judged)
    observe(workspace)
    return this.result()
