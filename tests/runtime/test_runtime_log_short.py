"""Lines that do not name their columns: their frames do, and what is read is the same."""

import pytest

from everloop.runtime.log import PredictionLog, read_log
from everloop.runtime.log.lines import encode_line
from everloop.runtime.log.privacy import Privacy
from everloop.runtime.log.segment import framed, header, pieces, read_lines
from everloop.runtime.log.short_lines import MOST_NAMED, NO_NAMES, TAG, ColumnNames
from everloop.runtime.log.together import apart, decode_together, together

from .test_runtime_log import line, segments, write, write_apart

NAMES = tuple(line(0).row)


def short(number, columns=0, **changes):
    whole = line(number, **changes)
    row = tuple(whole.row.values())
    told = (whole.score, whole.prediction, whole.latency_us, whole.chance)
    return (TAG, whole.id, whole.time, whole.version, whole.arm, columns, row, *told)


def test_a_short_line_is_read_as_the_whole_one(tmp_path):
    several = {"score": (0.1, 0.7), "prediction": ("a", "b"), "chance": 0.5, "arm": "challenger"}
    with PredictionLog(tmp_path / "short") as log:
        assert log.number_of(NAMES) == log.number_of((*NAMES,)) == 0
        for item in (short(1), line(2), short(3, **several)):
            log.append(item)
    write(tmp_path / "whole", [line(1), line(2), line(3, **several)])
    assert read_log(tmp_path / "short").predictions.equals(read_log(tmp_path / "whole").predictions)


def test_what_messagepack_cannot_hold_is_kept_as_near_as_in_a_whole_line(tmp_path):
    deep = []
    for _ in range(20_000):
        deep = [deep]
    row = {"n": 2**64, "t": "\ud800", "deep": deep}
    with PredictionLog(tmp_path / "short") as log:
        log.number_of(tuple(row))
        log.append(short(1, row=row))
    write(tmp_path / "whole", [line(1, row=row)])
    found = read_log(tmp_path / "short").predictions
    assert found.equals(read_log(tmp_path / "whole").predictions)
    assert found["row"][0].startswith('{"n":1.8446744073709552e19,"t":')
    assert "..." in found["row"][0]


def test_each_frame_says_the_names_for_itself(tmp_path):
    with PredictionLog(tmp_path) as log:
        log.number_of(NAMES)
        for number in range(4):
            log.append(short(number))
            log.flush()
    (path,) = segments(tmp_path)
    content = bytearray(path.read_bytes())
    _, begin, end = list(pieces(bytes(content), len(header("0"))))[1]
    content[begin + 2 : begin + 30] = bytes(28)  # its length too: what follows is found by its looks
    path.write_bytes(bytes(content))
    found = read_lines(path, 0)
    assert found.lines == [line(0), line(2), line(3)]
    assert found.gaps == ((begin, end),)


def test_names_that_come_later_do_not_change_the_numbers_of_those_before(tmp_path):
    with PredictionLog(tmp_path) as log:
        assert log.number_of(NAMES) == 0
        log.append(short(1))
        assert log.number_of(("a",)) == 1
        log.append(short(2, columns=1, row={"a": 5}))
        assert log.number_of(NAMES) == 0
    (path,) = segments(tmp_path)
    assert read_lines(path, 0).lines == [line(1), line(2, row={"a": 5})]


def test_a_log_knows_a_few_lists_of_names_and_no_others():
    names = ColumnNames()
    assert [names.number((f"c{place}",)) for place in range(MOST_NAMED + 2)] == [
        *range(MOST_NAMED),
        None,
        None,
    ]
    assert names.number(("c0",)) == 0


def test_a_name_that_messagepack_cannot_hold_gets_no_number():
    names = ColumnNames()
    assert names.number(("\ud800",)) is None
    assert names.encoded == NO_NAMES
    assert names.number(("a",)) == 0


def test_lines_are_told_apart_without_the_names():
    names = ColumnNames()
    names.number(NAMES)
    encoded = [encode_line(short(1)), encode_line(line(2))]
    payload = together(encoded, names.encoded)
    assert apart(payload) == encoded
    assert decode_together(payload) == [line(1), line(2)]


@pytest.mark.parametrize("columns", [1, 7])
def test_a_line_whose_names_no_frame_says_is_refused(columns):
    names = ColumnNames()
    names.number(NAMES)
    with pytest.raises(KeyError):
        decode_together(together([encode_line(short(1, columns=columns))], names.encoded))


def test_a_payload_without_names_is_none():
    with pytest.raises(ValueError, match="names of columns"):
        decode_together(b"\xdd\x00\x00\x00\x01" + encode_line(line(1)))


def test_a_frame_of_a_new_writer_says_its_own_names(tmp_path):
    for number, row in enumerate(({"a": 1}, {"b": 2})):
        with PredictionLog(tmp_path) as log:
            assert log.number_of(tuple(row)) == 0
            log.append(short(number, row=row))
    assert read_log(tmp_path).predictions["row"].to_list() == ['{"a":1}', '{"b":2}']


def test_a_short_line_is_never_kept_where_columns_are_private():
    with pytest.raises(TypeError):
        Privacy({"region": "drop"}, b"").line(short(1))


def test_recovery_counts_lines_and_not_their_names(tmp_path):
    write_apart(tmp_path, [line(n) for n in range(3)])
    with segments(tmp_path)[0].open("ab") as file:
        names = ColumnNames()
        names.number(NAMES)
        file.write(framed([encode_line(short(3))], names.encoded))
    with PredictionLog(tmp_path) as log:
        assert log.recovery.lines == 4
