"""Where files of the local stack may lie: the cache, and directories a server's own account can reach.

PostgreSQL refuses to run as root, so root hands it to another account of the machine. That account may not be able to
walk into root's home; rights of directories that are not ours are never widened (facts decide: `reachable`), instead
a directory outside the home is used.
"""

import os
import pwd
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

APPLICATION = "harbor-orders"
# Places that survive a reboot, in order of preference, for what root's servers keep outside a closed home.
_OPEN_PLACES = (Path("/var/lib") / APPLICATION, Path("/var/tmp") / APPLICATION)  # noqa: S108  # owner is checked


class NoPlaceError(Exception):
    """No directory was found that the server's account can reach; the message says what to do."""


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
        NoPlaceError: this is root and the machine has neither `postgres` nor `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise NoPlaceError("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`: add one")


def is_reachable(path: Path, account: Account | None) -> bool:
    """Return whether the account can walk into this existing directory; asks the kernel, so ACLs count."""
    if account is None:
        return os.access(path, os.X_OK)
    # A root shell may have no supplementary `test` binary on its PATH; `cd` of sh is everywhere.
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
    """Create and give `wanted` if the account can reach it, else a new directory of ours outside any home.

    Args:
        wanted: where the directory should lie; its parents are made when missing.
        account: who must be able to walk into it; None: this process.

    Raises:
        NoPlaceError: nowhere to go.
    """
    _make_ours(wanted)
    if is_reachable(wanted, account):
        return wanted
    elsewhere = _open_place() / f"{wanted.name}-{secrets.token_hex(6)}"
    _make_ours(elsewhere)
    return elsewhere


def shared_dir(name: str) -> Path:
    """Return the directory `name` outside any home, for what all local stacks of root can share."""
    return _open_place() / name


def _make_ours(directory: Path) -> None:
    """Make a directory others may walk into but not list; one that exists keeps its rights."""
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o711)  # whatever the umask


def _open_place() -> Path:
    for place in _OPEN_PLACES:
        try:
            place.mkdir(mode=0o711, exist_ok=True)
        except OSError:
            continue
        # In a directory all may write to, somebody else could have made it first.
        if place.stat().st_uid == os.geteuid() and not place.is_symlink():
            place.chmod(0o711)
            return place
    raise NoPlaceError(
        "the home is closed to PostgreSQL's account and neither /var/lib nor /var/tmp can be used: "
        "set HARBOR_HOME to a directory other accounts can walk into"
    )
