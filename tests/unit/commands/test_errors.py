"""Bad BTF through the command line: one line on stderr that says where and what, exit status 2, nothing else."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bounds import bounded
from support.btf_builder import BtfBuilder, bzimage, elf
from support.cli import Done, refusal, tpgen
from support.compressors import zstd_frame
from support.small_kernel import small_btf, write_btf, write_tracefs


def tiny() -> BtfBuilder:
    """Five types in 80 bytes and 17 bytes of strings: `int`, then what makes `void (*btf_trace_e)(void *, int)`."""
    b = BtfBuilder()
    b.integer("int", 4, 1 << 0)
    b.event("e", [("a", 1)], ())
    return b


HEADER, TYPES, STRINGS = 24, 80, 17
UNKNOWN = (
    "{0}: neither BTF nor an ELF file nor a kernel image with BTF inside [image-unknown]; "
    "give /sys/kernel/btf/vmlinux, a vmlinux, a .ko, a vmlinuz or a raw BTF blob"
)


def refused(data: bytes, path: Path, *arguments: str) -> Done:
    """`tpgen show e` for a file with these contents."""
    path.write_bytes(data)
    return tpgen(*(arguments or ("show", "e")), "--btf", path)


def test_sizes_stated_here() -> None:
    """The numbers that the expectations below are worked out from."""
    builder = tiny()
    assert len(b"".join(builder.types)) == TYPES
    assert len(builder.strings) == STRINGS
    assert len(builder.blob()) == HEADER + TYPES + STRINGS


CUTS = {
    0: UNKNOWN,
    1: UNKNOWN,
    2: "{0}: corrupt BTF: the header ends after 2 of 24 bytes [btf-truncated]",
    23: "{0}: corrupt BTF: the header ends after 23 of 24 bytes [btf-truncated]",
    HEADER: "{0}: corrupt BTF: the type section lacks 80 of 80 bytes [btf-truncated]",
    HEADER + 1: "{0}: corrupt BTF: the type section lacks 79 of 80 bytes [btf-truncated]",
    HEADER + 76: "{0}: corrupt BTF: the type section lacks 4 of 80 bytes [btf-truncated]",
    HEADER + TYPES: "{0}: corrupt BTF: the string section lacks 17 of 17 bytes [btf-truncated]",
    HEADER + TYPES + 1: "{0}: corrupt BTF: the string section lacks 16 of 17 bytes [btf-truncated]",
    HEADER + TYPES + 16: "{0}: corrupt BTF: the string section lacks 1 of 17 bytes [btf-truncated]",
}


@pytest.mark.parametrize(("kept", "message"), CUTS.items(), ids=map(str, CUTS))
@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
def test_cut(kept: int, message: str, big_endian: bool, tmp_path: Path) -> None:
    """A blob cut at and around every boundary of its sections."""
    builder = BtfBuilder(big_endian)
    builder.integer("int", 4, 1)
    builder.event("e", [("a", 1)], ())
    path = tmp_path / "cut"
    assert refused(builder.blob()[:kept], path) == refusal(message.format(path))


@pytest.mark.parametrize("command", [["e"], ["e", "--raw"], ["show", "*", "--json"], ["list"], ["check"], ["probe"]])
def test_every_command_refuses(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "cut"
    assert refused(tiny().blob()[:50], path, *command) == refusal(
        f"{path}: corrupt BTF: the type section lacks 54 of 80 bytes [btf-truncated]"
    )


# --- corrupt types: what to do to `tiny()` before the blob is made, and the message


def retype(position: int, *words: int) -> Callable[[BtfBuilder], None]:
    """Puts other words in the place of a type."""

    def change(b: BtfBuilder) -> None:
        b.types[position - 1] = b.words(*words)

    return change


def without_event(b: BtfBuilder) -> None:
    """Leaves `int` only, to build another btf_trace_e."""
    del b.types[1:]


def event_of(make: Callable[[BtfBuilder], int]) -> Callable[[BtfBuilder], None]:
    """`btf_trace_e` with one argument, of the type that `make` makes: as type 2 and on."""

    def change(b: BtfBuilder) -> None:
        without_event(b)
        b.event("e", [("a", make(b))], ())

    return change


def event_that_is(make: Callable[[BtfBuilder], int]) -> Callable[[BtfBuilder], None]:
    """`btf_trace_e` as a typedef of something else."""

    def change(b: BtfBuilder) -> None:
        without_event(b)
        b.typedef("btf_trace_e", make(b))

    return change


def record_of(*members: tuple[str, int, int], size: int = 16) -> Callable[[BtfBuilder], None]:
    """A class `e` whose record has these members; its struct is type 9."""

    def change(b: BtfBuilder) -> None:
        b.event_class("e", [1], size, members)

    return change


def cycle_of_two(b: BtfBuilder) -> int:
    return b.typedef("u", b.typedef("v", 3))


def far_away(b: BtfBuilder) -> int:
    """A struct of 3 GB, which no pointer's target minds, and an array of it."""
    return b.array(b.structure("huge", 3 << 30), 1 << 31)


