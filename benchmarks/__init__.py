"""Benchmarks: each figure beside a peer or a bound that was measured in the same run.

Run `python -m benchmarks --help`; `docs/benchmarks.md` says what each compares.
"""
