"""examples/go with Debian's Go and Debian's cilium/ebpf: generated and built, and what it is right about."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen
from support.go_project import GoProject
from support.libbpf import BpfObject
from support.live import VMLINUX_BTF, wait_until
from support.projects import CHECKOUT

pytestmark = pytest.mark.languages

_DEBIANS = Path("/usr/share/gocode/src")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> GoProject:
    made = GoProject(tmp_path_factory.mktemp("go"), Path("/usr/bin/go"), _DEBIANS, modules=False)
    made.build()
    return made


@pytest.mark.live
def test_the_doctor_finds_it_fine_on_every_kernel(project: GoProject) -> None:
    done = tpgen("doctor", project.object, "--json")
    assert done.code == 0
    stored = json.loads(tpgen("catalog", "list", "--json").out)
    kernels = {entry["name"] for entry in stored if not entry["big_endian"]}
    assert len(kernels) > 10
    verdicts = json.loads(done.out)
    assert {(entry["program"], entry["kernel"]) for entry in verdicts} >= {
        (program, kernel) for program in ("on_exec", "on_signal") for kernel in kernels
    }
    assert {entry["verdict"] for entry in verdicts} == {"fine"}


@pytest.mark.live
@pytest.mark.usefixtures("tracefs")
def test_the_kernel_takes_its_programs(project: GoProject) -> None:
    """Loaded by libbpf, as Debian's cilium/ebpf is too old for newer kernels; tests/loaders runs the tool itself."""
    with BpfObject(project.object) as programs:
        programs.attach("on_exec")
        programs.attach("on_signal")


@pytest.mark.live
@pytest.mark.usefixtures("tracefs")
def test_debians_library_reads_no_btf_with_64_bit_enums(project: GoProject, tmp_path: Path) -> None:
    """Before version 0.10 it loads no program with CO-RE on such a kernel, and names the kind that it does not know."""
    command = ("bpftool", "btf", "dump", "file", str(VMLINUX_BTF))
    dumped = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    said = tmp_path / "err"
    with open(said, "wb") as err:
        tool = subprocess.Popen((project.here / "procwatch",), stdout=subprocess.DEVNULL, stderr=err)
        wait_until(lambda: tool.poll() is not None or "attached" in said.read_text(), "procwatch to attach or to end")
        tool.send_signal(signal.SIGINT)
        code = tool.wait(60)
    library = (_DEBIANS / "github.com/cilium/ebpf/btf/btf_types.go").read_text()
    if "kindEnum64" not in library and re.search(r"^\[\d+\] ENUM64 ", dumped, re.MULTILINE):
        assert code == 1
        assert re.search(r"can't read types: .* unknown kind: Unknown \(19\)", said.read_text())
    else:
        assert (code, said.read_text()) == (0, "attached\n")


@pytest.mark.live
def test_too_few_arguments_do_not_compile(project: GoProject) -> None:
    """Where the program copies another number of arguments than the tracepoint has, the Go compiler says so."""
    made = project.here / "tracepoints" / "tracepoints.go"
    right = made.read_text()
    wrong, count = re.subn(r"type RawSignalGenerate \[5\]uint64", "type RawSignalGenerate [6]uint64", right)
    assert count == 1
    made.write_text(wrong)
    try:
        with pytest.raises(AssertionError, match=r"cannot convert told\.Args"):
            project.run("go", "build")
    finally:
        made.write_text(right)


def test_its_go_package_fits_every_kernel() -> None:
    """The package is for one kernel; the arguments are the same on all of them, from the shipped catalog."""
    kernels = [entry["name"] for entry in json.loads(tpgen("catalog", "list", "--json").out)]
    assert len(kernels) > 10
    seen = set()
    for kernel in kernels:
        (event,) = json.loads(tpgen("show", "signal:signal_generate", "--json", "--kernel", kernel).out)
        seen.add(tuple((arg["slot"], arg["size"], arg["signed"], arg["kind"], arg["name"]) for arg in event["args"]))
    assert seen == {
        (
            (0, 4, True, "int", "sig"), (1, 8, False, "ptr", "info"), (2, 8, False, "ptr", "task"),
            (3, 4, True, "int", "group"), (4, 4, True, "int", "result"),
        )
    }  # fmt: skip


def test_it_is_generated_from_nothing_of_its_own() -> None:
    """Nothing that was generated is committed, and no slot has a number but the count of all."""
    names = {path.name for path in (CHECKOUT / "examples" / "go").iterdir() if path.suffix != ".md"}
    assert names >= {"go.mod", "main.go", "procwatch.bpf.c", "tpgen.toml"}
    code = (CHECKOUT / "examples" / "go" / "procwatch.bpf.c").read_text()
    assert re.findall(r"\bctx\[", code) == []
