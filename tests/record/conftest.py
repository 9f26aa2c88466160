from collections.abc import Iterator

import pytest

from everloop.testing.postgres import PostgresServer, programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'everloop[postgresql]'")
    if programs() is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    with PostgresServer(fsync="off") as server:
        yield server
