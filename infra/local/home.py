"""The home of one local stack: what the next start needs again, and the lock of the supervisor that uses it now.

$HARBOR_HOME (default: .harbor in the checkout)
    home.json    ports, passwords and secrets made at the first start, the API keys (0600)
    stack.json   what runs where and how far the start is (`state`), for scripts; only while it runs (0600)
    run.json     which processes were started, to find what a killed supervisor left (0600)
    lock         held by the supervisor as long as it lives
    logs/        one file per process, bounded
    postgres/ valkey/ kafka/
    examples/    what the examples keep about this stack's log
"""

import base64
import fcntl
import json
import os
import secrets
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO

from infra.local import directories
from infra.local.errors import AlreadyRunsError, LocalError
from infra.local.ports import free_port, is_port_free

CHECKOUT = Path(__file__).resolve().parents[2]
Json = dict[str, object]
LOG_LIMIT_BYTES = 20_000_000
SECRETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "api_key_pepper": "HARBOR_SECURITY__API_KEY_PEPPER",
        "webhook_secrets_key": "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY",
        "cursor_secret": "HARBOR_SECURITY__CURSOR_SECRET",
    }
)
"""Each secret by its name in the home, with the variable that overrides it."""

LOOKS = 10
"""For `held`: half a second of patience with somebody who only looks whether a stack runs."""

_BETWEEN_LOOKS_S = 0.05
_DATA = ("postgres", "valkey", "kafka", "examples")


@dataclass(slots=True)
class Kept:
    """What the home keeps between starts.

    `home` is its own path, by which a copy knows that it is one; `restoring` says that a restore has not ended.
    """

    home: str = ""
    postgres_dir: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    api_keys: dict[str, str] = field(default_factory=dict)
    restoring: bool = False


