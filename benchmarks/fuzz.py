"""100,000 requests that no client should send, over every route: no 5xx but 503, no crash, memory flat.

Routes are those of the server's own OpenAPI. Each request starts from one that is well and is spoiled at
random: values, types, names, nesting, text, bytes, the query, the method, headers, or HTTP itself.
Schemathesis, which is thorough but slow, does the same in `integrations/fuzzing`.
"""

from __future__ import annotations

import json
import random
import socket
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Options, Report
from benchmarks.overload import Watch
from benchmarks.serving_model import make_deployment, table
from benchmarks.stressed_server import StressedServer

REQUESTS, QUICK_REQUESTS = 100_000, 1_500
CLIENTS = 6
BUDGET_SECONDS = 280.0
ODD = (None, True, -1, 0, 1e308, 2**63, 10**40, "", "x" * 300, "\x00", "\ud83d\ude00", "NaN", [], {}, [[]],
       {"rows": 3}, "<script>", "'; drop table rows", "../../etc/passwd", -0.0)  # fmt: skip
KINDS = ("application/json", "text/csv", "application/vnd.apache.arrow.stream", "application/octet-stream",
         "application/json; charset=utf-16", "", "text/plain", "\x7f")  # fmt: skip
QUERIES = (
    "",
    "?explain=3",
    "?explain=-1",
    "?explain=%00",
    "?explain=99999999999",
    "?a=1&a=2",
    "?%",
    "?x=%ff",
)


def run(options: Options) -> Report:
    """Sends them and counts what came back."""
    wanted = QUICK_REQUESTS if options.quick else REQUESTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = table(2_000)
        rows.write_json(folder / "training.json")
        make_deployment(rows, folder)
        with StressedServer(folder) as server:
            routes = _routes(server.url)
            bodies = _bodies(rows.drop("y").head(20).to_dicts())
            _sent(server, routes, bodies, wanted // 20)  # warm
            watch = Watch(server)
            counts = _sent(server, routes, bodies, wanted)
            growth, alive = watch.end(), server.runs
        said = server.said
    failed = sum(count for status, count in counts.items() if status >= 500 and status != 503)
    figures = (
        Figure("requests", sum(counts.values()), "", goal=f">= {wanted}"),
        Figure("routes", len(routes), ""),
        Figure("answered 5xx, 503 apart", failed, "", goal="<= 0"),
        Figure("servers ended", 0 if alive else 1, "", goal="<= 0"),
        Figure("lines on its error output", said.count("Traceback"), "", goal="<= 0"),
        Figure("growth of memory after the first tenth", growth, "MB", goal="< 24"),
    )
    told = ", ".join(f"{status}: {count:,}" for status, count in sorted(counts.items()))
    return Report(figures, (f"statuses (0: the connection was closed): {told}",))


def _routes(url: str) -> list[tuple[str, str]]:
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as answer:
        paths = json.loads(answer.read())["paths"]
    known = {"{name}": "served", "{model}": "served", "{version}": "1", "{v}": "1"}
    routes = []
    for path, methods in paths.items():
        whole = path
        for word, value in known.items():
            whole = whole.replace(word, value)
        routes += [
            (method.upper(), whole) for method in methods if method in ("get", "post", "put", "delete")
        ]
    return routes


def _bodies(rows: list[dict[str, Any]]) -> list[Any]:
    """Gives a body that is well for each way of asking."""
    row, names = rows[0], list(rows[0])
    tensors = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [row[name]]} for name in names]
    return [
        row,
        {"rows": rows[:3]},
        {"id": "x", "actual": "yes"},
        [{"id": "x", "actual": "yes"}],
        {"instances": rows[:2]},
        {"inputs": tensors, "id": "1"},
        {"dataframe_split": {"columns": names, "data": [list(one.values()) for one in rows[:2]]}},
        {"dataframe_records": rows[:2]},
        {"row": row, "wanted": "yes"},
    ]


