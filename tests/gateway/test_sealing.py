"""Sealed links: what stands in one, who can open it, and how its secret is kept."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sealing import (
    HomeSecret,
    HomeSecretUnusable,
    LabelTooLong,
    LinkMalformed,
    PasscodeUnusable,
    SealBroken,
    SealedLink,
    ShelfAddressTooLong,
    base64url,
    from_base64url,
    hash_passcode,
    manifest_url,
    new_key,
    new_manifest_id,
    passcode_matches,
    seal,
    unseal,
)

SHELF = "https://shelf.example.org"
CONTENT = b'{"resourceType":"Bundle","type":"collection"}'


def link(**more: object) -> SealedLink:
    return SealedLink(manifest_url(SHELF, new_manifest_id()), new_key(), **more)  # type: ignore[arg-type]


def payload(of: SealedLink) -> dict[str, object]:
    encoded = of.shlink().removeprefix("shlink:/")
    decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    assert b" " not in decoded.replace(b"a week", b"")  # minified
    read = json.loads(decoded)
    assert isinstance(read, dict)
    return read


def header(sealed: str) -> dict[str, str]:
    encoded = sealed.partition(".")[0]
    read = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    assert isinstance(read, dict)
    return read


def test_a_link_says_what_the_specification_wants_and_no_more() -> None:
    end = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    said = payload(link(label="a week", expires_at=end, passcode=True, long_term=True))
    assert said.keys() == {"url", "key", "exp", "flag", "label", "v"}
    assert said["exp"] == 1893553445
    assert said["flag"] == "LP"
    assert said["v"] == 1
    assert len(str(said["key"])) == 43


def test_a_link_without_options_leaves_them_out() -> None:
    assert payload(link()).keys() == {"url", "key", "v"}


def test_the_address_of_a_link_holds_256_random_bits_in_at_most_128_characters() -> None:
    ids = {new_manifest_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(base64.urlsafe_b64decode(one + "=")) == 32 for one in ids)
    assert len(link().manifest_url) <= 128


def test_the_key_stands_behind_the_hash_and_nowhere_else() -> None:
    sealed = link()
    before, _, behind = sealed.url(SHELF).partition("#")
    assert before == f"{SHELF}/view"
    assert SealedLink.parse(behind) == sealed
    assert base64.urlsafe_b64encode(sealed.key).decode().rstrip("=") not in before
    assert str(sealed.key) not in repr(sealed)


def test_a_label_has_at_most_80_characters_as_javascript_counts_them() -> None:
    link(label="é" * 80)
    with pytest.raises(LabelTooLong):
        link(label="é" * 81)
    with pytest.raises(LabelTooLong):
        link(label="🩸" * 41)


def test_a_shelf_whose_address_leaves_no_room_is_refused_when_sharing() -> None:
    with pytest.raises(ShelfAddressTooLong):
        SealedLink(manifest_url("https://" + "long." * 20 + "org", new_manifest_id()), new_key())


def test_a_link_is_read_back_as_it_was_made() -> None:
    made = link(label="a week", expires_at=datetime(2030, 1, 2, tzinfo=UTC), passcode=True)
    assert SealedLink.parse(made.url(SHELF)) == made
    assert SealedLink.parse(f"  {made.shlink()}\n") == made


@given(st.text())
def test_any_text_is_a_link_or_refused_in_one_sentence(text: str) -> None:
    for candidate in (text, f"shlink:/{text}"):
        with pytest.raises(LinkMalformed):
            SealedLink.parse(candidate)


@pytest.mark.parametrize(
    "said",
    [[], {}, {"url": SHELF}, {"url": SHELF, "key": "short"}, {"url": SHELF, "key": "A" * 43, "v": 2}],
)
def test_a_payload_that_lacks_something_is_refused(said: object) -> None:
    encoded = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    with pytest.raises(LinkMalformed):
        SealedLink.parse(f"shlink:/{encoded}")


def test_a_sealed_file_is_a_compact_jwe_with_the_headers_of_the_specification() -> None:
    sealed = seal(CONTENT, new_key())
    assert header(sealed) == {"alg": "dir", "enc": "A256GCM", "cty": "application/fhir+json", "zip": "DEF"}
    assert sealed.split(".")[1] == ""


def test_sealing_again_uses_the_same_key_and_another_iv() -> None:
    key = new_key()
    sealed = [seal(CONTENT, key) for _ in range(50)]
    assert len({one.split(".")[2] for one in sealed}) == 50
    assert all(unseal(one, key) == CONTENT for one in sealed)


@settings(max_examples=50)
@given(st.binary(max_size=4000))
def test_what_is_sealed_opens_to_the_same_bytes(content: bytes) -> None:
    key = new_key()
    assert unseal(seal(content, key), key) == content


def test_files_larger_than_the_library_reads_open() -> None:
    key = new_key()
    content = bytes(range(256)) * 16_000  # 4 MB
    assert unseal(seal(content, key), key) == content


@given(st.sampled_from([0, 2, 3, 4]), st.integers(min_value=0))
def test_a_file_with_one_bit_altered_anywhere_does_not_open(part: int, bit: int) -> None:
    key = new_key()
    parts = seal(CONTENT, key).split(".")
    octets = bytearray(from_base64url(parts[part]))
    octets[bit // 8 % len(octets)] ^= 1 << bit % 8
    parts[part] = base64url(bytes(octets))
    with pytest.raises(SealBroken):
        unseal(".".join(parts), key)


@pytest.mark.parametrize("sealed", ["", "a.b.c.d.e", "not a seal", "eyJhbGciOiJub25lIn0...."])
def test_what_is_no_sealed_file_does_not_open(sealed: str) -> None:
    with pytest.raises(SealBroken):
        unseal(sealed, new_key())


def test_another_key_does_not_open() -> None:
    with pytest.raises(SealBroken):
        unseal(seal(CONTENT, new_key()), new_key())


def test_a_passcode_is_kept_only_as_a_slow_hash_with_its_own_salt() -> None:
    kept = [hash_passcode("482913") for _ in range(2)]
    assert kept[0] != kept[1]
    assert "482913" not in kept[0]
    assert all(passcode_matches("482913", one) for one in kept)
    assert not passcode_matches("482914", kept[0])


@pytest.mark.parametrize("passcode", ["", "    ", "1", "12 3", "1" * 201])
def test_a_passcode_that_protects_nothing_is_refused(passcode: str) -> None:
    with pytest.raises(PasscodeUnusable):
        hash_passcode(passcode)


def test_a_passcode_typed_with_a_space_behind_or_composed_otherwise_is_the_same() -> None:
    kept = hash_passcode("été 26")
    assert passcode_matches(" e\u0301te\u0301 26 ", kept)


def test_the_home_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    made = HomeSecret.load(tmp_path)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert HomeSecret.load(tmp_path).fhir_ids() == made.fhir_ids()


def test_of_two_processes_that_make_the_home_secret_both_have_the_same(tmp_path: Path) -> None:
    read = (
        "import sys, pathlib; from gateway.sealing import HomeSecret;"
        "print(HomeSecret.load(pathlib.Path(sys.argv[1])).fhir_ids().hex())"
    )
    command = [sys.executable, "-c", read, str(tmp_path)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert len({racer.communicate(timeout=60)[0] for racer in racers}) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_home_secret_that_is_not_whole_is_said_and_never_replaced(tmp_path: Path) -> None:
    HomeSecret.load(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"short")
    with pytest.raises(HomeSecretUnusable):
        HomeSecret.load(tmp_path)
    assert file.read_bytes() == b"short"


def test_a_kept_secret_opens_only_in_its_home_and_for_what_it_belongs_to(tmp_path: Path) -> None:
    homes = [HomeSecret.load(_folder(tmp_path / name)) for name in ("one", "two")]
    key = new_key()
    kept = homes[0].wrap(key, "share 1")
    assert key not in kept
    assert homes[0].unwrap(kept, "share 1") == key
    for home, name in ((homes[0], "share 2"), (homes[1], "share 1")):
        with pytest.raises(SealBroken):
            home.unwrap(kept, name)
    with pytest.raises(SealBroken):
        homes[0].unwrap(b"", "share 1")


def test_each_use_of_the_home_secret_has_a_key_of_its_own(tmp_path: Path) -> None:
    secret = HomeSecret.load(tmp_path)
    (file,) = tmp_path.iterdir()
    assert len(secret.fhir_ids()) == 32
    assert file.read_bytes() not in secret.fhir_ids()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
