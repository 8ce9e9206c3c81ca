"""Where files of the local stack go: the cache, and directories that a server's own account can reach.

PostgreSQL refuses to run as root, so root starts it as another account of the machine, which may not be able to enter
root's home. We never widen the rights of directories that are not ours, but use a directory outside the home instead.
"""

import os
import pwd
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalError

APPLICATION = "harbor-orders"
# Directories that survive a reboot, in order of preference, for what root's servers keep outside a closed home.
_OPEN_DIRECTORIES = (Path("/var/lib") / APPLICATION, Path("/var/tmp") / APPLICATION)  # noqa: S108  # owner is checked


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the machine that a server runs as."""

    name: str
    uid: int
    gid: int


def cache_dir() -> Path:
    """Return the directory for what can be fetched again: `$XDG_CACHE_HOME/harbor-orders`, usually below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / APPLICATION


def server_account() -> Account | None:
    """Return the account for servers that refuse root; None when this process is not root and starts them as itself.

    Raises:
        LocalError: this is root and the machine has neither `postgres` nor `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise LocalError("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`: add one")


def is_reachable(path: Path, account: Account | None) -> bool:
    """Return whether the account can enter this existing directory; asks the kernel, so ACLs count."""
    if account is None:
        return os.access(path, os.X_OK)
    # `cd` of sh is everywhere; `test` need not be on the PATH of a root shell.
    probe = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        env={},
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return probe.returncode == 0


def reachable_dir(wanted: Path, account: Account | None) -> Path:
    """Create and return `wanted` if the account can reach it, else a new directory of ours outside any home.

    Args:
        wanted: the directory to prefer; missing parents are made.
        account: who must be able to enter it; None: this process.

    Raises:
        LocalError: there is no such directory.
    """
    _make_ours(wanted)
    if is_reachable(wanted, account):
        return wanted
    elsewhere = _open_directory() / f"{wanted.name}-{secrets.token_hex(6)}"
    _make_ours(elsewhere)
    return elsewhere


def shared_dir(name: str) -> Path:
    """Return the directory `name` outside any home, for what all local stacks of root share."""
    return _open_directory() / name


def shared_by_all() -> list[Path]:
    """Return what exists of the directories that no home owns: fetched or copied once, used by every checkout."""
    copies = (path for directory in _OPEN_DIRECTORIES for path in directory.glob("postgresql-*") if path.is_dir())
    return [path for path in (cache_dir(), *sorted(copies)) if path.exists()]


def write_owned(path: Path, text: str, account: Account | None = None) -> None:
    """Replace a file that only the account can read; None: this process's own."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if account:
            os.fchown(descriptor, account.uid, account.gid)


def _make_ours(directory: Path) -> None:
    """Make a directory others may enter but not list; one that exists keeps its rights."""
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o711)  # whatever the umask


def _open_directory() -> Path:
    for directory in _OPEN_DIRECTORIES:
        try:
            directory.mkdir(mode=0o711, exist_ok=True)
        except OSError:
            continue
        # Where everybody may write, somebody else could have made it first.
        if directory.stat().st_uid == os.geteuid() and not directory.is_symlink():
            directory.chmod(0o711)
            return directory
    raise LocalError(
        "the home is closed to PostgreSQL's account and neither /var/lib nor /var/tmp can be used: "
        "set HARBOR_HOME to a directory that other accounts can enter"
    )
