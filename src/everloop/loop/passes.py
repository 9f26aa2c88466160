"""What each line of a pass does: which function runs, on which settings and inputs.

Each function takes the pass and gives the finished step. Settings are the parts of the lifecycle file
that the result depends on, and no more, so that a change elsewhere does nothing again.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from everloop.core.clock import parse_time
from everloop.core.digest import digest_value
from everloop.core.errors import NotFeasible
from everloop.core.files import write_file
from everloop.core.tasks import LISTED_ITEMS
from everloop.core.values import to_jsonable
from everloop.data.foreign_keys import foreign_key_settings, foreign_key_step
from everloop.data.quarantine import quarantine_settings, quarantine_step
from everloop.data.steps import (
    contract_settings,
    contract_step,
    dataset_settings,
    dataset_step,
    snapshot_settings,
    snapshot_step,
)
from everloop.deploy.release import PACKAGE_FOLDER
from everloop.deploy.versions import find_version, number_for
from everloop.engine import Done, Step
from everloop.goal.steps import brief_step
from everloop.loop.quarantine import put_on_record, released_parts
from everloop.loop.signing import signer_of
from everloop.loop.steps import CONTRACT_FILE, gate_step, package_step, reference_step
from everloop.loop.support import refuse_unknown_segments
from everloop.measure.recommendation import longest_list
from everloop.model.card_origin import SHOWN
from everloop.model.steps import JOURNAL_FILE, explain_step, train_step
from everloop.problem.steps import frame_step
from everloop.record.artifact import folder_name
from everloop.record.rows import StepRow, VersionRow
from everloop.table.acting import known_later
from everloop.table.schema import Schema

if TYPE_CHECKING:
    from datetime import datetime

    from everloop.loop.pass_ import Pass


def snapshot(this: Pass) -> Done:
    """Takes the data as it is known at the pass's time."""
    workspace = this.workspace
    now = this.as_of or workspace.clock.now()
    settings = snapshot_settings(
        workspace.spec,
        now,
        tables=workspace.tables,
        memo=workspace.state_folder / "digests.json",
        kept=workspace.kept_folder,
        clock=workspace.clock,
        progress=workspace.progress,
    )
    content = digest_value({key: value for key, value in settings.items() if key != "as_of"})
    if this.as_of is None:
        settings["as_of"] = _unchanged_since(this, content, now) or settings["as_of"]
    take = partial(
        snapshot_step,
        home=workspace.folder,
        kept=workspace.kept_folder,
        joins=workspace.joins_folder,
        tables=workspace.tables,
    )
    taken = this.do(Step("snapshot", "data", 2, take, settings))
    latest = {"content": content, "as_of": settings["as_of"], "changes_at": taken.facts["changes_at"]}
    if this.as_of is None and workspace.record.state(workspace.name, "snapshot") != latest:
        workspace.record.set_state(workspace.name, "snapshot", latest)
    return taken


def _unchanged_since(this: Pass, content: str, now: datetime) -> str | None:
    """Gives the time of the last snapshot where one taken now would be the same.

    That is so where the sources have the same content, and since then no row's time has come and no
    actual has become known.
    """
    latest = this.workspace.record.state(this.workspace.name, "snapshot") or {}
    if latest.get("content") != content or not parse_time(latest["as_of"]) <= now:
        return None
    changes = latest["changes_at"]
    return str(latest["as_of"]) if changes is None or now < parse_time(changes) else None


def quarantine(this: Pass, taken: Done) -> Done:
    """Takes parts that are unlike all earlier ones out of the snapshot, until a person releases them."""
    workspace = this.workspace
    settings = quarantine_settings(workspace.spec, released_parts(workspace))
    judge = partial(
        quarantine_step, home=workspace.folder, kept=workspace.kept_folder, tables=workspace.tables
    )
    judged = this.do(Step("quarantine", "data", 2, judge, settings, {"snapshot": taken}))
    put_on_record(workspace, judged)
    return judged if judged.facts["quarantined"] else taken


