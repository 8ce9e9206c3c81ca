"""`make clean` deletes what it says and no more, and nothing that a running stack uses."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.local.__main__ import main
from infra.local.home import CHECKOUT, Home
from infra.local.processes import orphans

ONLY_RUNS = 'import time; print("up", flush=True); time.sleep(600)'


def test_a_home_is_deleted_and_named(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.save()

    ended = CliRunner().invoke(main, ["clean"], env={"HARBOR_HOME": str(home.path)})

    assert (ended.exit_code, ended.output) == (0, f"deleted {home.path}\n")
    assert list(tmp_path.iterdir()) == []


def test_what_all_checkouts_share_stays_and_is_named(copied: Path, tmp_path: Path) -> None:
    jars = tmp_path / "cache" / "harbor-orders"
    jars.mkdir(parents=True)

    ended = subprocess.run(
        [sys.executable, "-m", "infra.local", "clean"],
        cwd=copied,
        env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    line = f"kept {jars}, which all checkouts share and the next start saves time with: rm -r {jars}"
    assert ended.stdout.splitlines()[0] == line
    assert jars.exists()


def test_what_is_not_the_stacks_stays(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.save()
    (home.path / "mine.txt").touch()

    ended = CliRunner().invoke(main, ["clean"], env={"HARBOR_HOME": str(home.path)})

    deleted = ", ".join(str(home.path / name) for name in ("home.json", "lock", "logs"))
    assert ended.output == f"deleted {deleted}\n"
    assert [path.name for path in home.path.iterdir()] == ["mine.txt"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of a Makefile and a package `infra.local` that only prints its arguments."""
    made = tmp_path / "checkout"
    (made / ".venv" / "bin").mkdir(parents=True)
    (made / "requirements").mkdir()
    (made / "examples" / "harbor_client" / "build").mkdir(parents=True)
    (made / "infra" / "local").mkdir(parents=True)
    (made / "infra" / "local" / "__main__.py").write_text("import sys; print('asked', *sys.argv[1:])")
    shutil.copy(CHECKOUT / "Makefile", made)
    for name in ("requirements/dev.txt", "infra/bootstrap.py", ".venv/stamp"):
        (made / name).touch()
    (made / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return made


def make_clean(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HARBOR_", "MAKE"))}
    return subprocess.run(
        ["/bin/sh", "-c", "make clean"],
        cwd=checkout,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_with_a_home_of_its_own_the_environment_of_the_checkout_stays(checkout: Path, tmp_path: Path) -> None:
    ended = make_clean(checkout, HARBOR_HOME=str(tmp_path / "other"))

    assert (ended.returncode, ended.stdout) == (0, "asked clean\n")
    assert (checkout / ".venv").exists()


def test_without_one_it_is_deleted_too(checkout: Path) -> None:
    ended = make_clean(checkout)

    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, "asked clean")
    assert "deleted .venv" in ended.stdout.splitlines()[1]
    assert not (checkout / ".venv").exists()
    assert not (checkout / "examples" / "harbor_client" / "build").exists()


def test_what_refuses_the_data_keeps_the_environment(checkout: Path) -> None:
    (checkout / "infra" / "local" / "__main__.py").write_text("import sys; sys.exit('a stack runs')")

    ended = make_clean(checkout)

    assert ended.returncode != 0
    assert (checkout / ".venv").exists()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a checkout with a copy of our `infra` and what it needs of `domain`."""
    for package in ("infra", "domain"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / package, tmp_path / "copied" / package, ignore=ignore)
    return tmp_path / "copied"


@pytest.fixture
def second(copied: Path, tmp_path: Path) -> Iterator[Path]:
    """Return the home of a process that looks like a stack of the checkout."""
    (tmp_path / "instead" / "infra" / "local").mkdir(parents=True)
    (tmp_path / "instead" / "infra" / "local" / "__main__.py").write_text(ONLY_RUNS)
    home = tmp_path / "second"
    instead = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(tmp_path / "instead"), "HARBOR_HOME": str(home)}
    command = [sys.executable, "-m", "infra.local", "up", "--detach"]
    with subprocess.Popen(command, cwd=copied, env=os.environ | instead, stdout=subprocess.PIPE) as process:  # noqa: S603  # fixed words
        assert process.stdout is not None
        process.stdout.readline()
        yield home
        process.kill()


def test_a_stack_of_another_home_is_found(copied: Path, second: Path) -> None:
    found = orphans.stacks_of(copied, besides=Home(copied / ".harbor"))

    assert found == [f"in {second}: stop it with HARBOR_HOME={second} make down"]
    assert orphans.stacks_of(copied, besides=Home(second)) == []
    assert orphans.stacks_of(copied / "infra", besides=Home(copied / ".harbor")) == []


def test_while_one_runs_nothing_is_deleted(copied: Path, second: Path) -> None:
    (copied / ".harbor").mkdir()
    (copied / ".harbor" / "home.json").write_text("{}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}
    command = [sys.executable, "-m", "infra.local", "clean"]

    refused = subprocess.run(  # noqa: S603  # fixed words
        command, cwd=copied, env=environment, capture_output=True, text=True, check=False
    )

    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"a stack of this checkout runs in {second}: stop it with HARBOR_HOME={second} make down",
        "nothing was deleted",
    ]
    assert (copied / ".harbor" / "home.json").exists()
