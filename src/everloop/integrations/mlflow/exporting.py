"""The observer that keeps an MLflow tracking server up to date.

Everything is looked up by an Everloop id before it is made, so telling the same thing twice leaves one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from everloop.core.errors import OutsideFault
from everloop.integrations.mlflow.facts import MOST_TAG, RUN_TAG, STATUS, run_facts
from everloop.integrations.mlflow.server import MlflowFault, MlflowServer

if TYPE_CHECKING:
    from everloop.record.rows import DecisionRow, DeploymentRow, RunRow, VersionRow

# By which a version is recognised; its value is the version's id.
VERSION_TAG = "everloop.version_id"
ALIAS = "champion"
_FOLDER = "package"
_PROXIED = "mlflow-artifacts"
_ABSENT, _THERE = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
# MLflow takes so many metrics at once.
_MOST_METRICS = 1000


class MlflowObserver:
    """Writes runs, versions, the gate's answers and the champion into MLflow; see `Observer`.

    Decisions that are about no version are not told: MLflow has no place for them.

    Args:
        address: The tracking server's; see `MlflowServer`.

    Raises:
        UsageFault: When it is no address of a tracking server.
    """

    def __init__(self, address: str) -> None:
        self._server = MlflowServer(address)
        self._experiments: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"MlflowObserver({self._server.place})"

    def run_finished(self, run: RunRow, steps: Mapping[str, Mapping[str, Any]]) -> None:
        """Writes a run with its parameters, metrics and tags.

        Raises:
            OutsideFault: When MLflow does not answer or refuses it.
        """
        facts = run_facts(run, steps)
        identity = str(self._run(run.lifecycle, run.id, run.at)["run_id"])
        ended = _milliseconds(run.finished_at or run.at)
        metrics = [
            {"key": name, "value": value, "timestamp": ended, "step": 0}
            for name, value in facts.metrics.items()
        ][:_MOST_METRICS]
        # Each kind alone, since a request may hold no more than 1000 of all kinds.
        self._server.post("runs/log-batch", run_id=identity, params=_pairs(facts.parameters))
        self._server.post("runs/log-batch", run_id=identity, metrics=metrics)
        self._server.post("runs/log-batch", run_id=identity, tags=_pairs(facts.tags))
        self._server.post("runs/update", run_id=identity, status=STATUS[run.status], end_time=ended)

    def version_registered(self, version: VersionRow, package: Path) -> None:
        """Uploads a package and registers it as a model version of its run.

        Raises:
            OutsideFault: When MLflow does not answer or refuses it, or keeps artifacts where only its
                own clients can write.
        """
        name = version.lifecycle
        self._make_model(name)
        if self._model_version(name, version.id) is not None:
            return
        run = self._run(name, version.run or version.id, version.at)
        place = str(run["artifact_uri"]).rstrip("/")
        root = self._proxied(place)
        for file in sorted(path for path in package.rglob("*") if path.is_file()):
            self._server.upload(file, f"{root}/{_FOLDER}/{file.relative_to(package).as_posix()}")
        loadable = (package / "MLmodel").exists()
        tags = {
            VERSION_TAG: version.id,
            "everloop.version": str(version.number),
            "everloop.digest": version.digest,
            "everloop.learner": str(version.facts.get("learner", "")),
        }
        self._server.post(
            "model-versions/create",
            name=name,
            source=f"{place}/{_FOLDER}",
            run_id=run["run_id"],
            tags=_pairs({key: value for key, value in tags.items() if value}),
            description=f"{name} v{version.number} of Everloop."
            + ("" if loadable else " It has no MLmodel, since a feature has no form in a graph."),
        )

    def decided(self, decision: DecisionRow) -> None:
        """Tags the model version that a decision is about, such as with the gate's answer.

        Raises:
            OutsideFault: When MLflow does not answer or refuses it.
        """
        about = decision.facts.get("version")
        if not isinstance(about, str):
            return
        known = self._model_version(decision.lifecycle, about)
        if known is None:  # Somebody removed it there.
            return
        told = {
            f"everloop.{decision.kind}": decision.answer,
            f"everloop.{decision.kind}_reason": decision.reason[:MOST_TAG],
        }
        for key, value in told.items():
            self._server.post(
                "model-versions/set-tag", name=decision.lifecycle, version=known, key=key, value=value
            )

    def champion_changed(self, deployment: DeploymentRow, champion: VersionRow) -> None:
        """Points the alias `champion` at the version that serves.

        Raises:
            OutsideFault: When MLflow does not answer or refuses it.
        """
        known = self._model_version(deployment.lifecycle, champion.id)
        if known is not None:
            self._server.post(
                "registered-models/alias", name=deployment.lifecycle, alias=ALIAS, version=known
            )

    def close(self) -> None:
        """Lets go of the connections."""
        self._server.close()

    def _experiment(self, name: str) -> str:
        """Gives the experiment of a lifecycle, made where there is none."""
        if name not in self._experiments:
            try:
                found = self._server.get("experiments/get-by-name", experiment_name=name)["experiment"]
            except MlflowFault as fault:
                if fault.reason != _ABSENT:
                    raise
                found = self._server.post("experiments/create", name=name)
            if found.get("lifecycle_stage") == "deleted":
                raise OutsideFault(
                    f"The experiment {name!r} of MLflow at {self._server.place} was deleted there.",
                    hint=f"mlflow experiments restore --experiment-id {found['experiment_id']}",
                )
            self._experiments[name] = str(found["experiment_id"])
        return self._experiments[name]

    def _run(self, lifecycle: str, identity: str, at: datetime) -> dict[str, Any]:
        """Gives what MLflow knows of a run, made where there is none."""
        experiment = self._experiment(lifecycle)
        found = self._server.post(
            "runs/search",
            experiment_ids=[experiment],
            filter=f"tags.`{RUN_TAG}` = '{identity}'",
            max_results=1,
        ).get("runs")
        if found:
            return dict(found[0]["info"])
        made = self._server.post(
            "runs/create",
            experiment_id=experiment,
            start_time=_milliseconds(at),
            run_name=identity,
            tags=_pairs({RUN_TAG: identity}),
        )
        return dict(made["run"]["info"])

    def _make_model(self, name: str) -> None:
        try:
            self._server.post("registered-models/create", name=name)
        except MlflowFault as fault:
            if fault.reason != _THERE:
                raise

    def _model_version(self, name: str, identity: str) -> str | None:
        """Gives MLflow's number of a version, which need not be ours; None where it has none."""
        found = self._server.get(
            "model-versions/search",
            filter=f"name = '{name}' and tags.`{VERSION_TAG}` = '{identity}'",
            max_results="1",
        ).get("model_versions")
        return str(found[0]["version"]) if found else None

    def _proxied(self, place: str) -> str:
        """Gives the path of a run's artifacts behind the server."""
        parts = urlsplit(place)
        if parts.scheme != _PROXIED:
            where = f"in {parts.scheme}://" if parts.scheme else "in a folder of its own machine"
            raise OutsideFault(
                f"MLflow at {self._server.place} keeps artifacts {where} and does not take them itself, so "
                "packages cannot be sent to it; runs are.",
                hint="mlflow server --serve-artifacts --artifacts-destination PLACE, and a new experiment",
            )
        return parts.path.strip("/")


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
