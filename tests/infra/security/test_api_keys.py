"""An API key: its form, its checksum, what is stored of it, and what it may be allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_api.slots import Slots
from command_api.state import KeyChanges
from infra.security import api_keys
from infra.security.api_keys import INSTALLATION_SCOPES, PARTNER_SCOPES, MalformedKeyError

KEY = "hbr_test_ABCDEFGH_" + "a" * 30
PEPPER = b"p" * 32


@pytest.mark.parametrize("livemode", [True, False])
def test_a_generated_key_is_well_formed_and_says_its_mode(livemode: bool) -> None:
    key = api_keys.generate(livemode)

    assert api_keys.parse(key.text) == key
    assert key.text != api_keys.generate(livemode).text
    assert key.text.startswith("hbr_live_" if livemode else "hbr_test_")


@given(position=st.integers(9, len(KEY) - 1), character=st.sampled_from("0123456789abcXYZ"))
def test_a_mistyped_character_is_noticed(position: int, character: str) -> None:
    text = KEY + api_keys.checksum(KEY)
    mistyped = text[:position] + character + text[position + 1 :]
    if mistyped != text:
        with pytest.raises(MalformedKeyError):
            api_keys.parse(mistyped)


@given(st.text(max_size=100))
def test_any_other_text_is_malformed(text: str) -> None:
    with pytest.raises(MalformedKeyError):
        api_keys.parse(text)


def test_what_is_stored_depends_on_the_pepper_and_hides_the_key() -> None:
    text = KEY + api_keys.checksum(KEY)

    assert api_keys.hash_key(PEPPER, text) != api_keys.hash_key(b"q" * 32, text)
    assert len(api_keys.hash_key(PEPPER, text)) == 32
    assert text not in repr(api_keys.parse(text))


def test_what_changes_keys_hides_the_pepper() -> None:
    assert repr(PEPPER) not in repr(KeyChanges(PEPPER, Slots(at_once=1, wait_s=1.0)))


def test_no_key_of_the_installation_may_change_an_order() -> None:
    assert not any(scope.endswith((":write", ":cancel", ":capture", ":refund")) for scope in INSTALLATION_SCOPES)


def test_a_key_has_scopes_of_its_kind_only() -> None:
    api_keys.check_scopes("acme", PARTNER_SCOPES)
    for partner_id, scopes in [("acme", {"audit:read"}), (None, {"orders:write"}), ("acme", {"x"}), ("acme", set())]:
        with pytest.raises(ValueError, match="scopes of a key"):
            api_keys.check_scopes(partner_id, frozenset(scopes))
