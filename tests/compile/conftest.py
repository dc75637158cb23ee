"""Fixtures of the tests that compile generated headers."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from support.compilers import TARGETS
from support.headers import write_header


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    """Each byte order in turn."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def switch_headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw_sched_switch.h and tp_sched_switch.h."""
    folder = tmp_path_factory.mktemp("headers")
    write_header(folder, "sched_switch", "raw")
    write_header(folder, "sched_switch", "classic")
    return folder


@pytest.fixture(scope="session")
def kernel_uapi() -> tuple[Path, ...]:
    """Where <linux/types.h> and <linux/bpf.h> are, for a program without vmlinux.h."""
    include = Path("/usr/include")
    return include, include / str(sysconfig.get_config_var("MULTIARCH"))
