"""What an import says while it goes."""

import io

from command_api.imports.progress import Progress, Tally, clock_text, progress_line


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_line_tells_percent_count_rate_refusals_and_time_left() -> None:
    tally = Tally(created=900, replayed=50, refused=50, file_bytes=250_000)

    assert progress_line(tally, 1_000_000, 0.5) == " 25%  1,000 orders, 2,000/s, 50 refused, 0:02 left"
    assert progress_line(Tally(), 1_000_000, 0.5) == "  0%  0 orders, 0/s, ? left"


def test_durations_are_clocks() -> None:
    assert [clock_text(seconds) for seconds in (0, 59.6, 3599, 3600)] == ["0:00", "1:00", "59:59", "1:00:00"]


def test_a_terminal_has_one_line_that_is_written_over() -> None:
    now, out = [0.0], Terminal()
    progress = Progress(out, 100, monotonic_s=lambda: now[0])
    for now[0] in (0.01, 1.0, 1.01, 2.0):
        progress.show(Tally(created=10, file_bytes=10))
    progress.end()

    assert out.getvalue().count("orders") == 2
    assert "\n" not in out.getvalue()


def test_elsewhere_there_is_a_line_now_and_then() -> None:
    now, out = [0.0], io.StringIO()
    progress = Progress(out, 100, monotonic_s=lambda: now[0])
    for now[0] in (1.0, 6.0, 7.0, 12.0):
        progress.show(Tally(created=10, file_bytes=10))
    progress.end()

    assert len(out.getvalue().splitlines()) == 2
