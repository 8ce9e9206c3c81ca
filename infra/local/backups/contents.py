"""What a backup is made of, and what is compared after it was restored.

DIRECTORY/database.dump    the database by pg_dump (custom format): events, responses, keys, endpoints, read models
DIRECTORY/backup.json      what the dump holds: `Manifest`
DIRECTORY.secrets.json     pepper of the API keys, key of the webhook secrets, secret of the cursors (0600): `Secrets`

The topic is not in it: the relay fills an empty topic again from the log.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from infra.local.errors import LocalError
from infra.local.home import SECRETS
from infra.observability.reasons import reason_of
from infra.postgres.connection import Connection

_LOG: Final = """
SELECT count(*) AS events, coalesce(max(position), 0) AS head,
       (SELECT event_id FROM harbor.events ORDER BY position DESC LIMIT 1)::text AS last_event_id
FROM harbor.events
"""


@dataclass(frozen=True, slots=True)
class LogState:
    """How far the log goes: number of events, highest position, and the id of the event there (None: no event)."""

    events: int
    head: int
    last_event_id: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What backup.json says. `backup_id` and a digest of the file are those of the secrets that belong to it."""

    backup_id: str
    made_at: str
    version: str
    postgres: str
    log: LogState
    dump_bytes: int
    dump_sha256: str
    secrets_sha256: str

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Return the manifest of a backup.

        Raises:
            LocalError: this is no backup, or one that this version cannot read.
        """
        try:
            document = json.loads((directory / "backup.json").read_text())
            return cls(**document | {"log": LogState(**document["log"])})
        except FileNotFoundError:
            raise LocalError(f"{directory} is no backup: backup.json is missing") from None
        except TypeError:
            raise LocalError(f"{directory} was written by another version: restore with that one") from None
        except (OSError, ValueError, KeyError) as error:
            raise LocalError(f"{directory / 'backup.json'} cannot be read: {reason_of(error)}") from error

    def check_dump(self, directory: Path) -> None:
        """Compare the dump with the manifest.

        Raises:
            LocalError: it is missing, cut short, or not the bytes that were written.
        """
        try:
            found = digest(dump_file(directory))
        except OSError as error:
            raise LocalError(f"{dump_file(directory)} cannot be read ({error.strerror})") from error
        if found != self.dump_sha256:
            raise LocalError(f"{dump_file(directory)} is damaged: it is not what the backup wrote. Use another backup")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The file apart: the secrets by their names in the home, and the API keys that the local stack shows."""

    secrets: dict[str, str] = field(repr=False)
    api_keys: dict[str, str] = field(repr=False)

    def digest(self) -> str:
        """Return the SHA-256 of all of them; they are random, so it tells nothing."""
        return hashlib.sha256(json.dumps([self.secrets, self.api_keys], sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, path: Path, manifest: Manifest) -> Self:
        """Return the secrets of a backup.

        Raises:
            LocalError: they are missing, damaged, or those of another backup.
        """
        try:
            document = json.loads(path.read_text())
            kept = cls({name: str(document["secrets"][name]) for name in SECRETS}, dict(document["api_keys"]))
            backup_id = document["backup_id"]
        except FileNotFoundError:
            raise LocalError(
                f"{path} is missing. Without its secrets every API key would be 401 and no webhook could be signed: "
                "fetch the file that `make backup` wrote beside the backup, and name it with SECRETS="
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LocalError(f"{path} cannot be read ({type(error).__name__})") from error
        if backup_id != manifest.backup_id:
            raise LocalError(f"{path} belongs to another backup: name the one of this backup with SECRETS=")
        if kept.digest() != manifest.secrets_sha256:
            raise LocalError(f"{path} is damaged: it is not what the backup wrote. Use another copy of it")
        return kept


def dump_file(directory: Path) -> Path:
    """Return where a backup keeps its dump."""
    return directory / "database.dump"


def secrets_file(directory: Path) -> Path:
    """Return where the secrets of a backup are unless somebody moved them, as they should."""
    return directory.with_name(f"{directory.name}.secrets.json")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def log_state(connection: Connection) -> LogState:
    """Return how far the log goes, in the transaction of this connection."""
    row = await connection.fetchrow(_LOG)
    if row is None:
        raise LookupError("an aggregate returned no row")
    return LogState(row["events"], row["head"], row["last_event_id"])
