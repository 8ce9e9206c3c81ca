"""What the demo sends."""

from itertools import islice
from pathlib import Path

import pytest

from tests.demo.orders import BadFileError, generated, invoices

HEADER = "invoice,stock_code,description,quantity,invoiced_at,unit_price,customer_id,country\n"


def test_the_same_seed_gives_the_same_orders() -> None:
    assert list(generated(20, 7, "r")) == list(generated(20, 7, "r"))
    assert list(islice(generated(20, 7, "r"), 5)) != list(islice(generated(20, 8, "r"), 5))


def test_an_invoice_becomes_one_order_with_its_lines_in_file_order(tmp_path: Path) -> None:
    file = tmp_path / "invoices.csv"
    file.write_text(HEADER + "1,A,x,2,2010-12-01,1.5,9,UK\n2,B,x,1,2010-12-01,2,,UK\n1,C,x,-3,2010-12-01,0,9,UK\n")
    first, second = invoices(file, "r")
    assert [(line.sku, line.quantity, line.unit_price, line.source) for line in first.lines] == [
        ("A", 2, "1.5", "invoices.csv:2"),
        ("C", -3, "0", "invoices.csv:4"),
    ]
    assert (first.email, second.email) == ("customer-9@example.com", "customer-guest-2@example.com")


def test_a_line_that_is_broken_is_sent_as_it_stands_to_be_refused_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "invoices.csv"
    quantities = ["two", "", "1.5", "1_0", "9" * 5000, "4"]
    file.write_text(HEADER + "".join(f"1,A,x,{each},2010-12-01,1.5,9,UK\n" for each in quantities) + "1,B\n")

    [draft] = invoices(file, "r")

    assert [line.quantity for line in draft.lines] == ["two", "", "1.5", "1_0", "9" * 5000, 4, ""]
    assert (draft.lines[-1].unit_price, draft.lines[-1].source) == ("", "invoices.csv:8")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2\n", "no column invoice"),
        (HEADER + f"1,{'A' * 200_000},x,2,2010-12-01,1.5,9,UK\n", "field larger"),
        (
            HEADER.replace(",", ";") + "1;A;x;2;2010-12-01;1,5;9;UK\n",
            "separated by semicolons; separate them by commas",
        ),
        (HEADER.replace(",", "\t") + "1\tA\n", "separated by tabs; separate them by commas"),
        ("a;b\n1;2\n", "no column invoice"),
        (HEADER, "has no invoices: nothing follows"),
        (HEADER + "\n\n", "has no invoices: nothing follows"),
        ("", "is empty; needed: invoice"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_reason(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "other.csv"
    file.write_text(content)
    with pytest.raises(BadFileError, match=says):
        invoices(file, "r")


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "from_excel.csv"
    file.write_text(HEADER + "1,A,x,2,2010-12-01,1.5,9,UK\n", encoding="utf-8-sig")

    assert [draft.name for draft in invoices(file, "r")] == ["1"]


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"nowhere\.csv cannot be read: No such file"):
        invoices(tmp_path / "nowhere.csv", "r")
