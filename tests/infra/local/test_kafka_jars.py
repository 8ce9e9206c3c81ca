"""Only the jars of the lock file run."""

import hashlib
from pathlib import Path

import pytest

from infra.local.errors import LocalError
from infra.local.servers import kafka_jars
from infra.local.servers.kafka_jars import LockedJar, TamperedJarError, jars_for, read_lock, verify

CONTENT = b"a jar"
JAR = LockedJar("org.example", "example", "1.0", hashlib.sha256(CONTENT).hexdigest())


def test_the_lock_names_the_broker_and_a_digest_for_every_jar() -> None:
    jars = read_lock()

    assert kafka_jars.kafka_version(jars) == "4.4.0"
    assert len({jar.file_name for jar in jars}) == len(jars) > 40
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)

    assert "://" not in kafka_jars.LOCK_FILE.read_text(), "no addresses"


def test_a_jar_is_missing_until_it_is_there_with_the_locked_bytes(tmp_path: Path) -> None:
    assert verify(tmp_path, (JAR,)) == [JAR]
    (tmp_path / JAR.file_name).write_bytes(CONTENT)
    assert verify(tmp_path, (JAR,)) == []


def test_a_tampered_jar_is_refused(tmp_path: Path) -> None:
    (tmp_path / JAR.file_name).write_bytes(CONTENT + b"!")

    with pytest.raises(TamperedJarError, match=r"example-1\.0\.jar is not what"):
        verify(tmp_path, (JAR,))


def test_a_jar_nobody_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / JAR.file_name).write_bytes(CONTENT)
    (tmp_path / "stranger.jar").touch()

    with pytest.raises(TamperedJarError, match=r"stranger\.jar"):
        verify(tmp_path, (JAR,))


def test_without_a_broker_nothing_is_looked_for() -> None:
    assert jars_for("none", pytest.fail, lambda: True) is None


def test_auto_goes_on_without_a_broker_and_says_so_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []

    assert jars_for("auto", said.append, lambda: True, tmp_path / "cache") is None
    assert len(said) == 1
    assert said[0].startswith("no broker: ")


def test_kafka_insists_on_a_broker(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no broker: "):
        jars_for("kafka", lambda _line: None, lambda: True, tmp_path / "cache")


@pytest.mark.parametrize("choice", ["auto", "kafka"])
def test_no_choice_accepts_a_tampered_jar(tmp_path: Path, choice: str) -> None:
    (tmp_path / read_lock()[0].file_name).write_bytes(CONTENT)

    with pytest.raises(TamperedJarError):
        jars_for(choice, lambda _line: None, lambda: True, tmp_path)


def test_a_certificate_that_is_not_trusted_is_told_with_what_to_set() -> None:
    refused = kafka_jars.unavailable(JAR, OSError("SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"))
    absent = kafka_jars.unavailable(JAR, OSError("connection refused"))

    assert "REQUESTS_CA_BUNDLE and SSL_CERT_FILE" in str(refused)
    assert str(absent) == "example-1.0.jar cannot be fetched (connection refused)"
