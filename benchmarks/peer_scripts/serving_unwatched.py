"""Our server without what monitoring needs of it: nothing is logged and nothing is counted."""

import sys
from pathlib import Path

from everloop.runtime.server import ServerSettings, serve
from everloop.runtime.service.keeping import Keeping
from everloop.runtime.service.metrics import Answers, Metrics

folder, port = Path(sys.argv[1]), int(sys.argv[2])
Keeping.answer = Keeping.write = lambda *_: 0
Metrics.add = Metrics.put = Metrics.predicted = Answers.took = lambda *_, **__: None
serve(ServerSettings(routing=str(folder / "routing.json"), log=str(folder / f"unwatched-{port}"), port=port))
