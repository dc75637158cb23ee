"""A driver's trace header with the BTF of a kernel that has not loaded it: what gcc and pahole make of the driver."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.accessors import headers_in
from support.cli import tpgen

_BTF = Path(os.environ.get("TPGEN_CORPUS", "/nonexistent")) / "btf/6.1-amd64.btf.xz"
_BUILD = sorted(Path("/usr/src").glob("linux-headers-6.1.*-amd64"))
_MISSING = [tool for tool in ("make", "gcc-12", "pahole") if not shutil.which(tool)]
DRIVER = Path(__file__).parents[1] / "data" / "driver"

pytestmark = [
    pytest.mark.skipif(not _BTF.exists(), reason="TPGEN_CORPUS has no btf/6.1-amd64.btf.xz"),
    pytest.mark.skipif(not _BUILD, reason="the linux-headers of 6.1 are not installed in /usr/src"),
    pytest.mark.skipif(bool(_MISSING), reason=f"{', '.join(_MISSING)} not installed"),
]


@pytest.fixture(scope="module")
def vmlinux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blob = tmp_path_factory.mktemp("btf") / "vmlinux.btf"
    blob.write_bytes(lzma.decompress(_BTF.read_bytes()))
    return blob


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver's module as the headers of 6.1 build it: without BTF, for they lack vmlinux."""
    folder = tmp_path_factory.mktemp("module") / "barge"
    shutil.copytree(DRIVER, folder)
    command = ("make", "-C", str(_BUILD[-1]), f"M={folder}", "modules")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "barge.ko"


@pytest.fixture(scope="module")
def compiled(module: Path, vmlinux: Path) -> list[dict[str, Any]]:
    """The events in the BTF that pahole makes of the module's DWARF."""
    with_btf = module.with_name("with_btf") / module.name
    with_btf.parent.mkdir()
    shutil.copy(module, with_btf)
    subprocess.run(("pahole", "-J", "--btf_base", str(vmlinux), str(with_btf)), check=True)
    # What is dynamic in a record, and of which class an event is, BTF does not tell.
    return shown("--btf", vmlinux, "--btf", with_btf, "--headers", DRIVER)


def shown(*options: str | Path) -> list[dict[str, Any]]:
    done = tpgen("show", "barge:*", "--json", *options)
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out, object_hook=_without_names)
    return found


def _without_names(shown: dict[str, Any]) -> dict[str, Any]:
    """Without the names of values: those of the driver's own enums only BTF tells."""
    shown.pop("values", None)
    return shown


@pytest.mark.parametrize("headers", [DRIVER, DRIVER / "trace.h"], ids=["directory", "header"])
def test_the_kernel_lends_its_types(headers: Path, vmlinux: Path, compiled: list[dict[str, Any]]) -> None:
    """Types that only the kernel defines (dma_addr_t), or only the driver, of a header that is found by its path."""
    found = shown("--btf", vmlinux, "--headers", headers)
    for event in found:
        assert event.pop("module") is None
    assert found == [{key: each[key] for key in each if key != "module"} for each in compiled]
    assert [(len(event["args"]), event["record"]["size"]) for event in found] == [(6, 112), (2, 24)]


def test_a_module_without_btf_names_its_tracepoints(
    module: Path, vmlinux: Path, compiled: list[dict[str, Any]]
) -> None:
    found = shown("--btf", vmlinux, "--btf", module, "--headers", DRIVER)
    assert [event["module"] for event in found] == ["barge", "barge"]
    assert found == compiled


def test_headers_of_it_compile(vmlinux: Path, tmp_path: Path) -> None:
    done = tpgen("barge:*", "--btf", vmlinux, "--headers", DRIVER / "trace.h", "-o", tmp_path)
    assert (done.code, done.err) == (0, "")
    for header in headers_in(tmp_path):
        command = ("gcc-12", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c", str(header))
        subprocess.run(command, check=True)
    assert [header.name for header in headers_in(tmp_path)] == [
        "raw_barge_load.h", "raw_barge_sink.h", "tp_barge_load.h", "tp_barge_sink.h",
    ]  # fmt: skip
