"""The hooks for pre-commit, installed and run by pre-commit itself in a repository that uses them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bare import CHECKOUT, VERSION, copy_checkout
from support.old_and_new import NEW, OLD, compile_program

# What docs/ci.md shows, by what is replaced in it: the repository, the revision and the kernels.
(CONFIGURATION,) = re.findall(
    r"^```yaml\n(repos:.*?)^```$", (CHECKOUT / "docs/ci.md").read_text(), re.DOTALL | re.MULTILINE
)
_REPLACED = ("https://example.org/tpgen", f"v{VERSION}", "debian-*-amd64")


_GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run((*_GIT, *arguments), cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass(frozen=True)
class Repository:
    """A repository with a compiled program and a tpgen.toml, beside a clone of tpgen's."""

    here: Path
    tpgen: Path

    def commit(self, kernel: str) -> tuple[int, str]:
        """What git says to a commit of all files, with hooks that ask for this kernel."""
        configuration = CONFIGURATION
        for shown, here in zip(_REPLACED, (self.tpgen, git("rev-parse", "HEAD", cwd=self.tpgen), kernel), strict=True):
            assert shown in configuration
            configuration = configuration.replace(shown, str(here))
        (self.here / ".pre-commit-config.yaml").write_text(configuration)
        git("add", "-A", cwd=self.here)
        environment = os.environ | {"PRE_COMMIT_HOME": str(self.here.parent / "pre-commit")}
        done = subprocess.run(
            (*_GIT, "commit", "-qm", "all"),
            cwd=self.here,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root = tmp_path_factory.mktemp("pre-commit")
    copy_checkout(root / "tpgen")
    git("add", "-A", cwd=root / "tpgen")
    git("commit", "--allow-empty", "-qm", "as it is", cwd=root / "tpgen")
    here = root / "tool"
    git("init", "-q", str(here), cwd=root)
    compile_program(here)
    (here / "tpgen.toml").write_text('[[generate]]\nevents = ["sched_switch"]\nforms = ["raw"]\n')
    subprocess.run((sys.executable, "-m", "tpgen", "build", "--kernel", NEW), cwd=here, check=True)
    subprocess.run((sys.executable, "-m", "pre_commit", "install"), cwd=here, check=True)
    return Repository(here, root / "tpgen")


def test_they_let_through_what_is_fine(repository: Repository) -> None:
    code, said = repository.commit(NEW)
    assert code == 0, said
    lines = [line for line in said.splitlines() if line.startswith("tpgen ")]
    assert [line.split(".")[0] for line in lines] == ["tpgen build --check", "tpgen doctor"]
    assert all(line.endswith("Passed") for line in lines)


def test_they_stop_what_is_not(repository: Repository) -> None:
    """For the older kernel the argument is not there, and the header would be another."""
    compile_program(repository.here, "another.bpf.o")
    code, said = repository.commit(OLD)
    assert code == 1
    lines = [line for line in said.splitlines() if line.startswith("tpgen ")]
    assert all(line.endswith("Failed") for line in lines), said
    assert "[no-argument]" in said
    assert "+++ b/raw_sched_switch.h" in said
