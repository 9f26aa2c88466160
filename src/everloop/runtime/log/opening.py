"""The prediction log of a server: segments beside it, or a topic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.secret import PREFIXES, Secret
from everloop.runtime.log.outbox import OutboxLog
from everloop.runtime.log.topic_address import TopicAddress
from everloop.runtime.log.topic_log import TopicLog
from everloop.runtime.log.writing import PredictionLog

if TYPE_CHECKING:
    from everloop.runtime.service.settings import ServerSettings

WrittenLog = PredictionLog | TopicLog | OutboxLog


def open_log(settings: ServerSettings) -> WrittenLog:
    """Opens what a server writes its lines to.

    Raises:
        EverloopError: When it cannot be opened.
    """
    folder, topic = Path(settings.log), settings.topic
    if topic is None:
        return PredictionLog(folder, settings.worker, settings.durability)
    address = TopicAddress.parse(topic.address)
    options = {name: _revealed(value) for name, value in topic.options.items()}
    if topic.outage == "disk":
        return OutboxLog(
            address, folder, settings.worker, settings.durability, options, most_bytes=topic.outage_bytes
        )
    patience = settings.limits.durable_seconds
    return TopicLog(address, folder, settings.worker, settings.durability, options, patience=patience)


def _revealed(value: str) -> str:
    return Secret(value).reveal() if value.startswith(PREFIXES) else value
