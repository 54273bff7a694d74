"""A key ring opens to its secrets and to nothing else."""

import msgspec
import pytest
from blake3 import blake3
from rich.pretty import pretty_repr

from s3fs_local.crypto.key_ring import STORE_KEY, KeyRing, KeyState, generation_of
from s3fs_local.crypto.slot_secrets import KeyFile, Passphrase, PassphraseCost, RecoveryKey, Secret
from s3fs_local.crypto.wrapped_keys import TWO, RingForm, parse_form
from s3fs_local.errors import (
    DataDamaged,
    FormatTooNew,
    InvalidArgument,
    KeyDisabled,
    KeyMissing,
    StoreDamaged,
    WrongKey,
)
from s3fs_local.system.randomness import SeededRandomness

CHEAP = PassphraseCost(memory_kib=8, iterations=1, lanes=1)
RANDOM = SeededRandomness(1)
SECRETS: list[Secret] = [
    KeyFile.generate(RANDOM),
    Passphrase("correct horse"),
    RecoveryKey.generate(RANDOM),
]
WRONG: list[Secret] = [
    KeyFile.generate(RANDOM),
    Passphrase("correct hors"),
    RecoveryKey.generate(RANDOM),
]
DATA_KEY = bytes(range(32))


def _form(wrapped: bytes) -> RingForm:
    form = parse_form(wrapped)
    assert isinstance(form, RingForm)
    return form


def _unwrap(ring: KeyRing, wrapped: bytes, context: bytes = b"") -> bytes:
    return ring.unwrap(_form(wrapped), context)


def _wrapped_under(wrapped: bytes) -> tuple[str, int]:
    form = _form(wrapped)
    return form.name, form.version


def _ring() -> KeyRing:
    ring = KeyRing.create(SECRETS[0], cost=CHEAP)
    for secret in SECRETS[1:]:
        ring.add_slot(secret, cost=CHEAP)
    return ring


@pytest.mark.parametrize("secret", SECRETS, ids=repr)
def test_each_secret_opens_the_same_ring(secret: Secret) -> None:
    """The story: wrap today, unwrap after any of the secrets opened the file."""
    ring = _ring()
    wrapped = ring.wrap(DATA_KEY, b"inode 7")
    again = KeyRing.open(ring.serialize(), secret)

    assert _unwrap(again, wrapped, b"inode 7") == DATA_KEY
    assert again.subkey("journal") == ring.subkey("journal")
    assert again.slot_kinds() == ["key-file", "passphrase", "recovery"]


@pytest.mark.parametrize("secret", WRONG, ids=repr)
def test_another_secret_is_the_wrong_key(secret: Secret) -> None:
    """Told apart from damage, for people act differently."""
    with pytest.raises(WrongKey, match="does not open"):
        KeyRing.open(_ring().serialize(), secret)


def test_a_secret_of_a_kind_without_slot_is_the_wrong_key() -> None:
    """The message says which kinds would do."""
    data = KeyRing.create(SECRETS[0]).serialize()
    with pytest.raises(WrongKey, match="slots for: key-file"):
        KeyRing.open(data, SECRETS[2])


def test_every_flipped_bit_is_damage_or_harmless() -> None:
    """Never a wrong key, another exception, or another key."""
    ring = KeyRing.create(SECRETS[0])
    data = ring.serialize()
    harmless = 0
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            opened = KeyRing.open(bytes(flipped), SECRETS[0])
        except (StoreDamaged, FormatTooNew):
            continue
        harmless += 1
        assert opened.subkey("x") == ring.subkey("x")

    white_space = sum(data.count(character) for character in b" \n")
    assert harmless <= 8 * white_space


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"\xff\x00", b'{"ring":{"format":"1"}}'])
def test_what_is_no_key_ring_is_damage(data: bytes) -> None:
    """Said in one sentence."""
    with pytest.raises(StoreDamaged):
        KeyRing.open(data, SECRETS[0])


def test_a_newer_format_is_refused() -> None:
    """Also where the newer file has members this release does not know."""
    with pytest.raises(FormatTooNew):
        KeyRing.open(b'{"ring": {"format": 2, "news": 1}, "more": 2}', SECRETS[0])


def test_a_wrapped_key_opens_in_its_place_only() -> None:
    """Or one file's key could be put in another's row."""
    ring = _ring()
    wrapped = ring.wrap(DATA_KEY, b"inode 7")
    with pytest.raises(DataDamaged):
        _unwrap(ring, wrapped, b"inode 8")
    for position in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[position] ^= 1
        with pytest.raises((DataDamaged, KeyMissing)):
            _unwrap(ring, bytes(damaged), b"inode 7")
        with pytest.raises((DataDamaged, KeyMissing)):
            _unwrap(ring, wrapped[:position], b"inode 7")


