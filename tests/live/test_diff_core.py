"""What CO-RE survives, by libbpf: a program made for one record is relocated to a kernel with another one and loaded.

libbpf refuses what it cannot relocate. What it relocates can still be read wrongly: then `tpgen diff` says more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.compilers import Compiler
from support.libbpf import BpfObject, VerifierError

from tpgen.programs.compat import Programs, breaks_field
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints

pytestmark = [pytest.mark.live, pytest.mark.compilers]


@dataclass(frozen=True)
class Case:
    """A member `f` of the type `old` that is `new` in the kernel, and what of it the programs with CO-RE come to."""

    old: str
    new: str
    loads: bool
    survives: bool


# libbpf is to say `loads`; `survives` is the same, but where what is read is another value.
CASES = {
    "moved": Case("int", "int @32", loads=True, survives=True),
    "wider_unsigned": Case("unsigned int", "unsigned long", loads=True, survives=True),
    "narrower_unsigned": Case("unsigned long", "unsigned int", loads=True, survives=True),
    "wider_signed": Case("int", "long", loads=False, survives=False),
    "narrower_signed": Case("long", "int", loads=False, survives=False),
    "sign": Case("int", "unsigned int", loads=True, survives=False),
    "enum_for_int": Case("int", "enum a", loads=False, survives=False),
    "int_for_enum": Case("enum a", "unsigned int", loads=False, survives=False),
    "other_enum": Case("enum a", "enum b", loads=False, survives=False),
    "same_enum": Case("enum a", "enum a @16", loads=True, survives=True),
    "pointer_qualified": Case("void *", "const void *", loads=True, survives=True),
    "other_pointer": Case("struct p *", "struct q *", loads=True, survives=False),
    "number_for_pointer": Case("void *", "unsigned long", loads=False, survives=False),
    "longer_array": Case("char [8]", "char [10]", loads=True, survives=True),
    "shorter_array": Case("char [10]", "char [8]", loads=False, survives=False),
    "other_elements": Case("int [4]", "struct c [4]", loads=False, survives=False),
    "array_for_int": Case("int", "int [4]", loads=False, survives=False),
}


def kernel(path: Path, new: dict[str, str]) -> Path:
    """BTF with a class for each case, whose member `f` is of the type `new`, at 8 or at the offset behind an `@`."""
    b = BtfBuilder()
    b.event("e", [])
    entry = b.structure("trace_entry", 8)
    types = {
        "void": 0, "int": b.integer("int", 4, SIGNED), "unsigned int": b.integer("unsigned int", 4),
        "long": b.integer("long int", 8, SIGNED), "unsigned long": b.integer("long unsigned int", 8),
        "char": b.integer("char", 1, SIGNED), "enum a": b.enum("a", values=[("A", 0)]),
        "enum b": b.enum("b", values=[("B", 0)]), "struct p": b.fwd("p"), "struct q": b.fwd("q"),
    }  # fmt: skip
    types["struct c"] = b.structure("c", 4, [("c", types["int"], 0)])
    types["const void"] = b.qualifier("CONST", 0)
    for name, text in new.items():
        declared, _, offset = text.partition(" @")
        base, _, length = declared.removesuffix("]").partition(" [")
        ctype = b.array(types[base], int(length)) if length else _pointed(b, types, base)
        b.event_class(name, [], 64, [("ent", entry, 0), ("f", ctype, int(offset or 8))])
    path.write_bytes(b.blob())
    return path


def _pointed(b: BtfBuilder, types: dict[str, int], text: str) -> int:
    return b.ptr(types[text.removesuffix(" *")]) if text.endswith(" *") else types[text]


def program(name: str, old: str) -> str:
    """A program that loads `f` of the class `name` as it was; of an array, its first and its last element."""
    base, _, length = old.removesuffix("]").partition(" [")
    declared = f"{base} f[{length}]" if length else f"{old} f"
    read = f"ctx->f[0] + ctx->f[{int(length) - 1}]" if length else "ctx->f"
    return f"""
struct trace_event_raw_{name} {{ long ent; {declared}; char end[32]; }} __attribute__((preserve_access_index));
__attribute__((section("tp/sched/sched_switch"), used))
int {name}(struct trace_event_raw_{name} *ctx) {{ volatile long sum = (long)({read}); return sum != 0; }}
"""


@pytest.fixture(scope="module")
def files(compiler: Compiler, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The programs, compiled, and the kernel's BTF."""
    folder = tmp_path_factory.mktemp("core")
    head = (
        'enum a { A }; enum b { B }; struct c { int c; };\nchar _license[] __attribute__((section("license"))) = "GPL";'
    )
    text = head + "".join(program(name, case.old) for name, case in CASES.items())
    built = compiler.compile(text, folder / "programs.o")
    return built, kernel(folder / "vmlinux", {name: case.new for name, case in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_a_field(files: tuple[Path, Path], name: str, tmp_path: Path) -> None:
    built, btf = files
    case = CASES[name]
    assert _loads(built, btf, name) is case.loads
    old, new = (_tracepoints(file).record(name) for file in (kernel(tmp_path / "old", {name: case.old}), btf))
    assert old is not None
    assert new is not None
    broken = breaks_field(old.fields[0], new.fields[0])
    assert (Programs.CORE not in broken) is case.survives


def test_a_class_of_another_name(files: tuple[Path, Path], tmp_path: Path) -> None:
    built, _ = files
    assert _loads(built, kernel(tmp_path / "same", {"moved": "int"}), "moved")
    assert not _loads(built, kernel(tmp_path / "other", {"gone": "int"}), "moved")


def _loads(built: Path, btf: Path, name: str) -> bool:
    try:
        with BpfObject(built, programs=[name], kernel_btf=btf):
            return True
    except VerifierError as error:
        # What libbpf makes of an instruction that it cannot relocate. Any other refusal is a fault of this test.
        if "<invalid CO-RE relocation>" not in error.log[name]:
            raise
        return False


def _tracepoints(file: Path) -> BtfTracepoints:
    return BtfTracepoints(Btf(file.read_bytes(), str(file), names=TRACEPOINT_NAMES))
