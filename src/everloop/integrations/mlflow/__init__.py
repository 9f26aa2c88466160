"""Runs and versions in an MLflow tracking server, through its REST interface.

An experiment and a registered model for each lifecycle, by its name; a run for each run; a model version
for each version, with the package's files, which MLflow loads by the `MLmodel` among them; the alias
`champion` on the version that serves. The package `mlflow` is not needed.

Example:
    >>> from everloop.integrations.mlflow import MlflowObserver
    >>> MlflowObserver("http://user:secret@127.0.0.1:5000")
    MlflowObserver(http://127.0.0.1:5000)
"""

from everloop.integrations.mlflow.exporting import MlflowObserver

__all__ = ["MlflowObserver"]