def test_another_stores_ring_does_not_unwrap() -> None:
    """Same names, other keys."""
    with pytest.raises(DataDamaged):
        _unwrap(_ring(), _ring().wrap(DATA_KEY, b""))


def test_wrapping_twice_shows_nothing_in_common() -> None:
    """A fresh salt each time: no key and nonce twice."""
    ring = _ring()
    first, second = ring.wrap(DATA_KEY, b""), ring.wrap(DATA_KEY, b"")

    assert len(first) == 75
    assert first[-48:] != second[-48:]


def test_a_new_version_wraps_and_the_old_one_still_unwraps() -> None:
    """Rotation rewraps in its own time."""
    ring = _ring()
    old = ring.wrap(DATA_KEY, b"")
    ring.add_version(STORE_KEY)
    ring = KeyRing.open(ring.serialize(), SECRETS[0])
    new = ring.wrap(DATA_KEY, b"")

    assert _wrapped_under(old) == ("store", 1)
    assert _wrapped_under(new) == ("store", 2)
    assert _unwrap(ring, old) == _unwrap(ring, new) == DATA_KEY


def test_a_named_key_wraps_for_itself() -> None:
    """A key of a tenant, say."""
    ring = _ring()
    assert ring.add_version("tenant ä") == 1
    wrapped = ring.wrap(DATA_KEY, b"", name="tenant ä")

    assert _wrapped_under(wrapped) == ("tenant ä", 1)
    assert ring.names() == ["store", "tenant ä"]
    assert _unwrap(ring, wrapped) == DATA_KEY
    with pytest.raises(InvalidArgument):
        ring.add_version("")
    with pytest.raises(KeyMissing):
        ring.wrap(DATA_KEY, b"", name="none")


def test_a_key_that_is_not_there_is_missing_and_one_disabled_is_disabled() -> None:
    """Reading must fail with ENOKEY or EKEYREVOKED, not with EIO."""
    ring, other = _ring(), _ring()
    other.add_version(STORE_KEY)
    wrapped = ring.wrap(DATA_KEY, b"")
    with pytest.raises(KeyMissing, match="version 2"):
        _unwrap(ring, other.wrap(DATA_KEY, b""))
    ring.set_state(STORE_KEY, 1, KeyState.DISABLED)
    with pytest.raises(KeyDisabled, match="disabled"):
        _unwrap(ring, wrapped)
    with pytest.raises(KeyDisabled, match="disabled"):
        ring.wrap(DATA_KEY, b"")
    ring.set_state(STORE_KEY, 1, KeyState.ENABLED)

    assert ring.states(STORE_KEY) == {1: KeyState.ENABLED}
    assert _unwrap(ring, wrapped) == DATA_KEY


def test_subkeys_differ_by_purpose() -> None:
    """Journal and checkpoints must not share a key."""
    ring = _ring()

    assert len({ring.subkey("journal"), ring.subkey("checkpoint"), _ring().subkey("journal")}) == 3


def test_no_secret_shows_in_a_repr() -> None:
    """Tracebacks and logs show reprs; rich asks in its own way."""
    key_file, passphrase, recovery = SECRETS
    ring = _ring()
    shown = "".join(
        show(thing)
        for thing in (ring, ring.__dict__["_body"], key_file, passphrase, recovery)
        for show in (repr, str, pretty_repr)
    )

    assert "horse" not in shown
    assert isinstance(key_file, KeyFile)
    assert isinstance(recovery, RecoveryKey)
    assert repr(key_file.key)[2:12] not in shown
    assert repr(recovery.bits)[2:12] not in shown
    assert "root" not in shown


def test_a_key_file_is_raw_or_hexadecimal() -> None:
    """People make them with dd and with openssl rand -hex."""
    key = KeyFile(bytes(range(32)))

    assert KeyFile.parse(bytes(range(32))) == key
    assert KeyFile.parse(b" " + key.text().upper().encode() + b"\n") == key
    for data in (b"", b"x" * 64, b"0" * 63, b"\xff" * 33, b"00" * 31):
        with pytest.raises(InvalidArgument):
            KeyFile.parse(data)


def test_a_recovery_key_is_typed_as_people_type() -> None:
    """Lower case, spaces, and digits that look like letters."""
    key = RecoveryKey.generate(SeededRandomness(3))
    text = key.text()

    assert [len(group) for group in text.split("-")] == [5] * 8
    assert RecoveryKey.parse(text) == key
    assert RecoveryKey.parse(text.lower().replace("-", " ") + "\n") == key
    assert RecoveryKey.parse(text.replace("O", "0").replace("I", "1").replace("B", "8")) == key


def test_a_mistyped_recovery_key_is_noticed_at_once() -> None:
    """Before anybody believes that the store is lost."""
    text = RecoveryKey.generate(SeededRandomness(3)).text()
    for position, letter in enumerate(text):
        if letter != "-":
            typed = text[:position] + ("A" if letter != "A" else "C") + text[position + 1 :]
            with pytest.raises(WrongKey, match="mistyped"):
                RecoveryKey.parse(typed)
    for typed in ("", "é", text[:-1], text + "A", "-"):
        with pytest.raises(WrongKey, match="mistyped"):
            RecoveryKey.parse(typed)


