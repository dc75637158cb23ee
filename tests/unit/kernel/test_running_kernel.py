"""The running kernel, as far as it can be asked: with BTF or without, with a tracefs that may be read or not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.cli import tpgen
from support.small_kernel import Line, write_tracefs

# A record that no shipped kernel's block_rq_issue has: `dev` lies elsewhere.
OWN = {"block/block_rq_issue": (Line("pid_t who", 8, 4, 1), Line("dev_t dev", 12, 4))}


@pytest.fixture
def no_btf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without BTF and without tracefs; the directory where the latter would be is returned."""
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("the records are of 64 bits")
    for module in ("tpgen.paths", "tpgen.kernel.sources", "tpgen.cache.kernel_identity"):
        monkeypatch.setattr(f"{module}.LIVE_BTF", str(tmp_path / "btf"))
    monkeypatch.setattr("tpgen.paths.MOUNT_POINTS", (str(tmp_path / "tracing"),))
    monkeypatch.setattr("tpgen.paths.MOUNTS", str(tmp_path / "mounts"))
    return tmp_path / "tracing"


@pytest.mark.parametrize("kernel", [(), ("--kernel", "live")], ids=["default", "live"])
def test_tracefs_alone(kernel: tuple[str, ...], no_btf: Path) -> None:
    """The kernel's own format file, not another kernel's catalog."""
    write_tracefs(no_btf, OWN)
    done = tpgen("show", "block_rq_issue", "--json", *kernel)
    assert (done.code, done.err) == (0, "")
    (event,) = json.loads(done.out)
    assert [(field["name"], field["offset"], field["type"]) for field in event["record"]["fields"]] == [
        ("who", 8, "pid_t"), ("dev", 12, "dev_t"),
    ]  # fmt: skip
    listed = tpgen("list", *kernel)
    assert (listed.code, len(listed.out.splitlines())) == (0, 1)
    assert "note: the running kernel has no BTF: raw arguments are unknown" in listed.err
    header = tpgen("block_rq_issue", "--classic", *kernel)
    assert (header.code, header.err) == (0, "")
    assert "tp_block_rq_issue_who(" in header.out
    assert f" Linux {os.uname().release}" in header.out
    assert "in place of" not in header.out


def test_raw_arguments_without_btf(no_btf: Path) -> None:
    write_tracefs(no_btf, OWN)
    done = tpgen("block_rq_issue", "--raw")
    assert done.code == 2
    assert "its raw arguments are unknown: neither BTF nor headers have them [no-such-form]" in done.err


def test_neither(no_btf: Path) -> None:
    """Another kernel stands in. stderr says so, and so does the header, which may be read without stderr."""
    done = tpgen("sched_switch", "--raw")
    assert done.code == 0
    message = "tpgen: note: neither BTF nor tracefs of a running kernel can be read here: this is debian-"
    hint = "[kernel-shipped]; it is the newest that came with tpgen; --kernel picks another\n"
    assert done.err.startswith(message)
    assert done.err.endswith(hint)
    first = " ".join(done.out.split(" */", 3)[2].split())
    assert ", in place of a running kernel that cannot be asked" in first
    named = tpgen("sched_switch", "--raw", "--kernel", "7.2", "--arch", "x86_64")
    assert named.err == ""
    assert "in place of" not in named.out


def test_live_where_there_is_neither(no_btf: Path) -> None:
    done = tpgen("sched_switch", "--kernel", "live")
    assert done.code == 2
    assert "this kernel has no BTF; give --btf, --tracefs or --headers" in done.err


@pytest.mark.parametrize("backend", ["python", "go", "rust", "bpftrace"])
def test_other_languages_say_so_too(backend: str, no_btf: Path) -> None:
    text = tpgen("sched_switch", "-b", backend).out
    assert "in place of a running kernel that cannot be asked" in text
    assert "in place of" not in tpgen("sched_switch", "-b", backend, "--kernel", "6.12", "--arch", "x86_64").out
