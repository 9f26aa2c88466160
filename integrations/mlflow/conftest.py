"""The server that the clients speak to."""
# ruff: noqa: INP001

from integrations.served import expected, name, package, port, rows

__all__ = ["expected", "name", "package", "port", "rows"]