def test_a_passphrase_is_the_same_however_it_is_composed() -> None:
    """An umlaut is one code point on one system and two on another."""
    data = KeyRing.create(Passphrase("f\u00fcr"), cost=CHEAP).serialize()

    assert KeyRing.open(data, Passphrase("fu\u0308r")).names() == ["store"]


def test_guessing_a_passphrase_is_expensive_by_default() -> None:
    """At least the second recommendation of RFC 9106 section 4: 64 MiB, 3 passes."""
    cost = PassphraseCost()

    assert cost.memory_kib >= 64 << 10
    assert cost.iterations >= 3
    assert cost.is_sane()


@pytest.mark.parametrize(
    "cost",
    [
        PassphraseCost(memory_kib=1 << 40),
        PassphraseCost(iterations=0),
        PassphraseCost(lanes=0),
        PassphraseCost(memory_kib=8, lanes=2),
    ],
)
def test_a_cost_out_of_range_is_refused(cost: PassphraseCost) -> None:
    """A file from elsewhere must not take all memory."""
    with pytest.raises(InvalidArgument):
        KeyRing.create(Passphrase("x"), cost=cost)


def test_each_writing_is_a_generation_and_cannot_say_that_it_is_another() -> None:
    """Or an earlier ring, with an earlier passphrase, could be passed off as the present one."""
    ring = KeyRing.create(SECRETS[0])
    first, second = ring.serialize(), ring.serialize()

    assert [generation_of(first), generation_of(second)] == [1, 2]
    assert KeyRing.open(second, SECRETS[0]).generation == 2
    forged = msgspec.json.decode(first)
    forged["ring"]["generation"] = 2
    forged["digest"] = blake3(msgspec.json.encode(forged["ring"])).hexdigest()
    with pytest.raises(StoreDamaged, match="body"):
        KeyRing.open(msgspec.json.encode(forged), SECRETS[0])


def test_a_new_passphrase_takes_the_place_of_the_old_one_and_of_nothing_else() -> None:
    """The recovery key stays good."""
    ring = _ring()
    ring.add_slot(Passphrase("battery staple"), cost=CHEAP)
    ring.keep_newest_slot("passphrase")
    data = ring.serialize()

    assert ring.slot_kinds() == ["key-file", "recovery", "passphrase"]
    for secret in (SECRETS[0], SECRETS[2], Passphrase("battery staple")):
        assert KeyRing.open(data, secret).names() == ["store"]
    with pytest.raises(WrongKey):
        KeyRing.open(data, SECRETS[1])


def test_the_last_way_to_open_a_ring_is_not_taken_away() -> None:
    """Nobody could help."""
    ring = _ring()
    ring.remove_slots("passphrase")
    ring.remove_slots("recovery")
    with pytest.raises(InvalidArgument, match="nothing but a key-file"):
        ring.remove_slots("key-file")


def test_a_destroyed_version_unwraps_nothing_and_the_newest_is_not_destroyed() -> None:
    """So an old copy of what it wrapped stays closed."""
    ring = _ring()
    old = ring.wrap(DATA_KEY, b"")
    ring.add_version(STORE_KEY)
    with pytest.raises(InvalidArgument, match="newest"):
        ring.destroy_versions(STORE_KEY, [1, 2])
    ring.destroy_versions(STORE_KEY, [1])
    with pytest.raises(KeyMissing, match="version 1"):
        _unwrap(ring, old)

    assert _unwrap(ring, ring.wrap(DATA_KEY, b"")) == DATA_KEY
    assert ring.add_version(STORE_KEY) == 3


def test_a_ring_is_what_it_was_until_it_becomes_what_was_written() -> None:
    """What wraps is what is on the disk, however long the writing takes."""
    ring = _ring()
    changed = ring.copy()
    changed.add_version("tenant")
    changed.add_version(STORE_KEY)
    changed.remove_slots("recovery")
    changed.serialize()

    assert (ring.names(), ring.newest(STORE_KEY)) == (["store"], 1)
    assert "recovery" in ring.slot_kinds()

    ring.become(changed)
    assert (ring.names(), ring.newest(STORE_KEY)) == (["store", "tenant"], 2)
    assert "recovery" not in ring.slot_kinds()
    assert ring.generation == changed.generation


def test_a_wrapped_key_of_ever_more_layers_is_refused() -> None:
    """Each layer is parsed by itself: thousands of them would end the interpreter's patience."""
    form = b""
    for _ in range(20_000):
        form = bytes([TWO]) + min(len(form), 65_535).to_bytes(2, "big") + form
    with pytest.raises(DataDamaged, match="more than two layers"):
        parse_form(form)
