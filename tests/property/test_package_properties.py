"""Signed packages with any change: they are refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st
from support.evidence import write_key_pair
from support.json_values import paths, replaced
from support.packages import make_zip

from spanforge.model_registry._core.errors import VerificationError
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.derived_files import DERIVED_FILES
from spanforge.model_registry.compliance._packages.files import (
    PACKAGE_FILES,
    assemble,
    zip_bytes,
)
from spanforge.model_registry.compliance._packages.keys import load_signer
from spanforge.model_registry.compliance._packages.verify import verify_package

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._packages.keys import SigningKey

COPY = "registry-1-models.yaml"
EVIDENCE = {
    "attestation.json": b'{"overall_status":"findings"}',
    "evidence.csv": b"model_id,name\r\na,A\r\n",
    "registry.json": b"[]\n",
    COPY: b"[]  # a\n",
    **dict.fromkeys(DERIVED_FILES, b"<p>a"),
}
OTHER = {
    "attestation.json": b'{"overall_status":"supported"}',
    "evidence.csv": b"model_id,name\r\nb,B\r\n",
    "registry.json": b"[ ]\n",
    COPY: b"[]  # b\n",
    **dict.fromkeys(DERIVED_FILES, b"<p>b"),
}
FILES = (*PACKAGE_FILES, COPY, *DERIVED_FILES)


class Case(NamedTuple):
    place: Path
    public: Path
    signer: SigningKey
    made: dict[str, bytes]
    other: dict[str, bytes]
    """Another package that the same key signed."""


@pytest.fixture(scope="module", params=["ed25519", "p256", "p384", "p521"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    curves: dict[str, Any] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    curve = curves.get(request.param)
    key = Ed25519PrivateKey.generate() if curve is None else ec.generate_private_key(curve)
    place = tmp_path_factory.mktemp(request.param)
    private, public = write_key_pair(place, key)
    signer = load_signer(private)
    return Case(place, public, signer, assemble(EVIDENCE, [], signer), assemble(OTHER, [], signer))


def refused(case: Case, files: dict[str, bytes]) -> None:
    """Expect these files to be refused, as a folder and as a zip."""
    assert files != case.made
    with tempfile.TemporaryDirectory(dir=case.place) as place:
        folder = Path(place) / "folder"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        with pytest.raises(VerificationError):
            verify_package(folder, [case.public])
        refused_zip(case, zip_bytes(files))


def refused_zip(case: Case, archive: bytes) -> None:
    path = case.place / "changed.zip"
    path.write_bytes(archive)
    with pytest.raises(VerificationError):
        verify_package(path, [case.public])


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a copy of some content with a changed byte."""
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 3)) | st.just(len(content)))
    there = st.sampled_from(sorted({content[start : start + 1], content[:4], b" ", b"\n", b"\0"}))
    result = content[:start] + draw(st.binary(max_size=3) | there) + content[end:]
    assume(result != content)
    return result


@given(data=st.data())
def test_changed_file_is_refused(case: Case, data: st.DataObject) -> None:
    """A package is refused if any bytes of a file are changed, added or removed."""
    name = data.draw(st.sampled_from(FILES))
    refused(case, {**case.made, name: data.draw(changed(case.made[name]))})


@given(data=st.data())
def test_changed_zip_is_refused(case: Case, data: st.DataObject) -> None:
    """A zip is refused if any of its bytes are changed, added or removed, also between its files."""
    refused_zip(case, data.draw(changed(zip_bytes(case.made))))


@given(data=st.data())
def test_changed_zip_of_another_program_has_the_same_files(case: Case, data: st.DataObject) -> None:
    """A compressed zip of which any bytes are changed is refused, or has exactly the files that were signed."""
    path = case.place / "changed.zip"
    archive = make_zip(sorted(case.made.items()), lambda entry: setattr(entry, "compress_type", zipfile.ZIP_DEFLATED))
    path.write_bytes(data.draw(changed(archive)))
    with contextlib.suppress(VerificationError):
        report = verify_package(path, [case.public])
        assert report.digests == {name: hashlib.sha256(content).hexdigest() for name, content in case.made.items()}
        with zipfile.ZipFile(path) as opened:
            assert {name: opened.read(name) for name in opened.namelist()} == case.made


NAMES = st.sampled_from([*FILES, "registry-2-b.yaml", "Manifest.json", ".hidden", "a", "manifest.json.bak"]) | st.text(
    "abcdef.-_ é", min_size=1, max_size=12
).filter(lambda name: name.strip("."))
CONTENTS = st.binary(max_size=20)


@given(data=st.data())
def test_changed_set_of_files_is_refused(case: Case, data: st.DataObject) -> None:
    """A package is refused if files are removed, added, renamed, swapped or taken from another package."""
    known = [*case.made.values(), *case.other.values()]
    kept = data.draw(st.sets(st.sampled_from(FILES)))
    added = data.draw(st.dictionaries(NAMES, st.sampled_from(known) | CONTENTS, max_size=4))
    files = {name: case.made[name] for name in sorted(kept)} | added
    assume(files != case.made)
    refused(case, files)


@given(mixed=st.fixed_dictionaries({name: st.booleans() for name in FILES}))
def test_mixed_packages_are_refused(case: Case, mixed: dict[str, bool]) -> None:
    """A mix of two packages with the same key is refused."""
    files = {name: (case.other if other else case.made)[name] for name, other in mixed.items()}
    assume(files not in (case.made, case.other))
    refused(case, files)


JSON = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.just([]) | st.just({})


@given(data=st.data())
def test_changed_envelope_is_refused(case: Case, data: st.DataObject) -> None:
    """A package is refused if any value of its envelope is changed, in canonical form."""
    envelope = json.loads(case.made["signature.dsse.json"])
    other = json.loads(case.other["signature.dsse.json"])
    path = data.draw(st.sampled_from(list(paths(envelope))))
    values = JSON | st.sampled_from([envelope, other, *envelope.values(), *other.values(), other["signatures"][0]])
    new = data.draw(values | st.dictionaries(st.text(max_size=3), JSON, max_size=2).map(lambda more: envelope | more))
    edited = encode_canonical(replaced(envelope, path, new))
    assume(edited != case.made["signature.dsse.json"])
    refused(case, {**case.made, "signature.dsse.json": edited})
