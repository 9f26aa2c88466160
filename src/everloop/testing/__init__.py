"""Public suites that interchangeable parts must pass, and fakes that keep their contracts.

Example:
    >>> from everloop.testing import MemoryRecord
    >>> MemoryRecord().measurements("run_1")
    {}
"""

from everloop.testing.memory_record import MemoryRecord

__all__ = ["MemoryRecord"]
