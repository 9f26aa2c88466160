"""What stands behind every protocol: the loaded arms, the log, the numbers, and `Service`."""

from everloop.runtime.service.service import Served, Service
from everloop.runtime.service.settings import ServerLimits, ServerSettings, Token

__all__ = ["Served", "ServerLimits", "ServerSettings", "Service", "Token"]
