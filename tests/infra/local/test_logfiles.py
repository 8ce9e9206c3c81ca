"""Logs of the local stack stay bounded."""

from pathlib import Path

from infra.local.processes.logfiles import bound


def test_a_log_over_the_limit_starts_again_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "relay.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 11)

        cut = bound(tmp_path, limit_bytes=10)
        writer.write(b"next")

    assert cut == ["relay.log"]
    assert log.read_bytes() == b"next"
    assert (tmp_path / "relay.log.1").read_bytes() == b"x" * 11


def test_a_log_below_the_limit_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "relay.log").write_bytes(b"x" * 10)

    assert bound(tmp_path, limit_bytes=10) == []