def contract(this: Pass, taken: Done) -> Done:
    """Holds the snapshot against its contract; the first time the contract is learned and written."""
    workspace = this.workspace
    settings = contract_settings(workspace.spec)
    learns = settings["contract"] is None and workspace.spec.data.contract is not None
    inputs = {"snapshot": taken, **_foreign_keys(this, settings["contract"])}
    done = this.do(Step("contract", "data", 2, contract_step, settings, inputs))
    if not learns:
        return done
    write_file(workspace.contract_path, (done.path / CONTRACT_FILE).read_bytes())
    settings = contract_settings(workspace.spec)
    inputs = {"snapshot": taken, **_foreign_keys(this, settings["contract"])}
    again = Step("contract", "data", 2, contract_step, settings, inputs)
    return this.do(again, told=False)


def _foreign_keys(this: Pass, contract: str | None) -> dict[str, Done]:
    """Reads the keys that the contract refers to, or could, as they were when the snapshot was taken."""
    workspace = this.workspace
    settings = foreign_key_settings(workspace.spec, contract, this.steps["snapshot"].facts["sources"])
    if settings is None:
        return {}
    read = partial(
        foreign_key_step, home=workspace.folder, kept=workspace.kept_folder, tables=workspace.tables
    )
    return {"foreign_keys": this.do(Step("foreign_keys", "data", 1, read, settings))}


def frame(this: Pass, taken: Done) -> Done:
    """Resolves the problem and judges its labels."""
    spec = this.workspace.spec
    refuse_unknown_segments(spec, Schema.from_dict(this.steps["snapshot"].facts["schema"]).names)
    settings = {"problem": _dump(spec.problem), "seed": spec.model.seed}
    kept = spec.data.clean.model_dump(
        mode="json", exclude_defaults=True, include={"exclude": True, "columns": {"__all__": {"exclude"}}}
    )
    kept["columns"] = {name: one for name, one in kept.get("columns", {}).items() if one}
    settings |= {"clean": kept} if any(kept.values()) else {}
    if spec.goal.value is not None and spec.problem.optimise is None:
        settings["value"] = _dump(spec.goal.value)
    if this.workspace.rehearsal:
        settings["judge_labels"] = False
    return this.do(Step("frame", "problem", 5, frame_step, settings, {"snapshot": taken}))


def brief(this: Pass, taken: Done, framed: Done) -> Done:
    """Says what decisions are worth today and would be worth; stops where the goal is not feasible."""
    spec = this.workspace.spec
    settings = {"goal": _goal(this), "training_seconds": spec.model.budget.seconds}
    done = this.do(Step("brief", "goal", 2, brief_step, settings, {"snapshot": taken, "frame": framed}))
    if done.facts["verdict"] == "stop" and spec.goal.on_stop == "stop":
        raise NotFeasible(
            f"The goal is not feasible: {'; '.join(done.facts['reasons'])}.",
            hint="everloop report; to train all the same: goal: {on_stop: continue}",
            place="goal",
        )
    return done


def dataset(this: Pass, taken: Done, framed: Done) -> Done:
    """Cleans, features and splits the snapshot, and stops where it leaks."""
    settings = dataset_settings(this.workspace.spec)
    return this.do(Step("dataset", "data", 4, dataset_step, settings, {"snapshot": taken, "frame": framed}))


def train(this: Pass, prepared: Done, framed: Done) -> Done:
    """Searches for the model whose decisions are worth most; a search that was killed goes on."""
    workspace = this.workspace
    spec = workspace.spec
    settings = {
        "goal": _goal(this),
        "problem": _dump(spec.problem),
        "data": dataset_settings(spec)["data"],
        "model": _dump(spec.model),
    }
    half_life = spec.monitor.retrain.history.half_life
    settings |= {"half_life": half_life.total_seconds()} if half_life else {}
    judged = (spec.problem.optimise or "", *spec.goal.require, *spec.problem.require, *spec.deploy.guard)
    listed = longest_list(judged)
    settings |= {"listed": listed} if listed != LISTED_ITEMS else {}
    settings |= {"shown": False} if workspace.rehearsal else {}
    inputs = {"dataset": prepared, "frame": framed}
    watched = this.watched(train_step)
    step = Step("train", "model", 2, watched, settings, inputs)
    journal = workspace.search_folder / folder_name(step.key) / JOURNAL_FILE
    done = this.do(replace(step, function=partial(watched, journal=journal)))
    shutil.rmtree(workspace.search_folder, ignore_errors=True)
    return done


