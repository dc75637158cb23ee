"""Guards of headers for several kernels, on the running kernel: whatever the form, what is not there is dead code.

The running kernel is one of the set, and lacks some of what others have. Older ones are simulated: the loader is given
other BTF for the kernel's, with the prototypes that Linux 5.10 has, so that it resolves the relocations as there.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import guarded
from support.btf_builder import BOOL, SIGNED, BtfBuilder
from support.cli import tpgen
from support.compilers import CLANG, Compiler
from support.guarded import CLASSIC, RAW, Subject, Unit
from support.libbpf import BpfObject, LibbpfError, VerifierError
from support.programs import loaded
from support.shipped import AMD64_OPTIONS
from support.small_kernel import write_btf

pytestmark = [pytest.mark.live, pytest.mark.compilers]

#: The set: the running kernel beside those that come with tpgen.
KERNELS = (*AMD64_OPTIONS, "--kernel", "live")
SLOTS = 12


def count() -> int:
    """The number of programs of a kind: a few, or as many as TPGEN_GUARDS says."""
    return int(os.environ.get("TPGEN_GUARDS", "30"))


@pytest.fixture(scope="session")
def headers(tmp_path_factory: pytest.TempPathFactory, tracefs: Path) -> Path:
    """A folder with the headers of the set."""
    folder = tmp_path_factory.mktemp("guards")
    for form, events in (("--raw", RAW), ("--classic", CLASSIC)):
        done = tpgen(*events, form, *KERNELS, "-o", folder)
        assert done.code == 0, done.err
    return folder


def older_btf(folder: Path) -> Path:
    """BTF with the prototypes that Linux 5.10 has, by hand."""
    b = BtfBuilder()
    number, flag = b.integer("int", 4, SIGNED), b.integer("_Bool", 1, BOOL)
    u64, pointer = b.integer("long long unsigned int", 8), b.ptr(0)
    task, skb, sock = (b.ptr(b.structure(name, 4, [("x", number, 0)])) for name in ("task_struct", "sk_buff", "sock"))
    b.event("sched_switch", [("preempt", flag), ("prev", task), ("next", task)])
    b.event("kfree_skb", [("skb", skb), ("location", pointer)])
    b.event("tcp_retransmit_skb", [("sk", sock), ("skb", skb)])
    b.event("sched_process_exit", [("p", task)])
    b.event("sched_stat_runtime", [("tsk", task), ("runtime", u64), ("vruntime", u64)])
    return write_btf(folder / "older", b)


@pytest.fixture(params=["running", "older"])
def kernel(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path | None]:
    """What `tpgen show` calls a kernel, and the BTF that the loader takes for it."""
    return ("live", None) if request.param == "running" else ("debian-5.10-amd64", older_btf(tmp_path))


# --- random programs


def refused(bpf: BpfObject, log: Mapping[str, str], made: Unit) -> dict[str, str]:
    """The reason of each program that does not load or is not attached."""
    found = dict(log)
    for name, _ in made.programs:
        if name not in found:
            try:
                with bpf.attached(name):
                    pass
            except LibbpfError as error:
                found[name] = str(error)
    return found


@pytest.mark.parametrize("form", ["raw", "tp"])
def test_random_programs(compiler: Compiler, form: str, headers: Path, tmp_path: Path, report: list[str]) -> None:
    """All are loaded and attached."""
    subjects = [guarded.subject(path) for path in sorted(headers.glob(f"{form}_*.h"))]
    made = guarded.unit(subjects, "live", count(), ("raw_tp", "tp_btf", "tp"))
    obj = compiler.compile(made.bpf, tmp_path / "guarded.o", include=[headers])
    with loaded(obj, [name for name, _ in made.programs]) as (bpf, log):
        found = refused(bpf, log, made)
    report.append(f"random programs, {form}, {compiler.name}: {len(found)} of {len(made.programs)} refused")
    assert found == {}


def test_random_programs_return_what_they_should(
    compiler: Compiler, kernel: tuple[str, Path | None], headers: Path, tmp_path: Path
) -> None:
    """What the kernel runs returns what the same text does on this machine, with accessors by `tpgen show`."""
    name, btf = kernel
    subjects = {event: guarded.subject(headers / f"raw_{event}.h") for event in RAW}
    made = guarded.unit(list(subjects.values()), "values", count(), ("raw_tp",))
    slots = [random.Random(number).getrandbits(64) for number in range(SLOTS)]
    expected = run_here(guarded.native(made, stubs_of(name, subjects), slots), tmp_path)
    obj = compiler.compile(made.bpf, tmp_path / "guarded.o", include=[headers])
    found = []
    with BpfObject(obj, kernel_btf=btf) as bpf:
        memory = bpf.map(".bss")
        for program, _ in made.programs:
            memory.update(bytes(4), bytes(memory.value_size))
            found.append(bpf.test_run(program, slots))
    assert found == expected


def stubs_of(kernel: str, subjects: Mapping[str, Subject]) -> str:
    listed: list[dict[str, Any]] = json.loads(tpgen("show", *subjects, "--json", "--kernel", kernel).out)
    arguments = {event["name"]: event["args"] for event in listed}
    return "".join(guarded.stubs(event, arguments[event], about) for event, about in subjects.items())


def run_here(text: str, folder: Path) -> list[int]:
    """What a C program for this machine prints, as numbers."""
    (folder / "native.c").write_text(text)
    command = (CLANG, "-O1", "-w", str(folder / "native.c"), "-o", str(folder / "native"))
    subprocess.run(command, check=True)
    done = subprocess.run([str(folder / "native")], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


# --- the forms of a guard

PROGRAM = """
#define SEC(name) __attribute__((section(name), used))
#include "raw_sched_switch.h"
char LICENSE[] SEC("license") = "GPL";
unsigned long long total;
volatile int runtime;
#define HAS raw_sched_switch_has_prev_state()
#define READ raw_sched_switch_prev_state(ctx)
%s
SEC("%s/sched_switch") int on_switch(const void *ctx)
{
	%s
	return 0;
}
"""
# The statement, and what stands in front of the program.
FORMS = {
    "if": ("if (HAS) total += READ;", ""),
    "negated": ("if (!HAS) return 0; total += READ;", ""),
    "conditional expression": ("total += HAS ? READ : 7;", ""),
    "and": ("if (HAS && READ == 2) total++;", ""),
    "or": ("if (!HAS || READ == 2) total++;", ""),
    "run-time condition first": ("if (runtime && HAS) total += READ;", ""),
    "run-time condition last": ("if (HAS && runtime) total += READ;", ""),
    "flag": ("int has = HAS; total++; if (has) total += READ;", ""),
    "flag that is taken back": ("int has = HAS; if (runtime) has = 0; if (has) total += READ;", ""),
    "around a loop": ("if (HAS) for (int i = 0; i < 8; i++) if (runtime) total += READ;", ""),
    "in a loop": ("int has = HAS; for (int i = 0; i < 8; i++) if (has && runtime) total += READ;", ""),
    "of a loop": ("for (int i = 0; HAS && i < 8; i++) total += READ;", ""),
    "switch": ("switch ((int)HAS) { case 1: total += READ; break; default: total++; }", ""),
    "static function": (
        "if (has()) total += READ;",
        "static __attribute__((noinline)) int has(void) { return HAS; }",
    ),
    "argument of a static function": (
        "total += read(ctx, HAS);",
        "static __attribute__((noinline)) int read(const void *ctx, int has) { return has ? (int)READ : 0; }",
    ),
    "around a static function": (
        "if (HAS) total += read(ctx);",
        "static __attribute__((noinline)) int read(const void *ctx) { return (int)READ; }",
    ),
}  # fmt: skip
# The verifier looks at a global function by itself, and knows nothing of what it returns.
NO_FORMS = {
    "none": ("total += READ;", ""),
    "behind another run-time condition": ("if (runtime) total += READ;", ""),
    "of another argument": ("if (raw_sched_switch_has_prev()) total += READ;", ""),
    "global function": (
        "if (has()) total += READ;",
        "__attribute__((noinline)) int has(void);\n__attribute__((noinline)) int has(void) "
        "{ int there = HAS; __asm__ volatile(\"\" : \"+r\"(there)); return there; }",
    ),
}  # fmt: skip
TYPES = ("raw_tp", "tp_btf")


def form(compiler: Compiler, text: tuple[str, str], program_type: str, headers: Path, folder: Path) -> Path:
    statement, front = text
    return compiler.compile(PROGRAM % (front, program_type, statement), folder / "form.o", include=[headers])


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_guard(compiler: Compiler, text: tuple[str, str], headers: Path, tmp_path: Path) -> None:
    """Every form is one, on the running kernel and on one without the argument."""
    obj = form(compiler, text, "raw_tp", headers, tmp_path)
    for btf in (None, older_btf(tmp_path)):
        with BpfObject(obj, kernel_btf=btf) as bpf:
            bpf.attach("on_switch")


@pytest.mark.parametrize("text", NO_FORMS.values(), ids=NO_FORMS)
def test_no_guard(compiler: Compiler, text: tuple[str, str], headers: Path, tmp_path: Path) -> None:
    """The kernel without the argument refuses the program when it is loaded, below a line that names the argument."""
    obj = form(compiler, text, "raw_tp", headers, tmp_path)
    with BpfObject(obj) as bpf:
        bpf.attach("on_switch")
    with pytest.raises(VerifierError) as raised, BpfObject(obj, kernel_btf=older_btf(tmp_path)):
        pass
    assert re.search(WORDS, raised.value.log["on_switch"]), raised.value.log["on_switch"]


#: The words that a user sees; docs/many-kernels.md shows them.
WORDS = r"TPGEN_ABSENT\(raw_sched_switch_prev_state\);.*\n.*call unknown#195896080.*\n.*invalid func unknown#195896080"


@pytest.mark.parametrize("program_type", TYPES)
def test_types_of_programs(compiler: Compiler, program_type: str, headers: Path, tmp_path: Path) -> None:
    obj = form(compiler, FORMS["in a loop"], program_type, headers, tmp_path)
    with BpfObject(obj) as bpf:
        bpf.attach("on_switch")


# --- the page

PAGE = (Path(__file__).parents[2] / "docs" / "many-kernels.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_words_of_the_page() -> None:
    (words,) = blocks("text")
    assert re.search(WORDS, words)


def test_example_of_the_page(compiler: Compiler, libbpf_include: Path, headers: Path, tmp_path: Path) -> None:
    code, *_ = blocks("c")  # the others are of other headers
    body = code.replace("\t…\n", "\treturn (int)state;\n")
    front = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"
    text = f'{front}{body}char LICENSE[] SEC("license") = "GPL";\n'
    system = (libbpf_include, Path("/usr/include"), Path("/usr/include") / str(sysconfig.get_config_var("MULTIARCH")))
    obj = compiler.compile(text, tmp_path / "example.o", include=[headers], system=system)
    for btf in (None, older_btf(tmp_path)):
        with BpfObject(obj, kernel_btf=btf) as bpf:
            bpf.attach("on_switch")


def test_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks("console")).splitlines():
        program, *words = shlex.split(line.removeprefix("$ "))
        done = tpgen(*words)
        assert (program, done.code, done.err) == ("tpgen", 0, "")
    assert sorted(path.name for path in Path("include").iterdir()) == [
        "raw_sched_switch.h", "tp_sched_switch.h", "tpgen_portable_1.h", "tpgen_prelude_1.h", "values_kfree_skb.h",
        "values_sched_switch.h",
    ]  # fmt: skip
    assert Path("core_task_struct_state.h").is_file()
