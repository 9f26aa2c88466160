"""Signatures over packages: what is trusted serves, what is not is refused whole."""

import json
import os
import shutil
import stat
import subprocess

import pytest

from everloop.core.errors import PackageRefused, UsageFault
from everloop.runtime import Package
from everloop.runtime.manifest import manifest_bytes
from everloop.runtime.service.arms import ArmTable
from everloop.runtime.signing import (
    key_name,
    new_key,
    public_key,
    read_signatures,
    sign_package,
    signed_by,
    write_key,
)

ROW = {"amount": 5.0, "region": "north", "customer": "c", "at": None}


class Key:
    def __init__(self):
        private, public = new_key()
        self.pem, self.public = private.decode(), public_key(public, "test")
        self.name = key_name(self.public)


@pytest.fixture
def package(packages, tmp_path):
    return shutil.copytree(packages["binary"], tmp_path / "package")


@pytest.fixture(scope="module")
def keys():
    return Key(), Key()


def test_a_signed_package_answers_as_before(package, keys):
    answer = Package(package).answer(ROW)
    sign_package(package, keys[0].pem, "test")
    assert Package(package, trusted=[keys[0].public]).answer(ROW) == answer
    assert Package(package).answer(ROW) == answer


def test_signing_is_deterministic_and_an_old_signature_by_the_key_is_replaced(package, keys):
    first = sign_package(package, keys[0].pem, "test")
    assert sign_package(package, keys[0].pem, "test") == first
    assert read_signatures(package) == (first,)


def test_a_key_is_replaced_without_a_gap(package, keys):
    old, new = keys
    sign_package(package, old.pem, "test")
    sign_package(package, new.pem, "test")
    for trusted in ([old], [old, new], [new]):
        assert signed_by(package, manifest_bytes(package), [key.public for key in trusted])


def test_openssl_agrees(package, tmp_path):
    """Keys that OpenSSL made are read, and OpenSSL finds our signature good."""
    import base64

    private, public = tmp_path / "k.pem", tmp_path / "k.pub.pem"
    for words in (
        ["genpkey", "-algorithm", "ed25519", "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    made = sign_package(package, private.read_text(), "test")
    (tmp_path / "signature").write_bytes(base64.b64decode(made.signature))
    words = ["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", public, "-sigfile", tmp_path / "signature"]
    subprocess.run(
        ["openssl", *map(str, words), "-in", str(package / "manifest.json")], check=True, capture_output=True
    )
    assert Package(package, trusted=[public_key(public.read_bytes(), "k")]).manifest.version == 7


def unsigned(_package, _keys):
    pass


def by_another(package, keys):
    sign_package(package, keys[1].pem, "test")


def claims_the_key(package, keys):
    made = sign_package(package, keys[1].pem, "test")
    forged = {"key": keys[0].name, "signature": made.signature, "algorithm": made.algorithm}
    (package / "signature.json").write_text(json.dumps({"signatures": [forged], "format": 1}))


def manifest_changed(package, keys):
    sign_package(package, keys[0].pem, "test")
    path = package / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threshold": 0.01}))


def no_base64(package, keys):
    sign_package(package, keys[0].pem, "test")
    path = package / "signature.json"
    path.write_text(path.read_text().replace("==", "!!"))


def weaker_algorithm(package, keys):
    made = sign_package(package, keys[0].pem, "test")
    named = {"key": made.key, "signature": made.signature, "algorithm": "none"}
    (package / "signature.json").write_text(json.dumps({"signatures": [named], "format": 1}))


def garbage(package, _keys):
    (package / "signature.json").write_bytes(b"\x80\x04.")


def huge(package, _keys):
    with (package / "signature.json").open("wb") as file:
        file.truncate(2**33)


def link(package, keys):
    sign_package(package, keys[0].pem, "test")
    (package / "signature.json").rename(package.parent / "elsewhere")
    (package / "signature.json").symlink_to(package.parent / "elsewhere")


def fifo(package, _keys):
    os.mkfifo(package / "signature.json")


def newer(package, _keys):
    (package / "signature.json").write_text('{"signatures": [], "format": 2}')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (unsigned, "not signed"),
        (by_another, "nobody here trusts"),
        (claims_the_key, "not one over its manifest"),
        (manifest_changed, "not one over its manifest"),
        (no_base64, "not one over its manifest"),
        (weaker_algorithm, "nobody here trusts"),
        (garbage, "cannot be read"),
        (huge, "no file of signatures"),
        (link, "no file of signatures"),
        (fifo, "no file of signatures"),
        (newer, "newer form"),
    ],
)
def test_what_is_not_signed_well_is_refused(package, keys, change, said):
    change(package, keys)
    with pytest.raises(PackageRefused, match=said):
        Package(package, trusted=[keys[0].public])


def test_a_signature_does_not_stand_for_files_that_were_changed(package, keys):
    sign_package(package, keys[0].pem, "test")
    content = bytearray((package / "score.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (package / "score.onnx").write_bytes(bytes(content))
    with pytest.raises(PackageRefused, match=r"'score\.onnx'"):
        Package(package, trusted=[keys[0].public])


def test_a_server_serves_what_is_signed_alone(package, keys, start_server, tmp_path):
    settings = {"package": str(package), "log": str(tmp_path / "log"), "trusted": (keys[0].public,)}
    with pytest.raises(PackageRefused, match="not signed"):
        ArmTable(None, str(package), settings["trusted"]).load()
    with pytest.raises(AssertionError, match="not signed"):
        start_server(**settings)
    sign_package(package, keys[0].pem, "test")
    assert start_server(**settings).client.post("/predict", json=ROW).status_code == 200


def test_the_private_half_is_for_its_owner_and_no_key_is_overwritten(tmp_path):
    private, public = tmp_path / "keys" / "a.pem", tmp_path / "keys" / "a.pub.pem"
    name = write_key(private, public)
    assert name == key_name(public_key(public.read_bytes(), "a"))
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    with pytest.raises(UsageFault, match="there already"):
        write_key(private, public)


RSA = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]


def test_what_is_no_key_is_said_and_never_shown(package, tmp_path, keys):
    secret = "this is my secret, not a key"
    with pytest.raises(UsageFault, match="no private key") as told:
        sign_package(package, secret, "env:KEY")
    assert secret not in str(told.value)
    with pytest.raises(UsageFault, match="no public key") as told:
        public_key(keys[0].pem.encode(), "k.pem")
    assert told.value.hint == "give the public half, not the private one"
    other = subprocess.run(["openssl", *RSA], check=True, capture_output=True, text=True).stdout
    with pytest.raises(UsageFault, match="another kind"):
        sign_package(package, other, "k.pem")
