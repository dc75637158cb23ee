"""Headers for several kernels compile without a warning in every company and as every kind of C."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.accessors import headers_in
from support.cli import tpgen
from support.compilers import CONVERSIONS, TARGETS, CompileError, Compiler
from support.portable import EVENTS, read
from support.shipped import AMD64_OPTIONS

pytestmark = pytest.mark.compilers


@pytest.fixture(scope="session")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both headers of each event."""
    folder = tmp_path_factory.mktemp("portable")
    done = tpgen(*EVENTS, *AMD64_OPTIONS, "-o", folder)
    assert done.code == 0, done.err
    assert all("[not-joined]" in line for line in done.err.splitlines())
    assert len(headers_in(folder)) == 2 * len(EVENTS)
    return folder


def calls(folder: Path) -> str:
    """A function for each header that calls all of it."""
    functions = []
    for path in headers_in(folder):
        header = read(path)
        buffer = "(ctx, buffer, sizeof(buffer))"
        uses = "".join(
            f"\tsum += (unsigned long long){each.name}{buffer if each.copies else '(ctx)'};\n"
            for each in header.accessors.values()
        )
        functions.append(
            f"unsigned long long use_{path.stem}(const void *ctx);\n"
            f"unsigned long long use_{path.stem}(const void *ctx)\n{{\n"
            f"\tunsigned long long sum = 0;\n\tchar buffer[32];\n\n\t(void)buffer;\n{uses}\treturn sum;\n}}\n"
        )
    return "".join(functions)


def includes(folder: Path) -> str:
    return "".join(f'#include "{path.name}"\n' for path in headers_in(folder))


@pytest.mark.parametrize("std", ["c11", "gnu11", "c23", "gnu23"])
@pytest.mark.parametrize("bpf_target", TARGETS)
def test_alone(compiler: Compiler, bpf_target: str, std: str, portable: Path, tmp_path: Path) -> None:
    """Without vmlinux.h and libbpf, all of them together and twice."""
    unit = includes(portable) * 2 + calls(portable)
    options = (*CONVERSIONS, "-Wno-error=frame-larger-than")
    compiler.compile(unit, tmp_path / "unit.o", target=bpf_target, std=std, include=[portable], options=options)


@pytest.mark.kernel_btf
@pytest.mark.parametrize("first", ["vmlinux", "headers"])
def test_with_vmlinux_and_libbpf(
    compiler: Compiler, first: str, portable: Path, vmlinux_include: Path, libbpf_include: Path, tmp_path: Path
) -> None:
    """Before and after vmlinux.h, in which the kernel's own records and dummies of the same purpose stand."""
    others = "#include <vmlinux.h>\n#include <bpf/bpf_core_read.h>\n#include <bpf/bpf_helpers.h>\n"
    parts = [others, includes(portable)]
    unit = "".join(parts if first == "vmlinux" else reversed(parts)) + calls(portable)
    system = [vmlinux_include, libbpf_include]
    compiler.compile(unit, tmp_path / "unit.o", include=[portable], system=system)


@pytest.mark.parametrize("name", ["raw_sched_switch", "tp_sched_process_fork", "tp_tcp_send_reset"])
def test_main_file(compiler: Compiler, name: str, portable: Path, tmp_path: Path) -> None:
    """As the main file, where no header is excused for a function that nobody calls."""
    compiler.compile(portable / f"{name}.h", tmp_path / "unit.o", options=CONVERSIONS)


FUNCTION = "int use(void *ctx);\nint use(void *ctx) {{ (void)ctx; return {} != 0; }}\n"


@pytest.mark.parametrize(
    ("header", "there", "not_there"),
    [
        ("raw_sched_switch", "raw_sched_switch_prev_state(ctx)", "raw_sched_switch_nonsense(ctx)"),
        ("raw_sched_switch", "raw_sched_switch_has_prev_state()", "raw_sched_switch_has_nonsense()"),
        ("raw_break_lease_block", "raw_break_lease_block_fl_as_file_lock(ctx)", "raw_break_lease_block_fl(ctx)"),
        ("tp_devres_log", "tp_devres_log_size(ctx)", "tp_devres_log_name(ctx)"),
    ],
)
def test_what_no_kernel_has_is_an_error(
    compiler: Compiler, header: str, there: str, not_there: str, portable: Path, tmp_path: Path
) -> None:
    include = f'#include "{header}.h"\n'
    compiler.compile(include + FUNCTION.format(there), tmp_path / "unit.o", include=[portable])
    with pytest.raises(CompileError, match=not_there.partition("(")[0]):
        compiler.compile(include + FUNCTION.format(not_there), tmp_path / "unit.o", include=[portable])


def test_headers_of_other_kernels_in_one_unit(compiler: Compiler, portable: Path, tmp_path: Path) -> None:
    """Each says which kernels it is for."""
    done = tpgen("sched_switch", "--raw", "--kernel", "6.1", "--kernel", "6.12", "-o", tmp_path / "other.h")
    assert (done.code, done.err) == (0, "")
    unit = '#include "raw_sched_switch.h"\n#include "other.h"\n'
    with pytest.raises(CompileError) as refused:
        compiler.compile(unit, tmp_path / "unit.o", include=[portable, tmp_path])
    assert "two headers of raw_sched_switch in one unit" in refused.value.stderr
    assert "7.2." in refused.value.stderr
