"""The prediction log: every answer that was given and every actual that came back, durable.

Append-only segments, a few lines to a checksum, written by the server and sealed to Parquet by
the loop. Reading works while it is being written.

Example:
    >>> import tempfile
    >>> from everloop.runtime.log import PredictionLine, PredictionLog, read_log
    >>> folder = tempfile.mkdtemp()
    >>> with PredictionLog(folder, worker="0") as log:
    ...     _ = log.append(PredictionLine("p1", 0, 7, "champion", {"amount": 12.0}, 0.81, "yes", 240))
    >>> read_log(folder).predictions["prediction"].to_list()
    ['yes']
"""

from everloop.runtime.log.damage import Damage
from everloop.runtime.log.limits import LogLimits
from everloop.runtime.log.lines import ActualLine, PredictionLine, RefusalLine
from everloop.runtime.log.privacy import Privacy
from everloop.runtime.log.query import query_log
from everloop.runtime.log.reading import LogReader, read_log
from everloop.runtime.log.retiring import retire
from everloop.runtime.log.sealing import seal
from everloop.runtime.log.segment import Recovery
from everloop.runtime.log.span import LogSpan
from everloop.runtime.log.tables import LogTables
from everloop.runtime.log.writing import PredictionLog

__all__ = [
    "ActualLine",
    "Damage",
    "LogLimits",
    "LogReader",
    "LogSpan",
    "LogTables",
    "PredictionLine",
    "PredictionLog",
    "Privacy",
    "Recovery",
    "RefusalLine",
    "query_log",
    "read_log",
    "retire",
    "seal",
]
