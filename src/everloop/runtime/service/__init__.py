"""What stands behind every protocol: the loaded arms, the log, the numbers, and `Service`."""

from everloop.runtime.service.served import Served
from everloop.runtime.service.service import Service
from everloop.runtime.service.settings import ServerLimits, ServerSettings, Token

__all__ = ["Served", "ServerLimits", "ServerSettings", "Service", "Token"]
