"""A run of steps that feed each other, for tests that kill it: chain_of_steps.py FOLDER."""

import hashlib
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from everloop.core.clock import SystemClock
from everloop.core.progress import silent
from everloop.engine import Engine, Step
from everloop.record import ArtifactStore, RunRow, open_record

LENGTH = 6
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


def make(folder, settings, inputs):
    digest = hashlib.sha256(json.dumps(settings).encode())
    for name, path in sorted(inputs.items()):
        digest.update(name.encode())
        for number in range(5):
            digest.update((path / f"part{number}.txt").read_bytes())
    for number in range(5):
        (folder / f"part{number}.txt").write_text(f"{number} {digest.hexdigest()}\n" * 200)
        time.sleep(0.002)
    return {"digest": digest.hexdigest(), "number": settings["number"]}


def run(folder, progress=silent):
    with open_record(f"sqlite:///{folder}/record.db") as record, ArtifactStore(folder / "artifacts") as store:
        record.put(RunRow("run_1", "flights", NOON))
        engine = Engine(record, store, SystemClock(), progress, "run_1")
        done = []
        for number in range(LENGTH):
            inputs = {f"input{back}": done[-back] for back in (1, 2) if back <= len(done)}
            done.append(engine.run(Step(f"make{number}", "data", 1, make, {"number": number}, inputs)))
        return done


if __name__ == "__main__":
    print("ready", flush=True)
    run(
        Path(sys.argv[1]), lambda event: event.facts["state"] != "cached" and print(event.message, flush=True)
    )