def chain(length: int) -> Callable[[BtfBuilder], int]:
    """Typedefs of typedefs of int."""

    def make(b: BtfBuilder) -> int:
        target = 1
        for number in range(length):
            target = b.typedef(f"t{number}", target)
        return target

    return make


def cut_types(b: BtfBuilder) -> None:
    b.types[-1] = b.types[-1][:-4]


def cut_prototype(b: BtfBuilder) -> None:
    """The prototype says three parameters and has two."""
    b.types[2] = b.words(0, 13 << 24 | 3, 0, 0, 2, 0, 1)
    del b.types[3:]


KIND = 24
CORRUPT: dict[str, tuple[Callable[[BtfBuilder], None], str]] = {
    "last type cut": (cut_types, "the type section ends inside type 5 [btf-truncated]"),
    "a parameter too few": (cut_prototype, "the type section ends inside type 3 [btf-truncated]"),
    "unknown kind": (retype(4, 0, 20 << KIND, 3), "type 4 has unknown kind 20 [btf-bad-kind]"),
    "largest unknown kind": (retype(1, 0, 31 << KIND, 3, 0), "type 1 has unknown kind 31 [btf-bad-kind]"),
    "kind void": (retype(4, 0, 0, 3), "type 4 has unknown kind 0 [btf-bad-kind]"),
    "typedef of itself": (event_of(lambda b: b.typedef("t", 2)), "type 2 refers to itself [btf-cycle]"),
    "typedefs of each other": (event_of(cycle_of_two), "type 3 refers to itself [btf-cycle]"),
    "const of itself": (event_of(lambda b: b.qualifier("CONST", 2)), "type 2 refers to itself [btf-cycle]"),
    "pointer to itself": (event_of(lambda b: b.ptr(2)), "type 2 refers to itself [btf-cycle]"),
    "array of itself": (event_of(lambda b: b.array(2, 2)), "type 2 refers to itself [btf-cycle]"),
    "type tag of itself": (event_of(lambda b: b.type_tag("rcu", 2)), "type 2 refers to itself [btf-cycle]"),
    "prototype that takes itself": (
        event_of(lambda b: b.ptr(b.func_proto(0, [("", 3)]))),
        "type 3 refers to itself [btf-cycle]",
    ),
    "argument's id out of range": (
        retype(3, 0, 13 << KIND | 2, 0, 0, 2, 0, 70),
        "type id 70 is out of range, there are 6 types [btf-bad-id]",
    ),
    "the first id out of range": (
        retype(3, 0, 13 << KIND | 2, 0, 0, 2, 0, 6),
        "type id 6 is out of range, there are 6 types [btf-bad-id]",
    ),
    "typedef's id out of range": (
        event_of(lambda b: b.typedef("t", 0xFFFFFFFF)),
        "type id 4294967295 is out of range, there are 7 types [btf-bad-id]",
    ),
    "event's id out of range": (
        event_that_is(lambda b: 9),
        "type id 9 is out of range, there are 3 types [btf-bad-id]",
    ),
    "name offset out of range": (
        event_of(lambda b: b.add("TYPEDEF", 5000, 1)),
        "name offset 5000 is outside of the string section [btf-bad-name]",
    ),
    "first name offset out of range": (
        event_of(lambda b: b.add("STRUCT", STRINGS, 4)),
        "name offset 17 is outside of the string section [btf-bad-name]",
    ),
    "parameter's name out of range": (
        retype(3, 0, 13 << KIND | 2, 0, 0, 2, 999, 1),
        "name offset 999 is outside of the string section [btf-bad-name]",
    ),
    "name that is not ASCII": (
        event_of(lambda b: b.typedef("größe", 1)),
        "the name at offset 17 is not ASCII [btf-bad-name]",
    ),
    "name that is no identifier": (
        event_of(lambda b: b.structure("x; int y", 4)),
        "type 2 of kind STRUCT has the name 'x; int y' [btf-bad-name]",
    ),
    "control characters in a name": (
        event_of(lambda b: b.typedef("a\n\x1b[31m", 1)),
        "type 2 of kind TYPEDEF has the name 'a\\n\\x1b[31m' [btf-bad-name]",
    ),
    "typedef without a name": (
        event_of(lambda b: b.typedef("", 1)), "type 2 of kind TYPEDEF has the name '' [btf-bad-name]"
    ),
    "event that is an int": (event_that_is(lambda b: 1), "btf_trace_e is not a function pointer [btf-bad-kind]"),
    "event that is a struct": (
        event_that_is(lambda b: b.structure("s", 4)), "btf_trace_e is not a function pointer [btf-bad-kind]"
    ),
    "event that is void": (event_that_is(lambda b: 0), "btf_trace_e is not a function pointer [btf-bad-kind]"),
    "event that is a prototype": (
        event_that_is(lambda b: b.func_proto(0, [])), "btf_trace_e is not a function pointer [btf-bad-kind]"
    ),
    "event that points to int": (
        event_that_is(lambda b: b.ptr(1)), "type 1 is not a function prototype [btf-bad-kind]"
    ),
    "event that points to void": (
        event_that_is(lambda b: b.ptr(0)), "type 0 is not a function prototype [btf-bad-kind]"
    ),
    "function as a type": (
        event_of(lambda b: b.func("f", b.func_proto(0, []))),
        "type 3 of kind FUNC is used as a type [btf-bad-kind]",
    ),
    "variable as a type": (event_of(lambda b: b.var("x", 1)), "type 2 of kind VAR is used as a type [btf-bad-kind]"),
    "int of three bytes": (
        event_of(lambda b: b.integer("long unsigned int", 3)), "type 2 of kind INT has 3 bytes [btf-bad-size]"
    ),
    "int of no bytes": (event_of(lambda b: b.integer("u", 0)), "type 2 of kind INT has 0 bytes [btf-bad-size]"),
    "enum of 16 bytes": (event_of(lambda b: b.enum("n", 16)), "type 2 of kind ENUM has 16 bytes [btf-bad-size]"),
    "struct that fits no slot": (
        event_of(lambda b: b.structure("s", 3)),
        "argument 0 of btf_trace_e is of type `struct s`, which fits no u64 [btf-bad-size]",
    ),
    "void as an argument": (
        event_of(lambda b: b.qualifier("CONST", 0)),
        "argument 0 of btf_trace_e is of type `const void`, which fits no u64 [btf-bad-size]",
    ),
    "float as an argument": (
        event_of(lambda b: b.floating("double", 8)),
        "argument 0 of btf_trace_e is of type `double`, which fits no u64 [btf-bad-size]",
    ),
    "variadic event": (
        retype(3, 0, 13 << KIND | 2, 0, 0, 2, 0, 0),
        "argument 0 of btf_trace_e is of type `void`, which fits no u64 [btf-bad-size]",
    ),
    "record's id out of range": (
        record_of(("x", 50, 8)), "type id 50 is out of range, there are 10 types [btf-bad-id]"
    ),
    "record with a member of no size": (record_of(("x", 3, 8)), "type 3 has no size [btf-bad-kind]"),
    "member behind the record's end": (
        record_of(("x", 1, 13)), "member x lies behind the end of type 9 [btf-bad-size]"
    ),
    "record of 65537 bytes": (
        record_of(("x", 1, 8), size=65537), "type 9 has 65537 bytes, too many for a trace record [btf-bad-size]"
    ),
    "member without a name": (
        record_of(("", 1, 8)), "a member of a trace record has the name '' [btf-bad-name]"
    ),
    "member whose name is no identifier": (
        record_of(("a b", 1, 8)), "a member of a trace record has the name 'a b' [btf-bad-name]"
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", [["show", "e"], ["e"], ["check", "e"]], ids=["show", "generate", "check"])
@pytest.mark.parametrize(("change", "message"), CORRUPT.values(), ids=CORRUPT)
def test_corrupt(change: Callable[[BtfBuilder], None], message: str, command: list[str], tmp_path: Path) -> None:
    builder, path = tiny(), tmp_path / "blob"
    change(builder)
    assert refused(builder.blob(), path, *command) == refusal(f"{path}: corrupt BTF: {message}")


def patched(at: int, value: bytes) -> bytes:
    """tiny's blob with other bytes at an offset."""
    blob = tiny().blob()
    return blob[:at] + value + blob[at + len(value) :]


SECTIONS = {
    "version": (patched(2, b"\x02"), "{0}: BTF version 2 is not known [btf-bad-version]; tpgen reads version 1"),
    "magic": (patched(0, b"\x9f\xec"), UNKNOWN),
    "magic in a section": (
        elf({".BTF": patched(0, b"\x9f\xec")}),
        "{0}: corrupt BTF: it does not start with the magic 0xeb9f [btf-bad-magic]",
    ),
    "section in an ELF file cut": (
        elf({".BTF": tiny().blob()[:100]}),
        "{0}: corrupt BTF: the type section lacks 4 of 80 bytes [btf-truncated]",
    ),
    "type section not of words": (
        patched(12, (78).to_bytes(4, "little")),
        "{0}: corrupt BTF: the size of the type section is not a multiple of 4 [btf-truncated]",
    ),
    "type section too long": (
        patched(12, (0x7FFFFFF0).to_bytes(4, "little")),
        "{0}: corrupt BTF: the type section lacks 2147483535 of 2147483632 bytes [btf-truncated]",
    ),
    "strings without an end": (
        tiny().blob()[:-1] + b"x",
        "{0}: corrupt BTF: the string section does not end with a NUL [btf-truncated]",
    ),
    "elf without btf": (
        elf({".text": b"\x90"}),
        "{0}: ELF file without a .BTF section [image-no-btf]; was it built with CONFIG_DEBUG_INFO_BTF?",
    ),
    "elf cut": (elf({".BTF": tiny().blob()})[:70], "{0}: truncated or corrupt ELF file [image-truncated]"),
    "text": (b"name: sched_switch\n", UNKNOWN),
    "xz cut": (lzma.compress(tiny().blob())[:60], "{0}: the compressed data ends early [image-truncated]"),
    "gzip cut": (gzip.compress(tiny().blob())[:60], "{0}: the compressed data ends early [image-truncated]"),
    "zstd cut": (
        zstd_frame(tiny().blob())[:60],
        "{0}: the compressed data ends early [image-truncated]",
    ),
    "kernel image cut": (
        bzimage(gzip.compress(elf({".BTF": tiny().blob()})))[:-30],
        "{0}: the compressed data ends early [image-truncated]",
    ),
}


@pytest.mark.parametrize(("data", "message"), SECTIONS.values(), ids=SECTIONS)
def test_bad_section(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    assert refused(data, path) == refusal(message.format(path))


# --- files that do not go together


def module_of(base: BtfBuilder) -> BtfBuilder:
    module = BtfBuilder(base=base)
    module.event("of_module", [("a", 1)])
    return module


def test_split_without_base(tmp_path: Path) -> None:
    path = write_btf(tmp_path / "xe", module_of(small_btf()))
    assert tpgen("show", "of_module", "--btf", path) == refusal(
        f"{path}: this is the BTF of a module, and the BTF of its kernel is missing [btf-no-base]; "
        "give the kernel's own BTF as well: --btf vmlinux --btf MODULE"
    )


@pytest.mark.parametrize("command", [["show", "of_module"], ["show", "e"], ["of_module", "--raw"], ["check"], ["list"]])
@pytest.mark.parametrize("other", ["shorter", "longer", "one name more"])
def test_split_on_another_base(other: str, command: list[str], tmp_path: Path) -> None:
    """A module refers to its own kernel's names; in those of another build they begin elsewhere."""
    path = write_btf(tmp_path / "xe", module_of(small_btf()))
    wrong = tiny() if other == "shorter" else BtfBuilder()
    if other != "shorter":
        wrong.string("of another build")
        wrong.types += small_btf().types * (3 if other == "longer" else 1)
        wrong.strings += small_btf().strings[1:] * (3 if other == "longer" else 1)
    vmlinux = write_btf(tmp_path / "vmlinux", wrong)
    done = tpgen(*command, "--btf", vmlinux, "--btf", path)
    assert done == refusal(
        f"{path}: the BTF of this module was not made for that in {vmlinux} [btf-wrong-base]; "
        "give the BTF of the kernel that the module was built for"
    )


def test_two_kernels(tmp_path: Path) -> None:
    one, two = write_btf(tmp_path / "one"), write_btf(tmp_path / "two")
    assert tpgen("show", "e", "--btf", one, "--btf", two) == refusal(
        f"{two}: this and {one} are both the BTF of a kernel [btf-two-kernels]; give one of them"
    )


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    assert tpgen("show", "e", "--btf", path) == refusal(f"{path}: cannot read: No such file or directory [unreadable]")


def test_directory_for_a_file(tmp_path: Path) -> None:
    assert tpgen("show", "e", "--btf", tmp_path) == refusal(f"{tmp_path}: cannot read: Is a directory [unreadable]")


def test_another_architecture(tmp_path: Path) -> None:
    path = write_btf(tmp_path / "vmlinux")
    assert tpgen("list", "--btf", path, "--arch", "s390x") == refusal(
        f"{path}: this BTF is not for s390x: byte order or pointer size differ [arch-mismatch]"
    )


def test_unknown_architecture(tmp_path: Path) -> None:
    assert tpgen("list", "--btf", write_btf(tmp_path / "vmlinux"), "--arch", "pdp11") == refusal(
        "unknown architecture 'pdp11' [unknown-arch]; known are aarch64, alpha, arm, i386, loongarch64, "
        "mips64, mips64el, mipsel, powerpc, ppc64, ppc64le, riscv64, s390x, sparc64, x86_64"
    )


# --- where nothing asks for the corrupt type


UNUSED: dict[str, tuple[Callable[[BtfBuilder], int], str]] = {
    "typedef": (lambda b: b.typedef("unused", 99), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "pointer": (lambda b: b.ptr(7), "type 6 refers to type 7, there are 7 [btf-bad-id]"),
    "array's element": (lambda b: b.array(99, 1), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "array's index": (lambda b: b.array(1, 1, 99), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "member": (
        lambda b: b.structure("s", 8, [("a", 1, 0), ("b", 99, 4)]),
        "type 6 refers to type 99, there are 7 [btf-bad-id]",
    ),
    "member's name": (
        lambda b: b.add("UNION", "u", 4, [777, 1, 0], 1),
        "name offset 777 is outside of the string section [btf-bad-name]",
    ),
    "parameter": (lambda b: b.func_proto(0, [("", 99)]), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "result": (lambda b: b.func_proto(99, []), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "function": (lambda b: b.func("f", 99), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "variable": (lambda b: b.var("v", 99), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "data section": (lambda b: b.datasec("d", 4, [(99, 0, 4)]), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "declaration tag": (lambda b: b.decl_tag("t", 99), "type 6 refers to type 99, there are 7 [btf-bad-id]"),
    "name": (lambda b: b.add("FWD", 777, 0), "name offset 777 is outside of the string section [btf-bad-name]"),
    "cycle": (lambda b: b.qualifier("CONST", 6), "type 6 refers to itself [btf-cycle]"),
}


@pytest.mark.parametrize(("add", "message"), UNUSED.values(), ids=UNUSED)
def test_check_looks_at_every_type(add: Callable[[BtfBuilder], int], message: str, tmp_path: Path) -> None:
    """A type that no tracepoint leads to: only `check` cares, and it is a finding."""
    builder = tiny()
    assert add(builder) == 6
    path = write_btf(tmp_path / "blob", builder)
    assert tpgen("show", "e", "--btf", path).code == 0
    done = tpgen("check", "--btf", path)
    assert (done.code, done.err) == (1, "")
    assert f"{path}: error: corrupt BTF: {message}" in done.out.splitlines()


@pytest.mark.parametrize("length", [10, 300, 450, 3000])
def test_long_chain_of_typedefs(length: int, tmp_path: Path) -> None:
    """However deep, an answer or one line."""
    builder, path = tiny(), tmp_path / "blob"
    event_of(chain(length))(builder)
    path.write_bytes(builder.blob())
    for command in (["show", "e"], ["e", "--raw"], ["check"]):
        done = tpgen(*command, "--btf", path)
        assert done.code == 0 or one_line(done), done.err


def one_line(done: Done) -> bool:
    return done.code == 2 and done.out == "" and ": error: " in done.err and done.err.count("\n") == 1


# --- any mutation at all

BLOB = small_btf().blob()
COMMANDS = (["show", "*"], ["show", "*", "--json"], ["check"], ["*"])
words = st.one_of(
    st.sampled_from([0, 1, 2, 70, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]),
    st.integers(0, 19).map(lambda kind: kind << KIND | 1),
    st.integers(0, 0xFFFFFFFF),
)
mutations = st.one_of(
    # other bytes, other words, pieces left out, pieces twice
    st.tuples(st.just("byte"), st.integers(0, len(BLOB) - 1), st.integers(0, 255)),
    st.tuples(st.just("word"), st.integers(0, len(BLOB) // 4 - 1), words),
    st.tuples(st.just("cut"), st.integers(0, len(BLOB) - 1), st.integers(1, 64)),
    st.tuples(st.just("twice"), st.integers(0, len(BLOB) - 1), st.integers(1, 64)),
)


def mutated(blob: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    data = bytearray(blob)
    for what, at, value in changes:
        if what == "byte" and at < len(data):
            data[at] = value
        elif what == "word" and 4 * at + 4 <= len(data):
            data[4 * at : 4 * at + 4] = value.to_bytes(4, "little")
        elif what == "cut":
            del data[at : at + value]
        elif what == "twice":
            data[at:at] = data[at : at + value]
    return bytes(data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tracefs, for a blob to be put beside it."""
    folder = tmp_path_factory.mktemp("mutations")
    write_tracefs(folder / "tracefs")
    return folder


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(changes=st.lists(mutations, min_size=1, max_size=3), command=st.sampled_from(COMMANDS), both=st.booleans())
def test_any_mutation(place: Path, changes: list[tuple[str, int, int]], command: list[str], both: bool) -> None:
    """A result, a finding or one line, and in bounded time: never another exception, which would end this test."""
    blob = place / "blob"
    blob.write_bytes(mutated(BLOB, changes))
    sources: list[str | Path] = ["--btf", blob]
    sources += ["--tracefs", place / "tracefs"] if both else []
    output: list[str | Path] = ["-o", place / "out"] if command == ["*"] else []
    with bounded():
        done = tpgen(*command, *sources, *output)
    assert done.code in (0, 1) or one_line(done), done


def test_an_installation_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user who is not let into the directory that holds the templates."""
    btf = write_btf(tmp_path / "b")
    monkeypatch.setattr("tpgen.paths.__file__", str(tmp_path / "site" / "tpgen" / "paths.py"))
    for name in ("template", "_environment"):
        getattr(import_module("tpgen.backends.templates"), name).cache_clear()
    where = tmp_path / "site" / "tpgen"
    assert tpgen("sched_switch", "--raw", "--btf", btf, "-b", "go") == refusal(
        f"cannot find templates/ in {where} or beside it [installation]; install tpgen where this user can read it"
    )
