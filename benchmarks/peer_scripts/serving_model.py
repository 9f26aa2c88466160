"""The model of the serving benchmark, as its user trains it: LightGBM behind impute, scale and one-hot.

Every environment trains it from the same file; LightGBM's deterministic mode gives the same trees.
"""

import sys

import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = [f"n{place}" for place in range(15)]
CATEGORIES = [f"c{place}" for place in range(5)]


def table_of(rows):
    """Gives rows as the pipeline reads them."""
    frame = pd.DataFrame(rows, columns=NUMBERS + CATEGORIES)
    texts = {name: frame[name].astype(object).where(frame[name].notna(), None) for name in CATEGORIES}
    return frame.astype(dict.fromkeys(NUMBERS, float)).assign(**texts)


def train(path):
    """Trains on a JSON file of records that has the label `y`."""
    frame = pd.read_json(path, orient="records", dtype=False)
    table = table_of(frame)
    known = [sorted(table[name].dropna().unique()) for name in CATEGORIES]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            (
                "categories",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="missing", missing_values=None),
                    OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False),
                ),
                CATEGORIES,
            ),
        ]
    )
    model = LGBMClassifier(
        n_estimators=200, random_state=0, n_jobs=1, verbosity=-1, deterministic=True, force_col_wise=True
    )
    prepared = prepare.fit_transform(table)
    model.fit(prepared, (frame["y"] == "yes").astype(int))
    return Pipeline([("prepare", prepare), ("model", model)])


def row_of(row):
    """Scores one row as a server by hand does."""
    return table_of([row])


if __name__ == "__main__":
    import joblib

    joblib.dump(train(sys.argv[1]), sys.argv[2])
