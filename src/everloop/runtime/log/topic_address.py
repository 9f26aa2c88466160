"""Where a prediction log is that is a topic: `kafka://HOST:PORT[,HOST:PORT...]/TOPIC`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from everloop.core.errors import SpecFault

SCHEME = "kafka://"
_HOSTS = r"[^/\s,@?#]+:\d{1,5}"
_FORM = re.compile(rf"{SCHEME}({_HOSTS}(?:,{_HOSTS})*)/([A-Za-z0-9._-]{{1,249}})")


@dataclass(frozen=True)
class TopicAddress:
    """A topic.

    Attributes:
        servers: Brokers to ask first, `HOST:PORT` each, divided by commas.
        topic: Its name.
    """

    servers: str
    topic: str

    @staticmethod
    def parse(text: str) -> TopicAddress:
        """Reads an address.

        Raises:
            SpecFault: When it is none; what was given is not repeated, since it may hold a secret.

        Example:
            >>> TopicAddress.parse("kafka://a:9092,b:9092/loans")
            TopicAddress(servers='a:9092,b:9092', topic='loans')
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise SpecFault(
                "The prediction log's address is no topic.",
                hint="to: kafka://localhost:9092/predictions (secrets go under options, as env:NAME)",
                place="deploy.log.to",
            )
        return TopicAddress(found[1], found[2])

    def __str__(self) -> str:
        return f"{SCHEME}{self.servers}/{self.topic}"
