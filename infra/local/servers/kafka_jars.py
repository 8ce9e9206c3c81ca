"""The broker's jars: exactly those of `kafka-jars.lock`, fetched once into the cache, verified at every start.

The lock holds one line per jar: `group:artifact:version sha256`. A warm start reads 43 MB and needs no network. For
another version, change `ROOTS`, run `python -m infra.local.servers.kafka_jars lock`, and review the difference.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.local import directories
from infra.local.errors import LocalError
from infra.local.processes.supervisor import Say
from infra.local.servers.kafka import NoJavaError, find_java

# slf4j-simple: without a binding the broker would log nothing; same line as the slf4j-api Kafka asks for.
ROOTS = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
Progress = Callable[[int, int, str], None]
_SAY_EVERY = 10
_CERTIFICATES = "; behind a proxy with a certificate of its own, set REQUESTS_CA_BUNDLE and SSL_CERT_FILE to its file"


class JarsUnavailableError(LocalError):
    """The jars cannot be fetched; the message says why in one line."""


class TamperedJarError(LocalError):
    """A jar is not the one the lock file names; it is refused."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar: Maven coordinates and the SHA-256 of its bytes."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return its name in the flat directory of jars."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(path: Path = LOCK_FILE) -> tuple[LockedJar, ...]:
    """Read the lock file, comments left out."""
    jars = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(LockedJar(group, artifact, version, sha256))
    return tuple(jars)


def kafka_version(jars: tuple[LockedJar, ...]) -> str:
    """Return the broker's version."""
    return next(jar.version for jar in jars if jar.artifact.startswith("kafka_"))


def default_dir() -> Path:
    """Return the directory in the cache for the locked jars; another lock gets another directory."""
    digest = hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:12]
    return directories.cache_dir() / f"kafka-{kafka_version(read_lock())}-{digest}"


def verify(directory: Path, jars: tuple[LockedJar, ...]) -> list[LockedJar]:
    """Return the jars that are missing from the directory.

    Raises:
        TamperedJarError: a jar is there with other bytes, or a jar is there that the lock does not name.
    """
    missing = []
    for jar in jars:
        path = directory / jar.file_name
        if not path.exists():
            missing.append(jar)
        elif _sha256(path) != jar.sha256:
            raise TamperedJarError(f"{path} is not what {LOCK_FILE.name} names: remove it to have it fetched again")
    # The class path is `<directory>/*`: every jar in it runs.
    strangers = {path.name for path in directory.glob("*.jar")} - {jar.file_name for jar in jars}
    if strangers:
        raise TamperedJarError(f"{directory} holds jars {LOCK_FILE.name} does not name: remove {sorted(strangers)}")
    return missing


def fetch(progress: Progress, directory: Path | None = None) -> Path:
    """Return the directory with every locked jar, fetching what is missing.

    Args:
        progress: called with (jars done, jars to fetch, file name) before each fetch.
        directory: where they are kept; by default in the cache.

    Raises:
        JarsUnavailableError: they cannot be fetched now.
        TamperedJarError: a jar that was there or was fetched is not what the lock names.
    """
    target = directory or default_dir()
    target.mkdir(parents=True, exist_ok=True)
    missing = verify(target, read_lock())
    if missing:
        with tempfile.TemporaryDirectory(dir=target.parent) as repository:
            for done, jar in enumerate(missing):
                progress(done, len(missing), jar.file_name)
                fetched = _download(jar, Path(repository))
                if _sha256(fetched) != jar.sha256:
                    raise TamperedJarError(f"what was fetched as {jar.file_name} is not what {LOCK_FILE.name} names")
                # On the same file system, so that another stack that starts now sees a whole jar or none.
                fetched.rename(target / jar.file_name)
    return target


def jars_for(choice: str, say: Say, is_canceled: Callable[[], bool], directory: Path | None = None) -> Path | None:
    """Return the directory of the broker's jars, or None to run without a broker.

    Args:
        choice: `kafka` insists on a broker, `none` runs without, `auto` runs without if there can be none and says so.
        say: called with progress, and with the reason why there is no broker.
        is_canceled: asked before each fetch; True ends it.
        directory: where the jars are kept; by default in the cache.

    Raises:
        LocalError: `kafka` was asked for, and the jars or a Java are missing.
        TamperedJarError: the jars are not those of the lock file; no choice accepts that.
    """
    if choice == "none":
        return None
    show = _bar() if sys.stdout.isatty() else _plain_lines(say)

    def progress(done: int, total: int, name: str) -> None:
        if is_canceled():
            raise JarsUnavailableError("the start was canceled")
        show(done, total, name)

    try:
        find_java()
        return fetch(progress, directory)
    except (JarsUnavailableError, NoJavaError) as error:
        if choice == "kafka":
            raise LocalError(f"no broker: {error}") from error
        say(f"no broker: {error}; the workers read the event store directly (BROKER=kafka insists on one)")
        return None


def _plain_lines(say: Say) -> Progress:
    def progress(done: int, total: int, name: str) -> None:
        if done % _SAY_EVERY == 0:
            say(f"fetching the broker, first start only: {done}/{total} jars ({name})")

    return progress


def _bar() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    description, file = TextColumn("fetching the broker, first start only"), TextColumn("{task.fields[file]}")
    bar = Progress(description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), file, transient=True)
    task = bar.add_task("jars", total=None, file="")

    def progress(done: int, total: int, name: str) -> None:
        bar.start()
        bar.update(task, completed=done, total=total, file=name)
        if done + 1 == total:
            bar.stop()

    return progress


def _download(jar: LockedJar, repository: Path) -> Path:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415  # needed for a cold start only, and slow to import

        component = MavenContext(repo_cache=repository, timeout=60).project(jar.group, jar.artifact)
        return Path(component.at_version(jar.version).artifact().resolve())
    except Exception as error:  # jgo raises what its HTTP library, its parser or the file system raise
        raise unavailable(jar, error) from error


def unavailable(jar: LockedJar, error: Exception) -> JarsUnavailableError:
    """Return why a jar is not there, in one line, with what to do where that is known."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    advice = _CERTIFICATES if "CERTIFICATE" in reason.upper() else ""
    return JarsUnavailableError(f"{jar.file_name} cannot be fetched ({reason}{advice})")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_lock(path: Path = LOCK_FILE) -> int:
    """Resolve `ROOTS` again, write the lock file, and return the number of jars."""
    import jgo  # noqa: PLC0415  # needed for this command only

    with tempfile.TemporaryDirectory() as repository:
        lines = []
        for artifact in jgo.resolve("+".join(ROOTS)):
            jar = LockedJar(artifact.groupId, artifact.artifactId, artifact.version, "")
            fetched = _download(jar, Path(repository))
            lines.append(f"{jar.group}:{jar.artifact}:{jar.version} {_sha256(fetched)}\n")
    head = "# Jars of the local broker. Made by `python -m infra.local.servers.kafka_jars lock`; not edited by hand.\n"
    path.write_text(head + "".join(sorted(lines)))
    return len(lines)


if __name__ == "__main__":
    if sys.argv[1:] != ["lock"]:
        sys.exit("usage: python -m infra.local.servers.kafka_jars lock")
    print(f"{write_lock()} jars written to {LOCK_FILE}")
