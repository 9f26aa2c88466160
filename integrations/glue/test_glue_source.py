# ruff: noqa: ARG002, D101, D102, D103, INP001, S101
"""Tables of a Glue Data Catalog, with their files on S3, both served by moto on this machine."""

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from everloop.cli import main
from everloop.core.errors import SourceUnreachable, SourceUnreadable, SpecFault
from everloop.data.sources import Surroundings, open_source
from everloop.spec import GlueSource, parse
from everloop.testing.source_suite import SourceSuite

KEY, SECRET = "AKIDEXAMPLE", "secret-of-the-tests"
LIBRARIES = {
    "parquet": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "json": "org.openx.data.jsonserde.JsonSerDe",
    "csv": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    "orc": "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
}
HIVE = {
    pl.Int64: "bigint",
    pl.Float64: "double",
    pl.String: "string",
    pl.Boolean: "boolean",
    pl.Datetime("us", "UTC"): "timestamp",
}


@pytest.fixture(scope="module")
def aws():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def lake(aws, monkeypatch):
    monkeypatch.setenv("LAKE_SECRET", SECRET)
    return Lake(aws)


class Lake:
    """A catalog with one database over one bucket, both empty."""

    def __init__(self, address):
        given = {
            "endpoint_url": address,
            "region_name": "eu-west-1",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
        }
        self.address = address
        self.glue, self.s3 = boto3.client("glue", **given), boto3.client("s3", **given)
        if not self.s3.list_buckets()["Buckets"]:
            self.s3.create_bucket(
                Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
            self.glue.create_database(DatabaseInput={"Name": "lake"})
        self.drop()

    def drop(self):
        for item in self.s3.list_objects_v2(Bucket="lake").get("Contents", ()):
            self.s3.delete_object(Bucket="lake", Key=item["Key"])
        for table in self.glue.get_tables(DatabaseName="lake")["TableList"]:
            self.glue.delete_table(DatabaseName="lake", Name=table["Name"])

    def put(self, key, content):
        self.s3.put_object(Bucket="lake", Key=key, Body=content)

    def create(self, columns, keys=None, kind="parquet", parameters=None):
        self.glue.create_table(
            DatabaseName="lake",
            TableInput={
                "Name": "loans",
                "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in (keys or {}).items()],
                "Parameters": parameters or {},
                "StorageDescriptor": self._storage("loans", columns, kind),
            },
        )

    def partition(self, values, folder, columns, kind="parquet"):
        self.glue.create_partition(
            DatabaseName="lake",
            TableName="loans",
            PartitionInput={"Values": values, "StorageDescriptor": self._storage(folder, columns, kind)},
        )

    @staticmethod
    def _storage(folder, columns, kind):
        return {
            "Location": f"s3://lake/{folder}/",
            "Columns": [{"Name": name, "Type": type_} for name, type_ in columns.items()],
            "SerdeInfo": {"SerializationLibrary": LIBRARIES[kind]},
        }

    @property
    def options(self):
        return {"key": KEY, "secret": "env:LAKE_SECRET", "endpoint_url": self.address}

    def source(self, folder, table="lake.loans", **changes):
        options = {**self.options, **changes}
        spec = GlueSource.model_validate({"glue": table, "region": "eu-west-1", "options": options})
        return open_source("glue", spec, Surroundings(folder=folder))

    def read(self, folder):
        scratch = folder / "scratch"
        scratch.mkdir()
        return pl.concat([pl.read_parquet(file) for file in self.source(folder).read(scratch).files])


def parquet(table, tmp_path):
    table.write_parquet(tmp_path / "rows.parquet")
    return (tmp_path / "rows.parquet").read_bytes()


class TestGlue(SourceSuite):
    kind = "glue"
    secrets = (SECRET,)

    @pytest.fixture(autouse=True)
    def lake(self, lake):
        self.catalog = lake

    def offer(self, table, folder):
        self.catalog.drop()
        self.catalog.put("loans/part-0.snappy.parquet", parquet(table, folder))
        self.catalog.put("loans/_SUCCESS", b"")
        self.catalog.create({name: HIVE[dtype] for name, dtype in table.schema.items()})
        return GlueSource.model_validate(
            {"glue": "lake.loans", "region": "eu-west-1", "options": self.catalog.options}
        )

    def withdraw(self, folder):
        self.catalog.drop()


def test_partitions_come_in_order_with_their_values_as_the_catalogs_types(lake, tmp_path):
    columns = {"id": "int", "amount": "decimal(10,2)", "paid_at": "timestamp", "later": "string"}
    lake.create(columns, {"year": "int", "land": "string"})
    rows = pl.DataFrame(
        {"ID": ["1", "2"], "amount": ["1.50", None], "paid_at": ["2026-01-02 03:04:05", None]}
    )
    for year, land in (("2026", "at"), ("2025", "de"), ("2025", "__HIVE_DEFAULT_PARTITION__")):
        folder = f"loans/{year}/{land}"
        lake.put(f"{folder}/rows.parquet", parquet(rows, tmp_path))
        lake.partition([year, land], folder, columns)
    found = lake.read(tmp_path)
    assert found.schema == {
        "id": pl.Int64,
        "amount": pl.Float64,
        "paid_at": pl.Datetime("us", "UTC"),
        "later": pl.String,
        "year": pl.Int64,
        "land": pl.String,
    }
    assert found["year"].to_list() == [2025, 2025, 2025, 2025, 2026, 2026]
    assert found["land"].to_list() == [None, None, "de", "de", "at", "at"]
    assert found["amount"].to_list() == [1.5, None] * 3
    assert found["paid_at"].dt.epoch("s").to_list() == [1767323045, None] * 3
    assert found["later"].null_count() == 6


@pytest.mark.parametrize(
    ("kind", "name", "content", "parameters"),
    [
        ("json", "rows.json", b'{"id": 1, "work": "shop"}\n{"id": 2, "work": null}\n', {}),
        ("csv", "rows.csv", b"id,work\n1,shop\n2,\n", {"skip.header.line.count": "1"}),
    ],
)
def test_text_is_read_as_the_catalog_says(lake, tmp_path, kind, name, content, parameters):
    lake.put(f"loans/{name}", content)
    lake.create({"id": "double", "work": "varchar(20)"}, kind=kind, parameters=parameters)
    assert lake.read(tmp_path).rows() == [(1.0, "shop"), (2.0, None)]


def test_what_cannot_be_read_is_named(lake, tmp_path):
    lake.put("loans/rows.csv", b"1,shop\n")
    lake.create({"id": "bigint"}, kind="csv")
    with pytest.raises(SpecFault, match="CSV without a header line"):
        lake.source(tmp_path).fingerprint()
    lake.drop()
    lake.create({"id": "bigint"}, kind="orc")
    with pytest.raises(SpecFault, match=r"written by org.apache.hadoop.hive.ql.io.orc.OrcSerde"):
        lake.source(tmp_path).fingerprint()
    lake.drop()
    with pytest.raises(SourceUnreachable, match=r"has no table lake\.loans"):
        lake.source(tmp_path).fingerprint()
    with pytest.raises(SpecFault, match=r"written database\.table"):
        lake.source(tmp_path, table="loans").fingerprint()
    with pytest.raises(SourceUnreachable, match="EndpointConnectionError"):
        lake.source(tmp_path, endpoint_url="http://127.0.0.1:9").fingerprint()


def test_a_file_that_is_not_what_the_catalog_says_is_named(lake, tmp_path):
    lake.put("loans/rows.parquet", parquet(pl.DataFrame({"id": ["one"]}), tmp_path))
    lake.create({"id": "bigint"})
    with pytest.raises(SourceUnreadable, match="does not hold what the catalog says of lake"):
        lake.read(tmp_path)


def test_a_lifecycle_reads_a_table_of_the_catalog(lake, tmp_path, capsys):
    """Through the front door, with secrets from the environment."""
    rows = pl.DataFrame(
        {"id": range(60), "debt": [float(i % 7) for i in range(60)], "bad": ["no", "yes"] * 30}
    )
    lake.put("loans/rows.parquet", parquet(rows, tmp_path))
    lake.create({"id": "bigint", "debt": "double", "bad": "string"})
    text = (
        "name: loans\nproblem: {target: bad}\ndata:\n  sources:\n    loans:\n      glue: lake.loans\n"
        f"      region: eu-west-1\n      options: {{key: {KEY}, secret: env:LAKE_SECRET, "
        f"endpoint_url: '{lake.address}'}}\n"
    )
    (tmp_path / "everloop.yaml").write_text(text)
    assert parse(text, tmp_path).data.sources["loans"].glue == "lake.loans"
    status = main(["run", "--until", "data", "--file", str(tmp_path / "everloop.yaml"), "--json"])
    shown = capsys.readouterr()
    assert status == 0, shown.err
    assert SECRET not in shown.out + shown.err
