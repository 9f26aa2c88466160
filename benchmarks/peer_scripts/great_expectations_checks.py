"""Great Expectations on pandas: read a Parquet file and validate 60 expectations, result format SUMMARY.

Reads a number of runs from each line of input; answers with a JSON list of seconds.
"""

import json
import logging
import sys
import time

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

REGIONS = ["north", "south", "east", "west"]


def main(path: str, failing: str) -> None:
    logging.disable(logging.CRITICAL)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = context.suites.add(gx.ExpectationSuite(name="sixty"))
    for i in range(15):
        suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=f"n{i}"))
        suite.add_expectation(gxe.ExpectColumnValuesToBeBetween(column=f"n{i}", min_value=0.0))
        suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=f"t{i}"))
        suite.add_expectation(gxe.ExpectColumnValuesToBeInSet(column=f"t{i}", value_set=REGIONS))
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("table")
    definition = asset.add_batch_definition_whole_dataframe("whole")
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            batch = definition.get_batch({"dataframe": pd.read_parquet(path)})
            found = batch.validate(suite, result_format="SUMMARY")
            seconds.append(time.perf_counter() - start)
            counts = [one.result.get("unexpected_count", 0) for one in found.results]
            if len(counts) != 60 or sum(counts) != int(failing):
                raise SystemExit(f"{sum(counts)} failures were found in {len(counts)}, {failing} there are")
        print(json.dumps(seconds), flush=True)


main(sys.argv[1], sys.argv[2])
