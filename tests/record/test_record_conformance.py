import pytest

from everloop.record import Record
from everloop.testing.memory_record import MemoryRecord
from everloop.testing.record_suite import DurableRecordSuite, RecordSuite


class TestMemoryRecord(RecordSuite):
    @pytest.fixture
    def record(self):
        return MemoryRecord()

    def test_it_is_a_record(self, record):
        assert isinstance(record, Record)


class TestSqliteRecord(DurableRecordSuite):
    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/a folder/record.db"

    def test_it_is_a_record(self, record):
        assert isinstance(record, Record)


@pytest.fixture(scope="module")
def database(postgres):
    return postgres.new_database()


class TestPostgresqlRecord(DurableRecordSuite):
    @pytest.fixture
    def url(self, postgres, database):
        return postgres.clear(database)
