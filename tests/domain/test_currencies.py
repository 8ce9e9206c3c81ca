"""The currencies: those of ISO 4217 that people pay in. What was accepted once stays readable forever."""

import subprocess
import sys
from typing import Final

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.currencies import EXPONENTS, RETIRED
from domain.errors import MoneyError
from domain.money import MAX_AMOUNT_MINOR, amount_text, currency, parse_amount, recorded_currency

ACCEPTED: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
        COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
        INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
        MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""Every currency that was ever accepted, by its digits. Add new ones; never remove or change one."""

ONCE_ACCEPTED: Final = {code: digits for digits, codes in ACCEPTED.items() for code in codes.split()}


def test_a_currency_once_accepted_stays_readable_with_the_same_digits() -> None:
    # A code that ISO withdrew goes into RETIRED. One whose digits changed needs a decision: stored amounts count them.
    assert {code: digits for code, digits in (EXPONENTS | RETIRED).items() if code in ONCE_ACCEPTED} == ONCE_ACCEPTED


def test_a_new_currency_of_the_table_is_listed_here() -> None:
    assert EXPONENTS.keys() - ONCE_ACCEPTED.keys() == set()


def test_no_currency_is_both_active_and_retired() -> None:
    assert EXPONENTS.keys() & RETIRED.keys() == set()


def test_the_table_is_a_recent_publication_of_the_maintenance_agency() -> None:
    assert iso4217.__published__.isoformat() >= "2026-01-01"


@pytest.mark.parametrize(
    ("codes", "smallest"),
    [("JPY ISK UYI UGX", "1"), ("HUF MRU MGA CHE XCG ZWG", "0.01"), ("KWD TND", "0.001"), ("CLF UYW", "0.0001")],
)
def test_a_currency_with_unusual_digits_has_those_of_iso_4217(codes: str, smallest: str) -> None:
    for money in map(currency, codes.split()):
        assert (parse_amount(smallest, money), amount_text(1, money)) == (1, smallest)


NOT_ACCEPTED: Final = "XAU XAG XPT XPD XDR XSU XUA XBA XTS XXX HRK BGN ANG CUC SLL ZWL VEF MRO"


@pytest.mark.parametrize("code", [*NOT_ACCEPTED.split(), "eur", "EURO", "", "E\u0055R\u200b", None, 978, ["EUR"]])
def test_only_active_currencies_in_upper_case_are_known(code: object) -> None:
    with pytest.raises(MoneyError) as refused:
        currency(code)
    assert refused.value.code == "currency_unknown"


def test_an_active_currency_reads_back_from_what_was_recorded() -> None:
    assert [recorded_currency(code) for code in EXPONENTS] == [currency(code) for code in EXPONENTS]


@given(minor=st.integers(0, MAX_AMOUNT_MINOR))
def test_every_currency_prints_its_own_digits_and_reads_them_exactly(minor: int) -> None:
    for money in map(currency, EXPONENTS):
        text = amount_text(minor, money)

        assert parse_amount(text, money) == minor
        assert len(text.partition(".")[2]) == money.exponent
        assert int(text.replace(".", "")) == minor


@pytest.mark.parametrize("exponent", sorted(set(EXPONENTS.values())))
def test_one_digit_more_than_a_currency_has_is_refused(exponent: int) -> None:
    for money in (currency(code) for code, digits in EXPONENTS.items() if digits == exponent):
        with pytest.raises(MoneyError) as refused:
            parse_amount(f"1.{'0' * (exponent + 1)}", money)
        assert refused.value.code == "currency_precision"


def test_the_table_imports_nothing_that_reaches_the_network() -> None:
    heavy = "{'socket', 'asyncio', 'ssl', 'http'}"
    program = f"import sys, domain.currencies; print(sorted({heavy} & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  # fixed words

    assert loaded.stdout.strip() == "[]"
