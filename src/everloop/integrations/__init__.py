"""Outside systems that are told what a lifecycle does; found by entry point, imported by nobody.

An entry of `integrations` in the lifecycle file names one of the entry points of the group
``everloop.integrations`` and gives its address. `Observer` says what such a part promises.

Example:
    >>> from everloop.integrations import Observer
    >>> sorted(name for name in vars(Observer) if not name.startswith("_"))
    ['champion_changed', 'close', 'decided', 'run_finished', 'version_registered']
"""

from everloop.integrations.observer import Observer

__all__ = ["Observer"]
