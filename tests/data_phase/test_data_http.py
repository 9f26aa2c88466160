"""HTTP APIs: every way of paging and of saying who asks, against a real server that fails in every way."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import OutsideFault, SourceUnreachable, SourceUnreadable, SpecFault
from everloop.data.sources import Surroundings, open_source
from everloop.spec import HttpSource, parse
from everloop.testing.incremental_source_suite import IncrementalSourceSuite
from everloop.testing.source_suite import SourceSuite, example_table

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
TOKEN = "geheim-4711"
SIZE = 20


class ApiServer:
    """An API whose rows, ways and failures a test sets; each request is remembered."""

    def __init__(self):
        self.rows = []
        self.way = "next"
        self.wrap = None
        self.down = False
        self.failures = {}
        self.token = None
        self.tokens_given = 0
        self.requests = []
        self.headers = []
        self.closing = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                api.get(self)

            def do_POST(self):
                api.post(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *args: None
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}/scores"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def get(self, handler):
        query = dict(parse_qsl(urlsplit(handler.path).query))
        self.requests.append(query)
        self.headers.append(dict(handler.headers))
        place = self.place(query)
        fails = self.failures.get(place, [])
        if self.down or fails:
            FAILURES[fails.pop(0) if fails else "500"](self, handler)
        elif self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            answer(handler, 401, b"{}")
        else:
            self.page(handler, query, place)

    def post(self, handler):
        body = dict(parse_qsl(handler.rfile.read(int(handler.headers["Content-Length"])).decode()))
        pair = base64.b64encode(b"client:geheim-9").decode()
        if handler.headers["Authorization"] == f"Basic {pair}" and body["grant_type"] == "client_credentials":
            self.tokens_given += 1
            self.token = f"token-{self.tokens_given}-{body.get('scope')}"
            answer(handler, 200, json.dumps({"access_token": self.token}).encode())
        else:
            answer(handler, 400, b'{"error": "invalid_client"}')

    def place(self, query):
        """Gives the number of the first row that is asked for."""
        if self.way == "page":
            return (int(query.get("page", 1)) - 1) * SIZE
        return int(query.get({"offset": "skip", "cursor": "after"}.get(self.way, "start"), 0))

    def page(self, handler, query, place):
        rows = [row for row in self.rows if row["id"] >= int(query.get("since", -1))]
        part, rest = rows[place : place + SIZE], rows[place + SIZE :]
        more = urlencode({**query, "start": place + SIZE})
        headers, body = {}, {"items": part}
        if self.way == "next":
            body["links"] = {"next": f"/scores?{more}" if rest else None}
        elif self.way == "link" and rest:
            headers["Link"] = f'<{self.url}?{more}>; rel="next", <{self.url}>; rel="first"'
        elif self.way == "cursor" and rest:
            body["meta"] = {"next": str(place + SIZE)}
        body = self.wrap(body) if self.wrap else body
        answer(handler, 200, json.dumps(body).encode(), headers)


def answer(handler, status, content, headers=None):
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def cut(api, handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"items": [')


def later(seconds):
    return lambda api, handler: answer(
        handler, 429, b"", {"Retry-After": format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)}
    )


# What goes wrong -> how the server does it.
FAILURES = {
    "429": lambda api, handler: answer(handler, 429, b"slow down", {"Retry-After": "7"}),
    "429 until": later(30),
    "500": lambda api, handler: answer(handler, 500, b"<h1>sorry</h1>"),
    "503": lambda api, handler: answer(handler, 503, b""),
    "never": lambda api, handler: api.closing.wait(20),
    "cut": cut,
    "gone": lambda api, handler: handler.connection.close(),
    "html": lambda api, handler: answer(handler, 200, f"<html>{TOKEN}".encode()),
    "half": lambda api, handler: answer(handler, 200, b'{"items": [{"id": 1}, {"id":'),
    "empty": lambda api, handler: answer(handler, 200, b""),
    "404": lambda api, handler: answer(handler, 404, b"{}"),
    "403": lambda api, handler: answer(handler, 403, b"{}"),
    "moved": lambda api, handler: answer(handler, 301, b"", {"Location": "https://elsewhere.example/x?k=1"}),
}
# Failure -> what the final error says; the first ones are tried again.
PASSING = {
    "429": "answers 429 Too Many Requests",
    "429 until": "answers 429 Too Many Requests",
    "500": "answers 500 Internal Server Error",
    "503": "answers 503 Service Unavailable",
    "never": "is not there after 0.25 s",
    "cut": "does not come",
    "gone": "does not come",
}
LASTING = {
    "html": r"is no JSON: .*it begins with '<html>\*\*\*'",
    "half": "is no JSON: Expecting value",
    "empty": "is no JSON",
    "404": "answers 404 Not Found",
    "403": "answers 403 Forbidden",
    "moved": "answers 301 .*, which leads to https://elsewhere.example/x",
}
PAGES = {
    "next": {"next": "links.next"},
    "link": {"link": "next"},
    "page": {"page": "page", "size": SIZE},
    "offset": {"offset": "skip"},
    "cursor": {"cursor": "after", "place": "meta.next"},
}


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setenv("TEST_TOKEN", TOKEN)
    with ApiServer() as served:
        yield served


def as_rows(table):
    return table.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_dicts()


def spec_of(api, **fields):
    fields = {"pages": PAGES[api.way], "auth": "env:TEST_TOKEN", "timeout": "20s", **fields}
    return HttpSource.model_validate({"http": api.url, **fields})


def open_api(api, folder, *, clock=None, progress=None, **fields):
    more = {"progress": progress} if progress else {}
    around = Surroundings(folder=folder, clock=clock or SimulatedClock(NOON), kept=folder / "kept", **more)
    return open_source("http", spec_of(api, **fields), around)


def read(source, folder):
    scratch = folder / "scratch"
    scratch.mkdir()
    return pl.concat([pl.read_parquet(file) for file in source.read(scratch).files])


class HttpSuite:
    kind = "http"
    secrets = (TOKEN,)
    loose: ClassVar = {"at": "JSON has no times"}
    waits = True
    way: ClassVar = "next"

    @pytest.fixture(autouse=True)
    def _api(self, api):
        self.api = api
        api.way = self.way

    def offer(self, table, folder):
        if not table.height:
            pytest.skip("JSON without rows has no columns")
        self.api.rows = as_rows(table)
        return spec_of(self.api)

    def withdraw(self, folder):
        self.api.down = True

    def restore(self, folder):
        self.api.down = False

    def test_many_rows_come_once_each(self, tmp_path):
        found = self.rows(self.open(example_table(2_000), tmp_path), tmp_path / "scratch")
        assert found["id"].sort().to_list() == list(range(2_000))


class TestByAddress(HttpSuite, IncrementalSourceSuite):
    def offer_incremental(self, table, folder):
        return self.offer(table, folder).model_copy(update={"cursor": "id", "since": "since"})

    def append(self, table, folder):
        self.api.rows += as_rows(table)


class TestByOffset(HttpSuite, SourceSuite):
    way = "offset"


def patience(failure):
    return "250ms" if failure == "never" else "20s"


@pytest.mark.parametrize("way", PAGES)
@pytest.mark.parametrize("failure", PASSING)
def test_what_passes_is_tried_again(api, tmp_path, way, failure):
    """Twice on the second page; then every row is there once."""
    api.way, api.rows = way, [{"id": i} for i in range(50)]
    api.failures[SIZE] = [failure, failure]
    clock, told = SimulatedClock(NOON), []
    source = open_api(api, tmp_path, clock=clock, progress=told.append, timeout=patience(failure))
    assert read(source, tmp_path)["id"].to_list() == list(range(50))
    assert clock.now() - NOON == timedelta(seconds={"429": 14, "429 until": 32}.get(failure, 3))
    assert sum(event.kind == "notice" for event in told) == 2


@pytest.mark.parametrize("way", PAGES)
@pytest.mark.parametrize("failure", [*PASSING, *LASTING])
def test_what_stays_ends_with_an_error_that_names_the_page(api, tmp_path, way, failure):
    """Nothing of a reading that failed is kept, and no secret is told."""
    api.way, api.rows = way, [{"id": i} for i in range(50)]
    api.failures[SIZE] = [failure] * 9
    source = open_api(api, tmp_path, timeout=patience(failure))
    with pytest.raises(OutsideFault, match={**PASSING, **LASTING}[failure]) as caught:
        source.fingerprint()
    assert isinstance(caught.value, SourceUnreachable) == (failure in PASSING)
    assert caught.value.message.startswith(f"Page 2 of {api.url} ")
    assert caught.value.message.endswith("Tried 4 times.") == (failure in PASSING)
    assert TOKEN not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert len(api.requests) == (5 if failure in PASSING else 2)
    api.failures.clear()
    assert source.fingerprint()["rows"] == 50


def test_only_newer_rows_are_asked_for(api, tmp_path):
    api.rows = [{"id": i} for i in range(50)]
    source = open_api(api, tmp_path, cursor="id", since="since")
    assert source.fingerprint()["position"] == {"cursor": "id", "type": "integer", "last": "49"}
    api.requests.clear()
    api.rows += [{"id": i} for i in (49, 50, 51)]
    found = read(open_api(api, tmp_path, cursor="id", since="since"), tmp_path)
    assert [request.get("since") for request in api.requests] == ["49"]
    assert Counter(found["id"].to_list()) == Counter([*range(52), 49])


def test_without_since_new_rows_are_found_among_all(api, tmp_path):
    api.rows = [{"id": i, "note": "a"} for i in range(50)]
    open_api(api, tmp_path, cursor="id").fingerprint()
    api.rows += [{"id": 7, "note": "late"}, {"id": 50, "note": "a"}]
    found = read(open_api(api, tmp_path, cursor="id"), tmp_path)
    assert Counter(found["id"].to_list()) == Counter([*range(51), 7])


def test_late_goes_back_in_time(api, tmp_path):
    api.place = lambda query: 0
    api.page = lambda handler, query, place: answer(
        handler, 200, json.dumps([{"id": 1, "at": "2013-05-01T12:00:00Z"}]).encode()
    )
    open_api(api, tmp_path, pages=None, cursor="at", since="from", late="1h").fingerprint()
    open_api(api, tmp_path, pages=None, cursor="at", since="from", late="1h").fingerprint()
    assert [request.get("from") for request in api.requests] == [None, "2013-05-01T11:00:00Z"]
    api.rows = [{"id": 1}]
    del api.page, api.place
    source = open_api(api, tmp_path, cursor="id", since="from", late="1h")
    source.fingerprint()
    with pytest.raises(SpecFault, match="the cursor id is '1', which is no time"):
        source.fingerprint()


@pytest.mark.parametrize(
    ("auth", "header", "sent"),
    [
        ("env:TEST_TOKEN", "Authorization", f"Bearer {TOKEN}"),
        ({"bearer": "env:TEST_TOKEN"}, "Authorization", f"Bearer {TOKEN}"),
        (
            {"user": "me", "password": "env:TEST_TOKEN"},
            "Authorization",
            f"Basic {base64.b64encode(f'me:{TOKEN}'.encode()).decode()}",
        ),
        ({"header": "X-Api-Key", "value": "env:TEST_TOKEN"}, "X-Api-Key", TOKEN),
        (None, "Authorization", None),
    ],
)
def test_who_asks(api, tmp_path, auth, header, sent):
    api.rows = [{"id": 1}]
    open_api(api, tmp_path, auth=auth).fingerprint()
    assert api.headers[0].get(header) == sent


def test_oauth_asks_for_a_token_and_for_another_when_it_has_expired(api, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_SECRET", "geheim-9")
    api.rows, api.token = [{"id": i} for i in range(50)], "none yet"
    auth = {"token": api.url, "client": "client", "secret": "env:TEST_SECRET", "scope": "scores"}
    source = open_api(api, tmp_path, auth=auth)
    assert source.fingerprint()["rows"] == 50
    assert api.tokens_given == 1
    expire = FAILURES["expire"] = lambda api, handler: (
        setattr(api, "token", "other"),
        answer(handler, 401, b""),
    )
    try:
        api.failures[SIZE] = ["expire"]
        assert source.fingerprint()["rows"] == 50
    finally:
        del FAILURES["expire"], expire
    assert api.tokens_given == 3
    monkeypatch.setenv("TEST_SECRET", "geheim-wrong")
    with pytest.raises(SourceUnreadable, match="gives no token: it answers 400") as caught:
        open_api(api, tmp_path, auth=auth).fingerprint()
    assert "geheim" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("rows", "wrap"),
    [
        (None, lambda body: body["items"]),
        (None, lambda body: {**body, "count": 3}),
        ("data.items", lambda body: {"data": {**body, "errors": []}, "links": body["links"]}),
        ("0.items", lambda body: [body]),
    ],
)
def test_where_the_rows_are(api, tmp_path, rows, wrap):
    api.rows, api.wrap = [{"id": 1}, {"id": 2, "more": {"a": [1]}}], wrap
    found = read(open_api(api, tmp_path, rows=rows), tmp_path)
    assert found.rows() == [(1, None), (2, '{"a": [1]}')]


@pytest.mark.parametrize(
    ("rows", "wrap", "said"),
    [
        (None, lambda body: {"a": [], "b": []}, "has 2 lists where one was expected; lists are a, b"),
        (None, lambda body: {"error": "no"}, "has 0 lists where one was expected; it has error"),
        ("data.items", lambda body: body, "has no list at data.items"),
        (None, lambda body: [{"id": 1}, 2], r"has a int at the answer\[1\] where an object belongs"),
        (None, lambda body: 7, "has no list at the answer"),
    ],
)
def test_where_no_rows_are(api, tmp_path, rows, wrap, said):
    api.rows, api.wrap = [{"id": 1}], wrap
    with pytest.raises(SourceUnreadable, match=f"Page 1 of .* {said}"):
        open_api(api, tmp_path, rows=rows).fingerprint()


def test_fields_come_go_and_change_their_type(api, tmp_path):
    api.rows = [
        {"id": i, **({"a": i} if i < 20 else {"a": "x", "b": 1.5} if i < 40 else {})} for i in range(50)
    ]
    found = read(open_api(api, tmp_path), tmp_path)
    assert found.schema == {"id": pl.Int64, "a": pl.String, "b": pl.Float64}
    assert found["a"].to_list() == [*map(str, range(20)), *["x"] * 20, *[None] * 10]


def test_the_next_page_is_on_the_same_host(api, tmp_path):
    api.rows = [{"id": 1}]
    api.wrap = lambda body: {**body, "links": {"next": "https://evil.example/scores"}}
    with pytest.raises(SourceUnreadable, match=r"on another host, evil.example"):
        open_api(api, tmp_path).fingerprint()


def test_pages_that_go_round_are_noticed(api, tmp_path):
    api.rows = [{"id": i} for i in range(50)]
    api.wrap = lambda body: {**body, "links": {"next": "/scores?start=20"}}
    with pytest.raises(SourceUnreadable, match=r"Page 3 .* the pages go round"):
        open_api(api, tmp_path).fingerprint()
    api.place = lambda query: 0
    with pytest.raises(SourceUnreadable, match=r"Page 2 .* the pages go round"):
        open_api(api, tmp_path, pages={"page": "number"}).fingerprint()


def test_a_cursor_needs_a_value_of_one_type(api, tmp_path):
    api.rows = [{"id": 1, "at": None}]
    with pytest.raises(SourceUnreadable, match="cursor at is missing in some rows"):
        open_api(api, tmp_path, cursor="at").fingerprint()
    api.rows = [{"id": 1, "at": 5}, {"id": 2, "at": "x"}]
    with pytest.raises(SourceUnreadable, match="a cursor at of several types: int, str"):
        open_api(api, tmp_path, cursor="at").fingerprint()


def test_from_the_lifecycle_file_to_a_snapshot(api, tmp_path):
    from everloop import data

    api.rows = [{"id": i, "score": i / 2, "paid": "yes"} for i in range(45)]
    spec = parse(
        f"""
name: bureau
problem: {{target: paid}}
data:
  sources:
    bureau: {{http: "{api.url}", pages: {{next: links.next}}, auth: env:TEST_TOKEN, cursor: id, since: since}}
""",
        tmp_path,
    )
    taken = data.snapshot(spec, tmp_path / "snapshots", NOON)
    assert taken.rows == 45
    assert taken.sources["bureau"]["position"] == {"cursor": "id", "type": "integer", "last": "44"}
    assert not [path for path in tmp_path.rglob("*.json") if TOKEN in path.read_text()]
