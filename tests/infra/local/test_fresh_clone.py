"""In a fresh clone there is nothing to ask an installation about: `make status` and `make down` answer without one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.local.__main__ import main
from infra.local.home import CHECKOUT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a checkout in which nothing was installed, and nothing can be."""
    made = tmp_path / "clone"
    shutil.copytree(CHECKOUT / "infra", made / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    (made / "infra" / "bootstrap.py").write_text("import sys; sys.exit('an installation was begun')")
    (made / "requirements").mkdir()
    (made / "requirements" / "dev.txt").touch()
    shutil.copy(CHECKOUT / "Makefile", made)
    return made


def make(clone: Path, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("HARBOR_", "MAKE", "PYTHON"))
    }
    return subprocess.run(  # noqa: S603  # fixed words
        ["/bin/sh", "-c", f"make {target}"],
        cwd=clone,
        # -S: what is installed for the interpreter of the tests is not installed for a fresh clone
        env=inherited | {"PYTHON": f"{sys.executable} -S"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("target", "is_success"), [("status", False), ("down", True)])
def test_that_nothing_runs_is_said_at_once(clone: Path, target: str, *, is_success: bool) -> None:
    before = sorted(clone.rglob("*"))

    ended = make(clone, target)

    assert (ended.stdout, ended.returncode == 0) == (f"nothing runs in {clone / '.harbor'}: make up\n", is_success)
    assert "an installation was begun" not in ended.stderr
    assert sorted(clone.rglob("*")) == before


@pytest.mark.parametrize(
    ("target", "named"), [("status", "{home}/my home"), ("status", "~/my home"), ("down", "my home")]
)
def test_of_a_home_of_its_own_it_is_said_as_the_installed_command_says_it(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, named: str
) -> None:
    environment = {"HARBOR_HOME": named.format(home=tmp_path), "HOME": str(tmp_path)}
    monkeypatch.chdir(clone)

    installed = CliRunner().invoke(main, [target], env=environment)

    assert make(clone, target, **environment).stdout == installed.output
    assert installed.output.startswith("nothing runs in /")


@pytest.mark.parametrize(
    ("target", "named"), [("status", "{home}/my home"), ("down", "~/my home"), ("clean", "../my home")]
)
def test_where_there_is_data_the_installation_is_asked(clone: Path, tmp_path: Path, target: str, named: str) -> None:
    (tmp_path / "my home").mkdir()

    ended = make(clone, target, HARBOR_HOME=named.format(home=tmp_path), HOME=str(tmp_path))

    assert ended.returncode != 0
    assert "an installation was begun" in ended.stderr
