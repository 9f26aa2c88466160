"""A SavedModel of TensorFlow's read as data: its signature becomes a portable graph, and nothing is run."""