def explain(this: Pass, trained: Done, prepared: Done) -> None:
    """Says what moves the scores, and what disturbed inputs cost; nobody reads that of a rehearsal."""
    if this.workspace.rehearsal:
        return
    settings = {"goal": _goal(this)}
    inputs = {"trained": trained, "dataset": prepared}
    this.do(Step("explain", "model", 1, explain_step, settings, inputs))


def reference(this: Pass, trained: Done, prepared: Done) -> Done:
    """Keeps the distributions that windows will be compared with."""
    spec = this.workspace.spec
    settings = {
        "goal": _goal(this),
        "window": _dump(spec.monitor.window),
        "drift": _dump(spec.monitor.drift),
        "seed": spec.model.seed,
    }
    inputs = {"trained": trained, "dataset": prepared}
    return this.do(Step("reference", "monitor", 2, reference_step, settings, inputs))


def package(this: Pass, trained: Done, prepared: Done, enforced: Done, referred: Done) -> Done:
    """Compiles the model, proves the compiled one equal, and writes its card from what is on record."""
    workspace = this.workspace
    number = number_for(workspace.record, workspace.name, trained.key)
    known = find_version(workspace.record, workspace.name, number)
    created = known.facts["created"] if known else to_jsonable(this.as_of or workspace.clock.now())
    settings = {
        "lifecycle": workspace.name,
        "version": number,
        "created": created,
        "lineage": {"dataset": prepared.key, "trained": trained.key},
        "card": None if workspace.rehearsal else _card(this, prepared),
        "fixed": list(workspace.spec.problem.fixed),
        "seed": workspace.spec.model.seed,
    }
    features = this.steps["snapshot"].facts.get("features")
    settings |= {"features": features} if features else {}
    later = known_later(workspace.spec.goal, workspace.spec.problem)
    settings |= {"later": list(later)} if later else {}
    signer = signer_of(workspace.spec)
    settings |= {"signed_by": signer.name} if signer else {}
    inputs = {"trained": trained, "dataset": prepared, "contract": enforced, "reference": referred}
    return this.do(Step("package", "model", 3, partial(package_step, signer=signer), settings, inputs))


def _card(this: Pass, prepared: Done) -> dict[str, Any]:
    """Gives what the model card says beyond the trained model."""
    return {
        "owner": this.workspace.spec.owner or "",
        "brief": this.steps["brief"].facts,
        "snapshot": this.steps["snapshot"].facts,
        "dataset": prepared.facts,
        "labels": this.steps["frame"].facts["sufficiency"],
        "explanation": this.steps["explain"].facts,
        "outlook": this.steps["train"].facts.get("outlook"),
        "steps": {name: _made(this, this.steps[name]) for name in SHOWN},
    }


def _made(this: Pass, done: Done) -> dict[str, Any]:
    """Names a step and what it read, by their keys alone: these are the same wherever it was executed."""
    row = this.workspace.record.get(StepRow, done.id)
    return {"key": done.key, "inputs": row.facts["inputs"]}


def gate(
    this: Pass, version: VersionRow, packaged: Done, prepared: Done, framed: Done, enforced: Done
) -> Done:
    """Holds the version against all that its lifecycle requires, and against its rival.

    The rival is the champion that served when the version was made, so that the same version is
    judged once, whatever serves later.
    """
    workspace = this.workspace
    rival = version.facts.get("rival")
    key = None if rival is None else workspace.record.get(VersionRow, rival).package
    serving = None if key is None else workspace.store.open(key) / PACKAGE_FOLDER
    asked = {"goal": _goal(this)}
    asked |= {name: _dump(getattr(workspace.spec, name)) for name in ("problem", "model")}
    settings: dict[str, Any] = {"spec": {"name": workspace.name, **asked}, "champion": key}
    settings |= {"trusted": workspace.trusted_keys} if workspace.trusted_keys else {}
    inputs = {"package": packaged, "dataset": prepared, "frame": framed, "contract": enforced}
    return this.do(Step("gate", "deploy", 2, partial(gate_step, serving=serving), settings, inputs))


def _goal(this: Pass) -> dict[str, Any]:
    """Gives the goal; its volume is that of the data where a capacity needs one and none is stated."""
    return _dump(this.workspace.spec.goal.with_volume(this.steps["frame"].facts["rows_per_day"]))


def _dump(part: Any) -> dict[str, Any]:
    return dict(part.model_dump(mode="json", by_alias=True))
