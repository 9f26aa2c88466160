"""Damage of the prediction log: what is whole is read once, what is lost is said once."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.runtime.log import PredictionLog, read_log, retire, seal
from everloop.runtime.log.lines import encode_line
from everloop.runtime.log.segment import MAGIC, framed, header, pieces, read_lines

from .test_runtime_log import line, segments, write_apart


def written(folder, parts=3, each=4):
    """A log of finished segments with so many lines each, a frame a line, and the ids of each segment."""
    for part in range(parts):
        write_apart(folder, [line(each * part + n) for n in range(each)])
    return [[f"p{each * part + n}" for n in range(each)] for part in range(parts)]


def ids(folder):
    return read_log(folder).predictions["id"].to_list()


def said(folder):
    return [one.sentence() for one in read_log(folder).damage]


def spoil(path, place, length=3):
    content = bytearray(path.read_bytes())
    content[place : place + length] = bytes(byte ^ 0x5A for byte in content[place : place + length])
    path.write_bytes(bytes(content))


def ends(path):
    return [end for _, _, end in pieces(path.read_bytes(), len(MAGIC))]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), noise=st.binary(min_size=1, max_size=300))
def test_damaged_bytes_cost_the_frames_that_they_are_of_and_no_others(tmp_path, place, noise):
    original = [[line(n), line(n + 1)] for n in range(0, 16, 2)]
    written = [framed([encode_line(item) for item in lines]) for lines in original]
    whole = header("0") + b"".join(written)
    place %= len(whole)
    noise = noise[: len(whole) - place]
    content = whole[:place] + noise + whole[place + len(noise) :]
    (tmp_path / "spoiled.seg").write_bytes(content)
    read = read_lines(tmp_path / "spoiled.seg", 0)
    begin, kept = len(header("0")), []
    for lines, frame in zip(original, written, strict=True):
        end = begin + len(frame)
        if content[begin:end] == whole[begin:end]:
            kept += lines
        begin = end
    assert read.lines == kept
    if kept and kept[-1] == original[-1][-1] and content != whole:
        assert len(read.gaps) == 1
        assert read.left == 0


@pytest.mark.parametrize("sealed", [False, True])
def test_a_wrong_checksum_in_the_middle_loses_one_frame_and_is_said(tmp_path, sealed):
    known = written(tmp_path)
    path = segments(tmp_path)[1]
    second = ends(path)[2]
    spoil(path, second - 5)
    if sealed:
        seal(tmp_path)
        assert not path.exists()
    assert ids(tmp_path) == [*known[0], "p4", "p6", "p7", *known[2]]
    assert len(said(tmp_path)) == 1
    assert "predictions-0-00000002 in the prediction log is damaged from byte" in said(tmp_path)[0]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_finished_segment_that_was_cut_short_is_said(tmp_path, sealed):
    known = written(tmp_path)
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-4])
    before = said(tmp_path)
    if sealed:
        seal(tmp_path)
    assert ids(tmp_path) == [*known[0][:-1], *known[1], *known[2]]
    assert said(tmp_path) == before
    assert "predictions-0-00000001 in the prediction log is cut short" in before[0]


def test_what_is_being_written_is_no_damage(tmp_path):
    written(tmp_path, parts=1)
    with segments(tmp_path)[0].open("ab") as file:
        file.write(framed([encode_line(line(9))])[:-3])
    assert said(tmp_path) == []
    with PredictionLog(tmp_path) as log:
        assert log.recovery.lines == 4


def test_a_writer_that_starts_again_keeps_the_lines_behind_damaged_bytes(tmp_path):
    written(tmp_path, parts=1)
    path = segments(tmp_path)[0]
    spoil(path, ends(path)[1] - 5)
    with PredictionLog(tmp_path) as log:
        assert (log.recovery.lines, log.recovery.bytes_dropped) == (3, 0)
        log.append(line(9))
    assert ids(tmp_path) == ["p1", "p2", "p3", "p9"]


def test_a_segment_that_is_missing_between_others_is_said(tmp_path):
    known = written(tmp_path)
    segments(tmp_path)[1].unlink()
    assert ids(tmp_path) == [*known[0], *known[2]]
    assert said(tmp_path) == ["predictions-0-00000002 in the prediction log is missing between others"]


@pytest.mark.parametrize("sealed", [False, True])
def test_an_empty_file_is_said(tmp_path, sealed):
    known = written(tmp_path)
    segments(tmp_path)[1].write_bytes(b"")
    if sealed:
        seal(tmp_path)
    assert ids(tmp_path) == [*known[0], *known[2]]
    assert said(tmp_path) == ["predictions-0-00000002 in the prediction log is an empty file"]


@pytest.mark.parametrize("content", [b"", b"not Parquet at all"])
def test_a_sealed_part_that_cannot_be_read_is_made_again_while_its_segment_is_there(tmp_path, content):
    known = written(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "before")
    seal(tmp_path)
    broken = tmp_path / "predictions-0-00000001.parquet"
    broken.write_bytes(content)
    assert ids(tmp_path) == [*known[1], *known[2]]
    assert "predictions-0-00000001.parquet in the prediction log cannot be read" in said(tmp_path)[0]
    retire(tmp_path, most_bytes=10**9)
    assert broken.exists()
    # Killed between the Parquet file and the removal of the lines: they are read, and sealed again.
    shutil.copy(tmp_path / "before" / "predictions-0-00000001.seg", tmp_path)
    assert ids(tmp_path) == [one for part in known for one in part]
    assert said(tmp_path) == []
    assert broken in seal(tmp_path)
    assert ids(tmp_path) == [one for part in known for one in part]


def test_a_part_that_is_there_as_lines_and_sealed_counts_once(tmp_path):
    known = written(tmp_path)
    lines = segments(tmp_path)[0].read_bytes()
    seal(tmp_path)
    (tmp_path / "predictions-0-00000001.seg").write_bytes(lines)
    assert ids(tmp_path) == [one for part in known for one in part]
    assert seal(tmp_path) == []
    assert not (tmp_path / "predictions-0-00000001.seg").exists()
    assert said(tmp_path) == []


def test_actuals_that_are_gone_are_said_and_the_predictions_are_read(tmp_path):
    known = written(tmp_path)
    seal(tmp_path)
    (tmp_path / "actuals-0-00000002.parquet").unlink()
    (tmp_path / "refusals-0-00000001.parquet").write_bytes(b"")
    assert ids(tmp_path) == [one for part in known for one in part]
    assert any(
        "actuals-0-00000002.parquet in the prediction log is not there" in one for one in said(tmp_path)
    )
    assert any(
        "refusals-0-00000001.parquet in the prediction log cannot be read" in one for one in said(tmp_path)
    )


def test_foreign_files_are_left_alone(tmp_path):
    known = written(tmp_path, parts=1)
    (tmp_path / "notes.txt").write_text("ours")
    (tmp_path / "predictions-0-00000001.seg.bak").write_bytes(b"half")
    (tmp_path / "predictions-0-00000000.seg").mkdir()
    assert ids(tmp_path) == known[0]
    assert said(tmp_path) == [
        "predictions-0-00000000.seg in the prediction log is no part of it and is left alone",
        "predictions-0-00000001.seg.bak in the prediction log is no part of it and is left alone",
    ]
    import polars as pl

    pl.DataFrame({"other": [1]}).write_parquet(tmp_path / "predictions-z-00000001.parquet")
    assert ids(tmp_path) == known[0]
    assert any(
        "predictions-z-00000001.parquet in the prediction log cannot be read" in one for one in said(tmp_path)
    )
