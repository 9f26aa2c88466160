"""Many rows at once: a table's columns encoded, and small trees walked without a branch.

What it computes is what `score.onnx` computes, bit for bit; the graph alone remains the model.

Example:
    >>> from everloop.runtime.many import MaskedTrees
    >>> MaskedTrees.__name__
    'MaskedTrees'
"""

from everloop.runtime.many.encoded import EncodedTable
from everloop.runtime.many.masks import MaskedTrees
from everloop.runtime.many.scorer import TableScorer
from everloop.runtime.many.trees import GraphTrees, trees_of

__all__ = ["EncodedTable", "GraphTrees", "MaskedTrees", "TableScorer", "trees_of"]
