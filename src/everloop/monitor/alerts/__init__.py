"""Who is told: one file for each kind of receiver, found by name in the registry.

Example:
    >>> from everloop.monitor.alerts import RECEIVERS
    >>> sorted(RECEIVERS)
    ['alertmanager', 'email', 'file', 'pagerduty', 'slack', 'webhook']
"""

from everloop.monitor.alerts.receiver import Alert, Receiver
from everloop.monitor.alerts.registry import RECEIVERS, receiver_for

__all__ = ["RECEIVERS", "Alert", "Receiver", "receiver_for"]
