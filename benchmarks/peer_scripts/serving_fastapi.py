"""Serves the pipeline by hand, with FastAPI on uvicorn: FOLDER PORT."""

import sys
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Body, FastAPI
from serving_model import table_of, train

pipeline = train(Path(sys.argv[1]) / "training.json")
app = FastAPI()


@app.post("/predict")
def predict(row: Annotated[dict, Body()]) -> dict:
    return {"score": float(pipeline.predict_proba(table_of([row]))[0, 1])}


@app.get("/ready")
def ready() -> dict:
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="critical", access_log=False)
