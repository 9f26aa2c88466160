"""Runs a lifecycle in a process of its own for each folder that standard input names.

The libraries are loaded once, so that a run takes little more than its own work. Standard output tells
each run's process id when it starts, and its status when it ended.
"""

import os
import sys

AS_OF = "2024-01-31T00:00:00+00:00"
WORDS = ["run", "--as-of", AS_OF, "--clock", "as-of"]

# What a run loads; nothing of it starts a thread before it is used.
LOADED = """
alembic.command duckdb lightgbm matplotlib onnx onnxruntime optuna polars pyarrow.parquet scipy.stats
sklearn.linear_model sklearn.ensemble skops.io sqlalchemy threadpoolctl everloop.loop.run
everloop.loop.workspace everloop.data.preparing everloop.model.packaging everloop.monitor.references
""".split()


def child(folder):
    from everloop.cli import main

    os.chdir(folder)
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os._exit(main(WORDS))


def serve():
    for name in LOADED:
        __import__(name)
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(line.rstrip("\n"))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
