"""The harness itself: it cleans up whatever happens, says what the kernel said, and does not skip in silence."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.compilers import CompileError, Compiler
from support.libbpf import BpfObject, LibbpfError, VerifierError
from support.live import REQUIRE_LIVE, TraceInstance, wait_until

SOURCE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
unsigned long out;
SEC("raw_tp/sched_switch") int on_raw(u64 *ctx) { out = ctx[1]; return 7; }
SEC("tp_btf/sched_switch") int on_btf(u64 *ctx) { out = ctx[1]; return 0; }
SEC("tp/sched/sched_switch") int on_classic(u32 *ctx) { out = ctx[6]; return 0; }
SEC("raw_tp/sched_switch") int past_the_end(u64 *ctx) { out = ctx[4]; return 0; }
SEC("tp/sched/sched_switch") int reads_the_pad(u32 *ctx) { out = ctx[1]; return 0; }
char LICENSE[] SEC("license") = "GPL";
"""
ATTACHES: dict[str, tuple[str, Callable[[BpfObject], None]]] = {
    "raw": ("on_raw", lambda bpf: bpf.attach_raw_tracepoint("on_raw", "sched_switch")),
    "btf": ("on_btf", lambda bpf: bpf.attach_trace("on_btf")),
    "classic": ("on_classic", lambda bpf: bpf.attach_tracepoint("on_classic", "sched", "sched_switch")),
    "auto": ("on_raw", lambda bpf: bpf.attach("on_raw")),
}


@pytest.fixture(scope="module")
def obj(
    compiler: Compiler, vmlinux_include: Path, libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Programs that load and programs that do not."""
    output = tmp_path_factory.mktemp("support") / "support.o"
    return compiler.compile(SOURCE, output, system=[vmlinux_include, libbpf_include])


def kernel_has_program(number: int) -> bool:
    """Whether the kernel still holds the program with this id."""
    command = ("bpftool", "prog", "show", "id", str(number))
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Interruption(Exception):
    """Stands for whatever may go wrong in a test."""


@pytest.mark.live
@pytest.mark.compilers
@pytest.mark.usefixtures("tracefs")
class TestBpfObject:
    @pytest.mark.parametrize("how", ATTACHES)
    def test_gone_after_an_exception(self, obj: Path, how: str) -> None:
        """An attached program is in the kernel, and is not when the block was left by an exception."""
        program, attach = ATTACHES[how]
        numbers = []

        def interrupted() -> None:
            with BpfObject(obj, programs=[program]) as bpf:
                attach(bpf)
                numbers.append(bpf.info(program).id)
                assert kernel_has_program(numbers[0])
                raise Interruption

        with pytest.raises(Interruption):
            interrupted()
        # The kernel frees a program only after the last CPU may have left it.
        wait_until(lambda: not kernel_has_program(numbers[0]), "the program to go")

    def test_unknown_tracepoint(self, obj: Path) -> None:
        """An attach that fails says so, with the kernel's error."""
        with BpfObject(obj, programs=["on_raw"]) as bpf, pytest.raises(LibbpfError) as caught:
            bpf.attach_raw_tracepoint("on_raw", "no_such_tracepoint")
        assert caught.value.errno == errno.ENOENT

    def test_argument_past_the_last(self, obj: Path) -> None:
        """sched_switch has four arguments: who reads a fifth loads, but does not attach."""
        with BpfObject(obj, programs=["past_the_end"]) as bpf, pytest.raises(LibbpfError) as caught:
            bpf.attach("past_the_end")
        assert caught.value.errno == errno.EINVAL

    def test_verifier_log(self, obj: Path) -> None:
        """A refused program comes with the verifier's reason."""
        with pytest.raises(VerifierError) as caught, BpfObject(obj, programs=["reads_the_pad"]):
            pass
        assert "invalid bpf_context access off=4 size=4" in caught.value.log["reads_the_pad"]

    def test_log_of_a_success(self, obj: Path) -> None:
        """The verifier's log can be had of an accepted program too."""
        with BpfObject(obj, programs=["on_btf"], log_level=2) as bpf:
            assert "(79) r1 = *(u64 *)(r1 +8)" in bpf.logs["on_btf"]

    def test_run(self, obj: Path) -> None:
        """A test run returns what the program returns, and its context is what was given."""
        with BpfObject(obj, programs=["on_raw"]) as bpf:
            assert bpf.test_run("on_raw", [1, 0x1234_5678_9ABC_DEF0, 3, 4]) == 7
            assert bpf.section() == (0x1234_5678_9ABC_DEF0).to_bytes(8, sys.byteorder)


@pytest.mark.live
def test_instance_goes_after_an_exception(tracefs: Path) -> None:
    """No instance is left behind, not even one with an event on."""
    paths = []

    def interrupted() -> None:
        with TraceInstance(tracefs) as instance:
            instance.start(["sched:sched_switch"], [os.getpid()])
            paths.append(instance.path)
            assert instance.path.is_dir()
            raise Interruption

    with pytest.raises(Interruption):
        interrupted()
    assert not paths[0].exists()


@pytest.mark.live
def test_tracefs_is_left_as_found() -> None:
    """Where tracefs is not mounted it is for the tests, and not afterwards. (In a mount namespace of our own.)"""
    script = (
        "from support.live import TRACEFS, mounted_tracefs\n"
        "def there(): return (TRACEFS / 'events').is_dir()\n"
        "before = there()\n"
        "with mounted_tracefs(): within = there()\n"
        "print(before, within, there())\n"
    )
    shell = 'umount /sys/kernel/tracing 2>/dev/null; exec "$@"'
    command = ("unshare", "--mount", "sh", "-c", shell, "sh", sys.executable, "-c", script)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False True False\n"


@pytest.mark.compilers
def test_warning_is_an_error(compiler: Compiler, tmp_path: Path) -> None:
    """A unit that only warns does not pass, and the warning is told."""
    with pytest.raises(CompileError, match="unused"):
        compiler.compile("static int nobody_uses_this;\n", tmp_path / "unit.o")


def pytest_alone(folder: Path, test: str, required: str) -> subprocess.CompletedProcess[str]:
    """Runs a one-file test under our conftest.py in a folder of its own."""
    (folder / "test_it.py").write_text(test)
    environment = os.environ | {REQUIRE_LIVE: required, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = (sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "test_it.py")
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("required", "status"), [("1", 1), ("", 0)])
@pytest.mark.parametrize("marker", ["live", "compilers", "kernel_btf"])
def test_skip_fails_where_everything_is_required(tmp_path: Path, marker: str, required: str, status: int) -> None:
    """With TPGEN_REQUIRE_LIVE no marked test can be skipped, neither for a lack of the machine nor by itself."""
    test = f"import pytest\n@pytest.mark.{marker}\ndef test_it():\n    pytest.skip('no reason')\n"
    done = pytest_alone(tmp_path, test, required)
    assert done.returncode == status, done.stdout


def test_unmarked_skip_stays_a_skip(tmp_path: Path) -> None:
    """Tests that do not claim to need this machine may skip."""
    done = pytest_alone(tmp_path, "import pytest\ndef test_it():\n    pytest.skip('no reason')\n", "1")
    assert done.returncode == 0, done.stdout
