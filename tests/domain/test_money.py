"""Amounts come in as decimal strings, live as integers, and go out as text again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MoneyError
from domain.money import MAX_AMOUNT_MINOR, Currency, amount_document, check_amount, parse_amount

EUR = Currency("EUR", 2)
JPY = Currency("JPY", 0)
KWD = Currency("KWD", 3)
CLF = Currency("CLF", 4)


def refusal(text: object, money: Currency = EUR) -> str:
    with pytest.raises(MoneyError) as refused:
        parse_amount(text, money)
    return refused.value.code


@pytest.mark.parametrize(
    ("money", "most"),
    [(EUR, "10,000,000,000,000.00 EUR"), (JPY, "1,000,000,000,000,000 JPY"), (None, "0 in any currency")],
)
def test_the_largest_amount_is_said_in_the_currency_of_the_order(money: Currency | None, most: str) -> None:
    with pytest.raises(MoneyError) as refused:
        check_amount("9" * 17) if money is None else parse_amount("9" * 16, money)

    assert refused.value.detail.startswith("An amount is at most 1")
    assert refused.value.detail.endswith(f"{most}.")


@pytest.mark.parametrize(
    ("text", "money", "minor"),
    [
        ("19.99", EUR, 1999),
        ("19.9", EUR, 1990),
        ("19", EUR, 1900),
        ("0", EUR, 0),
        ("0.01", EUR, 1),
        ("100", JPY, 100),
        ("1.005", KWD, 1005),
        ("0.0001", CLF, 1),
        ("10000000000000.00", EUR, MAX_AMOUNT_MINOR),
        ("1000000000000000", JPY, MAX_AMOUNT_MINOR),
    ],
)
def test_an_amount_is_read_in_the_currencys_own_digits(text: str, money: Currency, minor: int) -> None:
    assert parse_amount(text, money) == minor


@pytest.mark.parametrize(
    "text",
    [
        "", " ", " 1", "1 ", "1\n", "1E+1000000", "0E+1000000", "NaN", "Infinity", "-0", "-1", "+1", "1_000", "1,50",
        ".5", "5.", "007", "00", "0x10", "1.2.3",
        "\u0663", "\uff11\uff12",  # Arabic and full-width digits
    ],
)  # fmt: skip
def test_only_plain_ascii_decimals_are_amounts(text: str) -> None:
    assert refusal(text) == "amount_malformed"


@pytest.mark.parametrize("value", [19.99, 1999, True, None, ["1"], {"amount": "1"}, b"1"])
def test_money_must_be_a_string(value: object) -> None:
    assert refusal(value) == "money_must_be_string"


@pytest.mark.parametrize(
    ("text", "money"),
    [("100.00", JPY), ("1.001", EUR), ("1.000", EUR), ("1.0001", KWD), ("1.00000", EUR), ("0." + "0" * 100_000, EUR)],
)
def test_more_decimals_than_the_currency_has_are_refused_even_if_zero(text: str, money: Currency) -> None:
    assert refusal(text, money) == "currency_precision"


@pytest.mark.parametrize(
    ("text", "money"), [("10000000000000.01", EUR), ("9999999999999999", JPY), ("9" * 17, JPY), ("9" * 100_000, EUR)]
)
def test_an_amount_has_an_upper_bound(text: str, money: Currency) -> None:
    assert refusal(text, money) == "amount_too_large"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1.50", ""),
        ("1.0001", ""),
        ("999999999999999", ""),
        ("9999999999999.99", ""),
        ("1.00001", "currency_precision"),
        ("-1", "amount_malformed"),
        (1, "money_must_be_string"),
        ("9999999999999999", "amount_too_large"),
    ],
)
def test_without_a_currency_only_what_none_takes_is_refused(text: object, code: str) -> None:
    if code:
        with pytest.raises(MoneyError) as refused:
            check_amount(text)
        assert refused.value.code == code
    else:
        check_amount(text)


def test_money_in_a_document_has_text_minor_units_and_currency() -> None:
    assert amount_document(5, KWD) == {"amount": "0.005", "amount_minor": 5, "currency": "KWD"}
    assert amount_document(1999, EUR) == {"amount": "19.99", "amount_minor": 1999, "currency": "EUR"}
    assert amount_document(100, JPY) == {"amount": "100", "amount_minor": 100, "currency": "JPY"}


@given(st.text(max_size=30) | st.text("0123456789+-. eE_", min_size=1, max_size=25))
def test_any_text_is_an_amount_within_bounds_or_refused_with_a_code(text: str) -> None:
    code = ""
    minor = 0
    try:
        minor = parse_amount(text, EUR)
    except MoneyError as refused:
        code = refused.code
    assert code in {"", "amount_malformed", "currency_precision", "amount_too_large"}
    assert 0 <= minor <= MAX_AMOUNT_MINOR
