"""Whether intervals hold what they promised to hold: the truth, once it is known.

Example:
    >>> broken_promise(hits=4, looks=10, confidence=0.95)
    '4 of the last 10 intervals held what was measured later; 95 in 100 were promised'
    >>> broken_promise(hits=9, looks=10, confidence=0.95) is None
    True
"""

from __future__ import annotations

from everloop.core.errors import UsageFault

_SIGNIFICANCE = 0.01


def broken_promise(*, hits: int, looks: int, confidence: float) -> str | None:
    """Says why intervals are not to be shown any more: their coverage has failed by a binomial test.

    Args:
        hits: How many intervals held what was measured later.
        looks: Of how many.
        confidence: How often they shall.

    Returns:
        The reason, where so few hits have a chance of less than 1 in 100; None otherwise.

    Raises:
        UsageFault: When the numbers make no sense.
    """
    from scipy.special import bdtr

    if not 0 <= hits <= looks or not 0 < confidence < 1:
        raise UsageFault(f"{hits} hits of {looks} looks at {confidence:g} make no sense.")
    if float(bdtr(hits, looks, confidence)) >= _SIGNIFICANCE or not looks:
        return None
    return (
        f"{hits} of the last {looks} intervals held what was measured later; "
        f"{confidence * 100:.0f} in 100 were promised"
    )