class Home:
    """One stack's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = Kept()

    @property
    def stack_file(self) -> Path:
        """Return the file in which scripts find what runs."""
        return self.path / "stack.json"

    @property
    def run_file(self) -> Path:
        """Return the file in which the supervisor writes what it started."""
        return self.path / "run.json"

    def has_data(self) -> bool:
        """Return whether there are data to keep; what an interrupted restore left is none."""
        if not (self.path / "home.json").exists():
            return False
        self.load()
        return not self.kept.restoring

    def is_foreign(self) -> bool:
        """Return whether the directory holds what no stack of ours put there, under the names that we would use."""
        return not (self.path / "home.json").exists() and any((self.path / name).exists() for name in _DATA)

    def log_file(self, name: str) -> Path:
        """Return the log of a process."""
        return self.path / "logs" / f"{name}.log"

    def make(self) -> None:
        """Make the directories; one that exists keeps its rights.

        Raises:
            LocalError: that is not allowed.
        """
        try:
            if not self.path.exists():
                self.path.mkdir(parents=True)
                # PostgreSQL's own account passes through it when root starts the stack; every secret is a 0600 file.
                self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            (self.path / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LocalError(
                f"{self.path} cannot be written ({error.strerror}): set HARBOR_HOME to another directory"
            ) from error

    @contextmanager
    def held(self, looks: int = 1) -> Iterator[None]:
        """Hold the home for this process. With some `looks`, somebody who holds it for a moment is waited for.

        Raises:
            AlreadyRunsError: another process holds it.
            LocalError: it is being deleted.
        """
        path = self.path / "lock"
        with path.open("a") as lock:
            while not _is_locked(lock):
                if looks <= 1:
                    raise AlreadyRunsError(f"a stack already runs in {self.path}")
                looks -= 1
                time.sleep(_BETWEEN_LOOKS_S)
            # Whoever deletes the home deletes the file; a lock on the deleted one keeps nobody out.
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                raise LocalError(f"{self.path} was deleted at this moment: run this again")
            yield

    def load(self) -> None:
        """Read what the last start kept.

        Raises:
            LocalError: the file is damaged, or is a copy and names another home's data.
        """
        path = self.path / "home.json"
        try:
            self.kept = Kept(**json.loads(path.read_text()))
        except FileNotFoundError:
            self.kept = Kept()
        except (ValueError, TypeError) as error:
            raise LocalError(
                f"{path} cannot be read: restore it, or `{make_command('clean')}` to start with empty data"
            ) from error
        # In a home that was moved or copied, what it kept names the first one's data.
        first = self.kept.home or str(self.path)
        if (self.path / "postgres" / "data").exists():
            self.kept.postgres_dir = str(self.path / "postgres")
        elif self.kept.postgres_dir and first != str(self.path) and (Path(first) / "home.json").exists():
            raise LocalError(
                f"{self.path} is a copy of {first} without its data, which is in {self.kept.postgres_dir}: "
                "delete the copy; `make backup` and `make restore` copy a stack"
            )

    def save(self) -> None:
        """Write what the next start needs."""
        self.kept.home = str(self.path)
        write_private(self.path / "home.json", asdict(self.kept))

    def secret(self, name: str) -> str:
        """Return a random secret, made at the first start: 32 bytes in base64."""
        if name not in self.kept.secrets:
            self.kept.secrets[name] = base64.b64encode(secrets.token_bytes(32)).decode()
        return self.kept.secrets[name]

    def secrets_in(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return `SECRETS` by name: what their variables say in this environment, else those of the home."""
        return {name: environment.get(variable) or self.secret(name) for name, variable in SECRETS.items()}

    def password(self, name: str) -> str:
        """Return a random password, made at the first start, that needs no quoting in an address."""
        return self.kept.secrets.setdefault(name, secrets.token_hex(20))

    def port(self, name: str) -> int:
        """Return the port remembered under this name if it is free, else another one, which is remembered instead."""
        port = self.kept.ports.get(name)
        if port is None or not is_port_free(port):
            taken = set(self.kept.ports.values())
            port = next(port for port in iter(free_port, None) if port not in taken)
            self.kept.ports[name] = port
        return port

    def postgres_dir(self) -> Path:
        """Return the directory of PostgreSQL's data: in the home, or elsewhere if its account cannot enter the home."""
        if not self.kept.postgres_dir:
            directory = directories.reachable_dir(self.path / "postgres", directories.server_account())
            self.kept.postgres_dir = str(directory)
            self.save()  # before anything is written there, so that `wipe` finds it
        return Path(self.kept.postgres_dir)

    def bound_logs(self, limit_bytes: int = LOG_LIMIT_BYTES) -> list[str]:
        """Move every log over the limit to `<name>.1`; return the names of these logs.

        Processes keep their logs open, so the content is copied and the file cut; they append, so they continue at its
        new end. Lines written in between are lost, which is acceptable here. A log that cannot be copied now stays.
        """
        cut = []
        for path in sorted((self.path / "logs").glob("*.log")):
            earlier = path.with_name(f"{path.name}.1")
            try:
                if path.stat().st_size > limit_bytes:
                    shutil.copyfile(path, earlier)
                    os.truncate(path, 0)
                    cut.append(path.name)
            except OSError:  # the disk is full: half a copy must not make it fuller
                with suppress(OSError):
                    earlier.unlink()
        return cut

    def wipe(self) -> list[Path]:
        """Delete everything of a stack that does not run, also outside the home, and return what was deleted."""
        found = self.delete_data()
        lock = self.path / "lock"
        if lock.exists():
            lock.unlink()
            found.append(lock)
        with suppress(OSError):  # it holds other things, or is where a disk is mounted
            self.path.rmdir()
            return [self.path, *(path for path in found if self.path not in path.parents)]
        return sorted(found)

    def delete_data(self) -> list[Path]:
        """Delete all that a start or a restore made, and return it; the lock stays, for whoever holds it."""
        self.load()
        # Only what this module's docstring lists: HARBOR_HOME may point at a directory with other things in it.
        folders = {self.path / name for name in (*_DATA, "logs")}
        if self.kept.postgres_dir:
            folders.add(Path(self.kept.postgres_dir))
        files = {self.path / name for name in ("home.json", "stack.json", "run.json")}
        found = sorted(path for path in folders | files if path.exists())
        for path in folders:
            shutil.rmtree(path, ignore_errors=True)
        for path in files:
            path.unlink(missing_ok=True)
        self.kept = Kept()
        return found


def _is_locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def locate() -> Home:
    """Return the home named by HARBOR_HOME, or `.harbor` in the checkout."""
    named = os.environ.get("HARBOR_HOME")
    return Home(Path(named).expanduser().resolve() if named else CHECKOUT / ".harbor")


def make_command(target: str) -> str:
    """Return the command that makes `target` for the home of this process, from any shell."""
    return (
        f"HARBOR_HOME={shlex.quote(str(locate().path))} make {target}"
        if os.environ.get("HARBOR_HOME")
        else f"make {target}"
    )


def nothing_runs() -> str:
    """Return the message that says so and what starts a stack."""
    return f"nothing runs in {locate().path}: {make_command('up')}"


def write_private(path: Path, content: Json) -> None:
    """Replace a JSON file that only its owner can read; a reader sees the old one or the new one, never a part."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    # `make status` runs this before anything is installed: this module needs only the standard library.
    print(nothing_runs())
