"""What every room promises about itself."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import everloop

ROOMS = sorted(name for _, name, is_package in pkgutil.iter_modules(everloop.__path__) if is_package)
# What costs a command or a server its start: never imported with a room, only where it is used.
HEAVY = (
    "polars pandas duckdb pyarrow sklearn scipy lightgbm xgboost optuna onnx onnxruntime sqlalchemy alembic "
    "matplotlib starlette jinja2 httpx rich typer uvicorn"
).split()
LIGHT_ROOMS = [room for room in ROOMS if room not in ("testing",)]


@pytest.mark.parametrize("room", ROOMS)
def test_all_names_are_there(room):
    module = importlib.import_module(f"everloop.{room}")
    assert module.__doc__, f"{room} does not say what it is"
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_public_is_said_once(room):
    module = importlib.import_module(f"everloop.{room}")
    assert hasattr(module, "__all__"), f"everloop.{room} does not say what is public"
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("room", ["", *LIGHT_ROOMS])
def test_importing_a_room_loads_no_heavy_library(room):
    name = f"everloop.{room}" if room else "everloop"
    code = f"import sys, {name}; print(*sorted(sys.modules.keys() & set({HEAVY!r})))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.split() == [], f"{name} imports {found.stdout}"
