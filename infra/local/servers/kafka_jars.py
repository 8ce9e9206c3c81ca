"""The broker's jars: exactly those of `kafka-jars.lock`, fetched once into the cache, verified at every start.

The lock holds one line per jar: `group:artifact:version sha256`. A warm start reads 43 MB and asks nobody. To move to
another version, change `ROOTS` and run `python -m infra.local.servers.kafka_jars lock`, then review the difference.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.local import directories

# slf4j-simple: without a binding the broker would log nothing; same line as the slf4j-api Kafka asks for.
ROOTS = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
Progress = Callable[[int, int, str], None]


class JarsUnavailableError(Exception):
    """The jars cannot be had; the message says why in one line."""


class TamperedJarError(Exception):
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
    """Return the directory in the cache for the locked set; another lock gets another directory."""
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
    # The class path is `<directory>/*`: what lies there runs.
    strangers = {path.name for path in directory.glob("*.jar")} - {jar.file_name for jar in jars}
    if strangers:
        raise TamperedJarError(f"{directory} holds jars {LOCK_FILE.name} does not name: remove {sorted(strangers)}")
    return missing


def fetch(progress: Progress, directory: Path | None = None) -> Path:
    """Return the directory with every locked jar, fetching what is missing.

    Args:
        progress: called with (jars done, jars to fetch, file name) before each fetch.
        directory: where they lie; by default in the cache.

    Raises:
        JarsUnavailableError: no way to fetch them now.
        TamperedJarError: what lies there or was fetched is not what the lock names.
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
                # Same file system: another stack that starts at this moment sees a whole jar or none.
                fetched.rename(target / jar.file_name)
    return target


def _download(jar: LockedJar, repository: Path) -> Path:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415  # needed for a cold start only, and slow to import

        component = MavenContext(repo_cache=repository, timeout=60).project(jar.group, jar.artifact)
        return Path(component.at_version(jar.version).artifact().resolve())
    except Exception as error:  # jgo raises what its HTTP library, its parser or the file system raise
        raise JarsUnavailableError(f"{jar.file_name} cannot be fetched ({str(error).splitlines()[0]})") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_lock(path: Path = LOCK_FILE) -> int:
    """Resolve `ROOTS` anew and write the lock file; give the number of jars."""
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
    if sys.argv[1:] == ["lock"]:
        print(f"{write_lock()} jars written to {LOCK_FILE}")
    elif sys.argv[1:] == ["forget"]:
        shutil.rmtree(default_dir(), ignore_errors=True)
    else:
        sys.exit("usage: python -m infra.local.servers.kafka_jars lock|forget")
