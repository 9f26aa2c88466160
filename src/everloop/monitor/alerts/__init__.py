"""Who is told: one file for each kind of receiver, found by name in the registry.

Example:
    >>> from everloop.monitor.alerts import RECEIVERS
    >>> sorted(RECEIVERS)
    ['file', 'webhook']
"""

from everloop.monitor.alerts.file import FileReceiver
from everloop.monitor.alerts.receiver import Receiver
from everloop.monitor.alerts.registry import RECEIVERS, receiver_for
from everloop.monitor.alerts.webhook import WebhookReceiver

__all__ = ["RECEIVERS", "FileReceiver", "Receiver", "WebhookReceiver", "receiver_for"]
