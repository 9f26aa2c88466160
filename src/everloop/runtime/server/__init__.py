"""The model server: plain ASGI, routing in process, every answer in the prediction log.

Example:
    >>> from everloop.runtime.server import ServerSettings, create_app
    >>> settings = ServerSettings(package="package/", log="log/")
    >>> app = create_app(settings)
"""

from everloop.runtime.server.app import create_app
from everloop.runtime.server.mounting import mounted_asgi, mounted_wsgi
from everloop.runtime.server.process import serve
from everloop.runtime.service.settings import ServerLimits, ServerSettings, Token, hash_token

__all__ = [
    "ServerLimits",
    "ServerSettings",
    "Token",
    "create_app",
    "hash_token",
    "mounted_asgi",
    "mounted_wsgi",
    "serve",
]
