import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from everloop.core.errors import DataFault, NotFound, OutsideFault, StorageFull, UsageFault
from everloop.record import ArtifactStore
from everloop.record import store_local as store_local_module


def folder_of(path, **files):
    path.mkdir(parents=True)
    for name, content in files.items():
        target = path / name.replace("__", "/")
        target.parent.mkdir(exist_ok=True)
        target.write_text(content)
    return path


def content_of(path):
    return {file.relative_to(path).as_posix(): file.read_text() for file in path.rglob("*") if file.is_file()}


@pytest.fixture(params=["local", "remote"])
def store(request, tmp_path):
    if request.param == "local":
        made = ArtifactStore(tmp_path / "artifacts")
    else:
        made = ArtifactStore(f"memory://bucket-{tmp_path.name}", cache=tmp_path / "cache")
    with made:
        yield made


def test_a_folder_comes_back(store, tmp_path):
    source = folder_of(tmp_path / "source", a="1", b__c="2", b__empty="")
    artifact = store.publish("loans/v7", source, facts={"n": (1, 2)})
    assert content_of(store.open("loans/v7")) == content_of(source) == {"a": "1", "b/c": "2", "b/empty": ""}
    assert store.find("loans/v7") == artifact
    assert artifact.size == 2
    assert artifact.facts == {"n": [1, 2]}
    assert store.has("loans/v7")
    assert store.verify("loans/v7") is None
    assert store.keys() == ["loans/v7"]


def test_publishing_again_keeps_the_first(store, tmp_path):
    first = store.publish("k", folder_of(tmp_path / "one", a="1"))
    assert store.publish("k", folder_of(tmp_path / "two", a="2")) == first
    assert content_of(store.open("k")) == {"a": "1"}


def test_scratch_is_moved_and_gone(store):
    with store.scratch() as work:
        (work / "a").write_text("1")
        store.publish("k", work)
        kept = work
    assert not kept.exists()
    assert content_of(store.open("k")) == {"a": "1"}


def test_the_digest_is_that_of_the_content(store, tmp_path):
    one = store.publish("one", folder_of(tmp_path / "one", a="1", b="2"))
    same = store.publish("same", folder_of(tmp_path / "same", b="2", a="1"))
    other = store.publish("other", folder_of(tmp_path / "other", a="1", c="2"))
    assert one.digest == same.digest != other.digest


def test_what_is_missing(store, tmp_path):
    assert not store.has("nothing")
    assert store.find("nothing") is None
    assert store.keys() == []
    store.discard("nothing")
    with pytest.raises(NotFound, match="nothing"):
        store.open("nothing")
    with pytest.raises(NotFound, match="nothing"):
        store.verify("nothing")
    with pytest.raises(NotFound, match="no folder"):
        store.publish("k", tmp_path / "nowhere")


def test_discarding(store, tmp_path):
    source = folder_of(tmp_path / "source", a="1")
    store.publish("k", source)
    store.discard("k")
    assert not store.has("k")
    store.publish("k", source)
    assert store.has("k")


@pytest.mark.parametrize("key", ["", "../up", "/etc", "a//b", "a/../b", ".hidden", "a b", "a+b", "a\n", "ä"])
def test_a_key_cannot_lead_out(store, tmp_path, key):
    with pytest.raises(UsageFault, match="not a key"):
        store.publish(key, tmp_path)


def test_facts_without_a_json_form_leave_nothing(store, tmp_path):
    with pytest.raises(DataFault):
        store.publish("k", folder_of(tmp_path / "source", a="1"), facts={"x": object()})
    assert store.keys() == []


