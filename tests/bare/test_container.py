"""The Dockerfile, built by podman on a minimal Debian, and the image used as docs/ci.md says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bare import CHECKOUT, VERSION, copy_checkout, pristine_debian

pytestmark = pytest.mark.containers


@dataclass(frozen=True)
class Podman:
    """podman with a store of its own."""

    store: Path

    def run(self, *arguments: str, **options: object) -> str:
        own = ("--root", self.store / "root", "--runroot", self.store / "run", "--cgroup-manager", "cgroupfs")
        command = ("podman", *own, "--events-backend", "file", "--runtime", "runc", *arguments)
        done = subprocess.run(command, capture_output=True, check=False, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stdout.decode()[-3000:] + done.stderr.decode()[-3000:]
        return str(done.stdout.decode())

    def image_of_debian(self, suite: str, name: str) -> None:
        with subprocess.Popen(("tar", "-C", pristine_debian(suite), "-c", "."), stdout=subprocess.PIPE) as tar:
            self.run("import", "-", name, stdin=tar.stdout)

    def tpgen(self, *words: str, mounted: Path) -> str:
        """Run the image: without a network, with a directory of the machine as its working directory."""
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
        return self.run("run", "--rm", "--network", "none", *limits, "-v", f"{mounted}:/work", "tpgen", *words)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    here = tmp_path_factory.mktemp("podman")
    made = Podman(here / "store")
    made.image_of_debian("trixie", "docker.io/library/debian:13-slim")
    copy_checkout(here / "tpgen")
    network = ("--isolation", "chroot", "--network", "host")
    made.run("build", "--pull=never", *network, "--ulimit", "nofile=1024:1024", "-t", "tpgen", str(here / "tpgen"))
    yield made
    made.run("system", "reset", "--force")
    shutil.rmtree(here)


def test_generates_into_the_working_directory(podman: Podman, tmp_path: Path) -> None:
    podman.tpgen("sched_switch", "--raw", "--kernel", "6.12", "-o", "include/", mounted=tmp_path)
    (header,) = (tmp_path / "include").iterdir()
    assert "raw_sched_switch_prev_state(const void *ctx)" in header.read_text()


def test_builds_for_the_running_kernel(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "tpgen.toml").write_text('[[generate]]\nevents = ["sched_switch"]\n')
    podman.tpgen("build", mounted=tmp_path)
    assert {path.name for path in tmp_path.glob("*.h")} >= {"raw_sched_switch.h", "tp_sched_switch.h"}


def test_has_what_the_package_has(podman: Podman, tmp_path: Path) -> None:
    assert podman.tpgen("--version", mounted=tmp_path) == f"tpgen {VERSION}\n"
    kernels = json.loads(podman.tpgen("catalog", "list", "--json", mounted=tmp_path))
    assert "debian-6.12-amd64" in {kernel["name"] for kernel in kernels}
    assert "unknown-event" in podman.tpgen("explain", "unknown-event", mounted=tmp_path)


def test_needs_nothing_but_debian() -> None:
    """Its images are Debian's, and its packages come through apt: the network is asked for nothing else."""
    lines = (CHECKOUT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"debian:${DEBIAN}-slim"}
    (pip,) = (line for line in lines if "pip install" in line and not line.startswith("#") and "apt-get" not in line)
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= set(pip.split())
