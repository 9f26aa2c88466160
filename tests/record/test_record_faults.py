"""What a user meets when the record's place is wrong, held, full, damaged or newer."""

import multiprocessing
import resource
import sqlite3
import subprocess
import sys
import textwrap

import pytest
import sqlalchemy as sa

from everloop.core.errors import (
    MissingExtra,
    OutsideFault,
    RecordBusy,
    RecordUnreachable,
    StorageFull,
    UsageFault,
)
from everloop.record import RecordTooNew, RunRow, open_record
from everloop.record.tables import METADATA, REVISIONS, VERSION_TABLE
from everloop.testing.record_suite import NOON


@pytest.mark.parametrize(
    "url",
    ["", "record.db", "mysql://me:secret@host/x", "sqlite://", "sqlite:///:memory:", "sqlite+aio:///x.db"],
)
def test_an_unknown_address_is_refused_without_its_password(url):
    with pytest.raises(UsageFault, match="not the address of a record") as caught:
        open_record(url)
    assert "secret" not in str(caught.value)
    assert "sqlite:///" in caught.value.hint


def test_a_file_that_is_no_record(tmp_path):
    path = tmp_path / "record.db"
    path.write_bytes(b"these are no pages of SQLite" * 500)
    with pytest.raises(OutsideFault, match=r"record\.db is not a record") as caught:
        open_record(f"sqlite:///{path}")
    assert not caught.value.retryable
    assert path.read_bytes().startswith(b"these")


def test_a_folder_where_the_file_should_be(tmp_path):
    (tmp_path / "record.db").mkdir()
    with pytest.raises(OutsideFault, match="cannot be opened"):
        open_record(f"sqlite:///{tmp_path}/record.db")


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "place").write_text("")
    with pytest.raises(OutsideFault, match="place"):
        open_record(f"sqlite:///{tmp_path}/place/record.db")


def test_a_truncated_record(tmp_path):
    path = tmp_path / "record.db"
    with open_record(f"sqlite:///{path}") as record:
        record.add(RunRow("run_1", "flights", NOON))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(OutsideFault, match=r"record\.db"), open_record(f"sqlite:///{path}") as record:
        record.find(RunRow)


def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/record.db"
    open_record(url).close()
    with sqlite3.connect(tmp_path / "record.db") as raw:
        raw.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    raw.close()
    with pytest.raises(RecordTooNew, match=r"'9999'.*newer Everloop") as caught:
        open_record(url)
    assert caught.value.hint == "pip install --upgrade everloop"


def test_a_record_that_another_process_holds_is_named(tmp_path):
    path = tmp_path / "record.db"
    open_record(f"sqlite:///{path}").close()
    script = f"""
        import sqlite3, sys
        connection = sqlite3.connect({str(path)!r}, isolation_level=None)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("CREATE TABLE held (x)")
        print("held", flush=True)
        sys.stdin.read()
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(RecordBusy, match=r"record\.db; waited 0\.\d s"),
            open_record(f"sqlite:///{path}", wait=0.3) as record,
        ):
            record.add(RunRow("run_1", "flights", NOON))
    finally:
        holder.communicate()
    with open_record(f"sqlite:///{path}") as record:
        record.add(RunRow("run_1", "flights", NOON))


def _fill(path, answers):
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open_record(f"sqlite:///{path}") as record:
        record.add(RunRow("run_1", "flights", NOON))
        size = sum(file.stat().st_size for file in path.parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            for number in range(2, 200):
                record.add(RunRow(f"run_{number}", "flights", NOON, facts={"x": "x" * 20_000}))
        except Exception as error:  # noqa: BLE001  (told to the test)
            answers.put((type(error).__name__, str(error)))


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_fill, args=(tmp_path / "record.db", answers))
    process.start()
    name, message = answers.get(timeout=30)
    process.join()
    assert name == StorageFull.__name__, message
    assert "record.db" in message
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        assert record.get(RunRow, "run_1").id == "run_1"
        assert {row.id for row in record.find(RunRow)} == {
            f"run_{i + 1}" for i in range(len(record.find(RunRow)))
        }


def test_a_server_that_is_not_there():
    pytest.importorskip("psycopg")
    with pytest.raises(RecordUnreachable, match=r"127\.0\.0\.1:9.*does not answer") as caught:
        open_record("postgresql://me:secret@127.0.0.1:9/x")
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there(postgres):
    with pytest.raises(RecordUnreachable, match="nowhere"):
        open_record(postgres.url("nowhere"))


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra) as caught:
        open_record("postgresql://me@127.0.0.1:9/x")
    assert caught.value.hint == "pip install 'everloop[postgresql]'"


def test_an_error_of_another_database_inside_a_transaction_stays_what_it_is(tmp_path):
    other = sa.create_engine("sqlite://")
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        with pytest.raises(sa.exc.OperationalError, match="nothing_there"), record.transaction():  # noqa: PT012
            record.add(RunRow("run_1", "flights", NOON))
            with other.connect() as connection:
                connection.execute(sa.text("SELECT * FROM nothing_there"))
        assert record.find(RunRow) == []
    other.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{tmp_path}/migrated.db")
    else:
        url = request.getfixturevalue("postgres").new_database()
        made = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


def test_the_migrations_make_the_present_tables(engine):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from everloop.record.format import migrate

    with engine.begin() as connection:
        migrate(connection)
        stored = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one()
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, METADATA) == []
    assert stored == REVISIONS[-1]


def test_the_revisions_are_those_of_the_migrations():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "everloop.record:migrations")
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == REVISIONS


def test_an_older_format_is_migrated(tmp_path, monkeypatch):
    """A record of a format before the present one: here the present one is made the older one."""
    import shutil

    from everloop.record import format as record_format

    url = f"sqlite:///{tmp_path}/record.db"
    with open_record(url) as record:
        record.add(RunRow("run_1", "flights", NOON))
    folder = tmp_path / "migrations"
    shutil.copytree(record_format.MIGRATIONS, folder)
    (folder / "versions" / "v0002.py").write_text(
        textwrap.dedent("""
            import sqlalchemy as sa
            from alembic import op

            revision = "0002"
            down_revision = "0001"


            def upgrade():
                op.create_table("everloop_later", sa.Column("id", sa.Text, primary_key=True))
        """)
    )
    monkeypatch.setattr(record_format, "MIGRATIONS", folder)
    monkeypatch.setattr(record_format, "REVISIONS", ("0001", "0002"))
    with open_record(url) as record:
        assert record.get(RunRow, "run_1").id == "run_1"
    with sqlite3.connect(tmp_path / "record.db") as raw:
        assert raw.execute("SELECT count(*) FROM everloop_later").fetchone() == (0,)
        assert raw.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall() == [("0002",)]
    raw.close()


def test_opening_an_up_to_date_record_does_not_load_alembic(tmp_path):
    url = f"sqlite:///{tmp_path}/record.db"
    open_record(url).close()
    script = (
        "import sys, everloop.record as r; assert 'sqlalchemy' not in sys.modules and 'polars' not in sys.modules;"
        "r.open_record(sys.argv[1]).close(); assert 'sqlalchemy' in sys.modules; assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, url], check=True)


def test_every_commit_is_on_the_disk_and_ahead(tmp_path):
    with open_record(f"sqlite:///{tmp_path}/record.db") as record, record._engine.connect() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