def test_many_publish_the_same_key_at_once(store, tmp_path):
    sources = [folder_of(tmp_path / f"s{i}", a=str(i), b="x" * 10_000) for i in range(8)]
    digests = []
    barrier = threading.Barrier(8)

    def publish(source):
        barrier.wait()
        digests.append(store.publish("k", source).digest)

    threads = [threading.Thread(target=publish, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 8
    assert store.verify("k") is None
    assert store.find("k").digest in digests


def damaged(kind, file):
    if kind == "changed":
        file.write_text("2")
    elif kind == "longer":
        file.write_text("123")
    elif kind == "missing":
        file.unlink()
    else:
        (file.parent / "added").write_text("")


@pytest.mark.parametrize("kind", ["changed", "longer", "missing", "added"])
def test_damage_is_found_and_mended_by_publishing(tmp_path, kind):
    source = folder_of(tmp_path / "source", a="1")
    with ArtifactStore(tmp_path / "artifacts") as store:
        store.publish("k", source)
        damaged(kind, store.open("k") / "a")
        assert store.verify("k")
        assert store.has("k") == (kind == "changed")  # a look at sizes does not see it, digests do
        store.discard("k")
        store.publish("k", source)
        assert store.verify("k") is None


def test_a_damaged_description(tmp_path):
    with ArtifactStore(tmp_path / "artifacts") as store:
        store.publish("k", folder_of(tmp_path / "source", a="1"))
        (store.open("k").parent / "artifact.json").write_text('{"key": "k", "dig')
        assert not store.has("k")
        assert store.verify("k") == "artifact.json is damaged"
        store.publish("k", tmp_path / "source")
        assert store.verify("k") is None


def remote(tmp_path, name):
    return ArtifactStore(f"memory://{name}-{tmp_path.name}", cache=tmp_path / "cache")


def contents(tmp_path, name):
    """All contents of a store, as bytes."""
    import fsspec

    memory = fsspec.filesystem("memory")
    return {
        place: memory.cat_file(place) for place in memory.glob(f"/{name}-{tmp_path.name}/contents/*/content")
    }


@pytest.mark.parametrize("kind", ["changed", "longer", "missing"])
@pytest.mark.parametrize("shared", [False, True])
def test_remote_damage_is_found_and_mended_by_publishing(tmp_path, kind, shared):
    import fsspec

    source = folder_of(tmp_path / "source", a="1")
    with remote(tmp_path, "damage") as store:
        store.publish("k", source)
        if shared:
            store.publish("other", source)
        (place,) = contents(tmp_path, "damage")
        memory = fsspec.filesystem("memory")
        if kind == "missing":
            memory.rm_file(place)
        else:
            memory.pipe_file(place, b"2" if kind == "changed" else b"123")
        with pytest.raises(OutsideFault, match="is missing" if kind == "missing" else "not have its digest"):
            store.open("k")
        assert store.verify("k")
        store.discard("k")
        store.publish("k", source)
        assert store.verify("k") is None
        assert not shared or store.verify("other") is None


def test_equal_content_is_one_remote_object(tmp_path):
    with remote(tmp_path, "once") as store:
        store.publish("one", folder_of(tmp_path / "one", a="same", b="1"))
        store.publish("two", folder_of(tmp_path / "two", c="same", d="same", e="2"))
        assert sorted(contents(tmp_path, "once").values()) == [b"1", b"2", b"same"]
        store.discard("one")
        assert sorted(contents(tmp_path, "once").values()) == [b"2", b"same"]
        assert content_of(store.open("two")) == {"c": "same", "d": "same", "e": "2"}
        store.discard("two")
        assert contents(tmp_path, "once") == {}


def test_content_stays_where_it_is_named_while_it_is_removed(tmp_path, monkeypatch):
    source = folder_of(tmp_path / "source", a="same")
    with remote(tmp_path, "race") as store, remote(tmp_path, "race") as other:
        store.publish("one", source)
        looked = type(store._kept)._is_named

        def meanwhile(kept, digest):
            named = looked(kept, digest)
            monkeypatch.undo()  # between the look for names and the removal another one publishes
            other.publish("two", source)
            return named

        monkeypatch.setattr(type(store._kept), "_is_named", meanwhile)
        store.discard("one")
        assert store.keys() == ["two"]
        assert content_of(other.open("two")) == {"a": "same"}


def test_many_publish_and_discard_equal_content_at_once(tmp_path):
    sources = [folder_of(tmp_path / f"s{place}", a="same", b=str(place)) for place in range(6)]
    with remote(tmp_path, "many") as store:

        def work(place):
            for _ in range(20):
                store.publish(f"k{place}", sources[place])
                if place % 2:
                    store.discard(f"k{place}")

        threads = [threading.Thread(target=work, args=(place,)) for place in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.keys() == ["k0", "k2", "k4"]
        for place in (0, 2, 4):
            assert content_of(store.open(f"k{place}")) == {"a": "same", "b": str(place)}


def test_another_machine_reads_what_was_published(tmp_path):
    with ArtifactStore("memory://shared", cache=tmp_path / "one") as store:
        store.publish("k", folder_of(tmp_path / "source", a="1"))
    with ArtifactStore("memory://shared", cache=tmp_path / "two") as store:
        assert content_of(store.open("k")) == {"a": "1"}
        assert store.open("k").is_relative_to(tmp_path / "two")


def test_a_scheme_that_is_not_known(tmp_path):
    with pytest.raises(OutsideFault, match="nosuch://"):
        ArtifactStore("nosuch://bucket", cache=tmp_path)


def test_reading_makes_no_folder(tmp_path):
    with ArtifactStore(tmp_path / "artifacts") as store:
        assert not store.has("k")
        assert store.keys() == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(source, target):
        target.mkdir(parents=True)
        (target / "half").write_text("1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_local_module.shutil, "copytree", full)
    with ArtifactStore(tmp_path / "artifacts") as store:
        with pytest.raises(StorageFull, match="artifacts"):
            store.publish("k", folder_of(tmp_path / "source", a="1"))
        assert not store.has("k")
        assert store.keys() == []
    assert [path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == [".lock"]


def test_a_killed_publisher_leaves_all_or_nothing_and_is_cleaned_up_after(tmp_path):
    source = folder_of(tmp_path / "source", **{f"file{i}": "x" * 50_000 for i in range(20)})
    script = """
        import sys
        from pathlib import Path
        from everloop.record import ArtifactStore
        store = ArtifactStore(sys.argv[1])
        print("ready", flush=True)
        for number in range(10_000):
            store.publish(f"k{number}", Path(sys.argv[2]))
            if number == 0:
                print("published", flush=True)
    """
    for attempt in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "artifacts"), str(source)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        if attempt == 0:  # a slow machine publishes something, too
            assert process.stdout.readline() == "published\n"
        time.sleep(0.05 + attempt * 0.013)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with ArtifactStore(tmp_path / "artifacts") as store:
        published = store.keys()
        assert published
        assert all(store.verify(key) is None for key in published)
        assert {file.name for key in published for file in store.open(key).iterdir()} == {
            f"file{i}" for i in range(20)
        }
        with store.scratch() as work:
            assert [path.name for path in work.parent.parent.iterdir() if path.is_dir()] == [work.parent.name]
    assert [path.name for path in (tmp_path / "artifacts" / "scratch").iterdir()] == [".lock"]


def test_the_scratch_of_a_living_process_is_left_alone(tmp_path):
    script = """
        import sys
        from everloop.record import ArtifactStore
        store = ArtifactStore(sys.argv[1])
        with store.scratch() as work:
            (work / "mine").write_text("1")
            print(work, flush=True)
            sys.stdin.read()
            print((work / "mine").read_text())
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    with ArtifactStore(tmp_path) as store, store.scratch():
        pass
    output, _ = process.communicate()
    assert output == "1\n"


def test_equal_content_is_one_file_on_the_disk(tmp_path):
    source = folder_of(tmp_path / "source", a="equal", b="other")
    with ArtifactStore(tmp_path / "artifacts") as store:
        for key in ("one", "two"):
            store.publish(key, source)
        assert (store.open("one") / "a").samefile(store.open("two") / "a")
        assert not (source / "a").samefile(store.open("one") / "a")
        kept = tmp_path / "artifacts" / "contents"
        assert len(list(kept.iterdir())) == 2
        store.discard("one")
        assert len(list(kept.iterdir())) == 2
        assert store.verify("two") is None
        store.discard("two")
        assert not list(kept.iterdir())


def test_content_that_was_damaged_is_not_taken_again(tmp_path):
    source = folder_of(tmp_path / "source", a="equal")
    with ArtifactStore(tmp_path / "artifacts") as store:
        store.publish("one", source)
        (store.open("one") / "a").write_text("EQUAL")
        store.publish("two", source)
        assert store.verify("one") == "a does not have its digest"
        assert store.verify("two") is None
        store.discard("one")
        store.publish("one", source)
        assert (store.open("one") / "a").samefile(store.open("two") / "a")
        assert store.verify("one") is None


def test_where_files_cannot_be_linked_each_is_kept_by_itself(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr("everloop.record.store_local.os.link", refused)
    source = folder_of(tmp_path / "source", a="equal")
    with ArtifactStore(tmp_path / "artifacts") as store:
        for key in ("one", "two"):
            store.publish(key, source)
            assert store.verify(key) is None
