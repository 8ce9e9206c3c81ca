"""What an import shows while it runs."""

import io

import pytest

from harbor_orders_client.importing.progress import Progress, Tally, clock_text, progress_line


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_line_has_percent_count_rate_refusals_and_time_left() -> None:
    tally = Tally(created=900, replayed=50, refused=50, file_bytes=250_000)

    assert progress_line(tally, 1_000_000, 0.5) == " 25%  1,000 orders, 2,000/s, 50 refused, 0:02 left"
    assert progress_line(Tally(created=1), 0, 0.5) == "100%  1 order, 2/s, 0:00 left"
    assert progress_line(Tally(), 1_000_000, 0.5) == "  0%  0 orders, 0/s, ? left"
    assert [clock_text(seconds) for seconds in (0, 59.6, 3599, 3600)] == ["0:00", "1:00", "59:59", "1:00:00"]


@pytest.mark.parametrize(
    ("out", "times", "lines"),
    [(Terminal(), (0.01, 1.0, 1.01, 2.0), 0), (io.StringIO(), (1.0, 6.0, 7.0, 12.0), 2)],
    ids=["rewritten on a terminal", "a line every few seconds elsewhere"],
)
def test_it_shows_twice_and_only_when_it_is_time(out: io.StringIO, times: tuple[float, ...], lines: int) -> None:
    now = [0.0]
    progress = Progress(out, 100, monotonic_s=lambda: now[0])
    for now[0] in times:
        progress.show(Tally(created=10, file_bytes=10))
    progress.end()

    assert (out.getvalue().count("orders"), out.getvalue().count("\n")) == (2, lines)
