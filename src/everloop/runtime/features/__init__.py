"""Features of other sources, kept current from events: the online side of one definition.

Example:
    >>> from everloop.runtime.features.stores import known_stores
    >>> known_stores()
    ('lmdb', 'memory', 'redis', 'rediss')
"""
