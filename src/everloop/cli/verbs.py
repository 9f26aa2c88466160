"""Every verb: where it is, what it does in a line, and the group that help shows it in.

Strings, so that a verb's module is imported when the verb is run. A target is a function, or a table
of functions where the verb has verbs of its own.
"""

from __future__ import annotations

VERBS: dict[str, tuple[str, str, str]] = {
    "new": ("everloop.cli.new:command", "start a lifecycle: look at data and write everloop.yaml", "Begin"),
    "check": (
        "everloop.cli.check:command",
        "validate the file and reach the sources; change nothing",
        "Begin",
    ),
    "schema": ("everloop.cli.schema:command", "print the JSON Schema of everloop.yaml", "Begin"),
    "doctor": ("everloop.cli.doctor:command", "what is installed, reachable, misconfigured", "Begin"),
    "demo": ("everloop.cli.demo:command", "watch the whole loop on a year of real flights", "Begin"),
    "run": ("everloop.cli.run:command", "one pass: goal, problem, data, model, gate, release", "Work"),
    "retrain": ("everloop.cli.retrain:command", "a run on fresh data with a challenger at its end", "Work"),
    "up": ("everloop.cli.up:command", "serve, watch, roll out and retrain until stopped", "Work"),
    "serve": ("everloop.cli.serve:command", "the model server alone", "Work"),
    "replay": ("everloop.cli.replay:command", "send rows of the past to a running server, in order", "Work"),
    "backtest": ("everloop.cli.backtest:command", "compare retraining policies on history", "Work"),
    "predict": ("everloop.cli.predict:command", "score a file with the champion or any package", "Work"),
    "export": ("everloop.cli.export:command", "write a version as the files that run it elsewhere", "Work"),
    "feedback": (
        "everloop.cli.feedback:command",
        "send actuals of earlier predictions to the server",
        "Work",
    ),
    "features": (
        "everloop.cli.features:COMMANDS",
        "keep features of other sources current; look at an entity",
        "Work",
    ),
    "status": ("everloop.cli.status:command", "the whole loop at a glance", "Watch"),
    "monitor": ("everloop.cli.monitor:command", "judge the windows that are due, now", "Watch"),
    "rollout": ("everloop.cli.rollout:COMMANDS", "look at the rollout, or move it by hand", "Watch"),
    "why": ("everloop.cli.why:command", "what led to a prediction, version, alert or decision", "Watch"),
    "report": ("everloop.cli.report:command", "write a self-contained HTML report", "Watch"),
    "console": ("everloop.cli.console:command", "serve the web pages alone", "Watch"),
    "package": ("everloop.cli.package:command", "make a package of a model trained elsewhere", "Alone"),
    "sign": ("everloop.cli.sign:COMMANDS", "sign a package, or see who did", "Alone"),
    "data": ("everloop.cli.data:COMMANDS", "learn a contract, check, profile or compare tables", "Alone"),
}

GROUPS: dict[str, str] = {
    "Begin": "To begin",
    "Work": "To work",
    "Watch": "To watch",
    "Alone": "One phase alone",
}