def _sent(
    server: StressedServer, routes: list[tuple[str, str]], bodies: list[Any], wanted: int
) -> Counter[int]:
    counts: Counter[int] = Counter()
    lock, end = threading.Lock(), time.perf_counter() + BUDGET_SECONDS

    def live(seed: int) -> None:
        client, own = Fuzzer(server.port, routes, bodies, seed), Counter[int]()
        for _ in range(-(-wanted // CLIENTS)):
            if time.perf_counter() > end or not server.runs:
                break
            own[client.ask()] += 1
        client.close()
        with lock:
            counts.update(own)

    threads = [threading.Thread(target=live, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


class Fuzzer:
    """Spoils requests and sends them on one connection, made anew where the server closed it."""

    def __init__(self, port: int, routes: list[tuple[str, str]], bodies: list[Any], seed: int) -> None:
        self._random = random.Random(seed)
        self._port, self._routes, self._bodies = port, routes, bodies
        self._door: socket.socket | None = None
        self._spoilers: tuple[Callable[[bytes], bytes], ...] = (
            bytes,
            bytes,
            self._cut,
            self._flipped,
            self._deep,
        )

    def ask(self) -> int:
        """Sends one request; gives its status, or 0 where the connection was closed."""
        request, head_alone, honest = self._request()
        try:
            if self._door is None:
                self._door = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            self._door.sendall(request)
            if not honest:
                # The server would wait for a body that never comes, or take what follows for its rest.
                self._door.shutdown(socket.SHUT_WR)
            status, stays = _answer(self._door, head_alone=head_alone)
        except (OSError, ValueError):
            status, stays = 0, False
        if not (stays and honest):
            self.close()
        return status

    def close(self) -> None:
        """Closes the connection."""
        if self._door is not None:
            self._door.close()
            self._door = None

    def _request(self) -> tuple[bytes, bool, bool]:
        """Gives a request, whether its answer has no body, and whether the length that it tells is true."""
        draw = self._random
        method, path = draw.choice(self._routes)
        if draw.random() < 0.05:
            method = draw.choice(("PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "GET", "POST"))
        if draw.random() < 0.1:
            path = draw.choice(
                (path + "/x", path.replace("served", "%2e%2e"), "/" + "a" * 500, "//", path + "%00")
            )
        content = json.dumps(self._spoilt(draw.choice(self._bodies), 0)).encode()
        content = draw.choice(self._spoilers)(content) if method in ("POST", "PUT", "PATCH") else b""
        kind = "application/json" if draw.random() < 0.8 else draw.choice(KINDS)
        query = draw.choice(QUERIES) if draw.random() < 0.2 else ""
        length = len(content) if draw.random() < 0.99 else draw.choice((-1, 10**12, 0))
        head = f"{method} {path}{query} HTTP/1.1\r\nhost: x\r\n"
        head += f"content-type: {kind}\r\ncontent-length: {length}\r\n"
        if draw.random() < 0.005:
            return draw.randbytes(200) + b"\r\n\r\n", False, True
        return head.encode("latin-1") + b"\r\n" + content, method == "HEAD", length == len(content)

    def _spoilt(self, value: Any, depth: int) -> Any:
        """Changes a value, or something within it, now and then."""
        draw = self._random
        if draw.random() < 0.08:
            return draw.choice(ODD)
        if isinstance(value, dict):
            kept = {name: self._spoilt(one, depth + 1) for name, one in value.items() if draw.random() > 0.03}
            return (
                kept | {draw.choice(("id", "x", "", "rows", "inputs")): draw.choice(ODD)}
                if (draw.random() < 0.05)
                else kept
            )
        if isinstance(value, list):
            return [self._spoilt(one, depth + 1) for one in value] * draw.choice((1, 1, 1, 1, 2, 0))
        return value

    def _cut(self, content: bytes) -> bytes:
        return content[: self._random.randrange(len(content) + 1)]

    def _flipped(self, content: bytes) -> bytes:
        spoilt = bytearray(content or b"0")
        for _ in range(self._random.randrange(1, 4)):
            spoilt[self._random.randrange(len(spoilt))] = self._random.randrange(256)
        return bytes(spoilt)

    def _deep(self, _: bytes) -> bytes:
        depth = self._random.choice((10, 1_000, 20_000))
        return b"[" * depth if self._random.random() < 0.5 else b'{"rows":' * depth + b"1" + b"}" * depth


def _answer(door: socket.socket, *, head_alone: bool) -> tuple[int, bool]:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = door.recv(65_536)
        if not piece:
            raise ValueError("closed")
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    lower = head.lower()
    length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while not head_alone and len(body) < length:
        piece = door.recv(65_536)
        if not piece:
            raise ValueError("closed")
        body += piece
    return int(head[9:12]), b"connection: close" not in lower and b"content-length" in lower
