"""Alembic's migrations of the record; `versions` has one file for each format."""
