"""Everloop: the whole life of a machine-learning model from one file."""
