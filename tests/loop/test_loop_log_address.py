"""A prediction log's topic is held to its form before anything is done."""

import pytest

from everloop.loop.support import refusals
from everloop.spec import parse

FILE = "name: a\nproblem: {target: y}\ndata: {sources: {rows: {file: rows.csv}}}\ndeploy: {log: {to: 'ADDRESS'}}\n"


@pytest.mark.parametrize(
    "address",
    ["kafka://", "kafka://host", "kafka://host:9092/", "ftp://host:9092/log", "kafka://me:no@host:9092/log"],
)
def test_an_address_that_is_no_topic_is_refused_without_being_repeated(address: str) -> None:
    (fault,) = refusals(parse(FILE.replace("ADDRESS", address)))
    assert fault.place == "deploy.log.to"
    assert address not in str(fault)


def test_a_topic_is_taken() -> None:
    assert refusals(parse(FILE.replace("ADDRESS", "kafka://a:9092,b:9092/loans"))) == []
