"""When a partition is whole: each record names an event before it that came, and none took the place of a known one."""

import pytest

from infra.kafka.chain import Chain, Span

FROM_THE_BEGINNING = Span(start=0, end=100)
AFTER_KNOWN = Span(start=4, end=100, reached=30, vouched=5)


@pytest.mark.parametrize(
    ("span", "records", "is_broken"),
    [
        pytest.param(FROM_THE_BEGINNING, [(10, 0), (20, 10)], False, id="whole"),
        pytest.param(FROM_THE_BEGINNING, [(10, 0), (20, 10), (10, 0), (20, 10), (30, 20)], False, id="with repeats"),
        pytest.param(FROM_THE_BEGINNING, [(20, 10)], True, id="without its beginning"),
        pytest.param(FROM_THE_BEGINNING, [(10, 0), (30, 20)], True, id="with a hole"),
        pytest.param(FROM_THE_BEGINNING, [(10, 0), (30, 20), (20, 10)], True, id="what is missing came too late"),
        pytest.param(AFTER_KNOWN, [(30, 20), (40, 30)], False, id="goes on after what is known"),
        pytest.param(AFTER_KNOWN, [(40, 30), (50, 40)], True, id="the last known one is gone"),
        pytest.param(AFTER_KNOWN, [(30, 20), (50, 40)], True, id="a hole after what is known"),
    ],
)
def test_a_partition_is_whole_if_each_record_names_one_that_came(
    span: Span, records: list[tuple[int, int]], is_broken: bool
) -> None:
    chain = Chain.of(span)
    for offset, (position, previous) in enumerate(records, start=span.start):
        chain.add(offset, position, previous)
    assert chain.is_broken == is_broken
