"""What an outside system is told: the contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from everloop.record.rows import DecisionRow, DeploymentRow, RunRow, VersionRow


@runtime_checkable
class Observer(Protocol):
    """Is told what a lifecycle did, after it is in the record.

    An observer is made by calling what its entry point names with the address from the lifecycle file,
    once for each turn in which there is something to tell; making it reaches nothing yet.

    - **Order.** A run is told when it has ended, before the version that it made; a version before the
      decisions about it and before it is the champion. Versions come by their number, deployments by
      their generation.
    - **Once.** What a call returned from is written down in the record and not told again, in this
      process or any other; only one process tells an observer at a time. A process that is killed
      between the end of a call and that note tells the same thing once more: so an observer recognises
      what it has by the row's id, and finishes what it left half-done.
    - **Failure.** It raises, `OutsideFault` (`ServerUnreachable` where nothing answers) with a message
      that holds neither the address's path nor a password. The loop tells a notice, goes on, and begins
      again with the same thing at its next turn. Anything else that it raises is treated alike.
    - **Time.** A call ends: each wait has a limit of its own.
    - **Values.** Nothing that it is given may be changed, files in the package least of all.
    """

    def run_finished(self, run: RunRow, steps: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes a run that is done, failed or was interrupted.

        Args:
            run: The run.
            steps: Each step that it reached, to what the step found; see `everloop run --json`.
        """
        ...

    def version_registered(self, version: VersionRow, package: Path) -> None:
        """Takes a version.

        Args:
            version: The version; `version.run` is the run that made it.
            package: The folder of its package, to be read.
        """
        ...

    def decided(self, decision: DecisionRow) -> None:
        """Takes a decision: of the gate, a release, a rollout, a retraining."""
        ...

    def champion_changed(self, deployment: DeploymentRow, champion: VersionRow) -> None:
        """Takes a deployment whose champion is another one than the deployment's before.

        Args:
            deployment: Which versions serve from now on.
            champion: The version that does.
        """
        ...

    def close(self) -> None:
        """Lets go of connections; closing twice is fine."""
        ...
