"""How much of BTF is looked at: types as far as one is asked for, and all of them in one pass, whether they are sound.

That pass is judged by the one that asks each type by itself, over BTF of which one word is another.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
from collections.abc import Iterator

import pytest
from support.btf_builder import HEADER_BYTES, SIGNED, BtfBuilder
from support.live import VMLINUX_BTF
from support.small_kernel import small_btf

from tpgen.diagnostics import TpgenError
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.btf_types import TypeSection
from tpgen.sources.files import mapped


def split_on(base: BtfBuilder) -> BtfBuilder:
    """A module with each kind that refers to others."""
    b = BtfBuilder(base=base)
    number = b.integer("module_int", 4, SIGNED)
    record = b.structure("module_struct", 8, [("one", number, 0), ("two", b.ptr(number), 4)])
    b.typedef("module_t", b.qualifier("CONST", b.qualifier("VOLATILE", record)))
    b.func("module_function", b.func_proto(0, [("a", number), ("b", 1)]))
    b.array(number, 3)
    b.datasec(".data", 8, [(b.var("variable", number), 0, 4)])
    return b


def with_other_words(blob: bytes, values: list[int]) -> Iterator[bytes]:
    """BTF of which one word of the type section is another."""
    (length,) = struct.unpack_from("=I", blob, 12)
    for at in range(HEADER_BYTES, HEADER_BYTES + length, 4):
        for value in values:
            yield blob[:at] + struct.pack("=I", value & 0xFFFFFFFF) + blob[at + 4 :]


def said(btf: Btf) -> str:
    try:
        btf.validate()
    except TpgenError as error:
        return str(error)
    return "sound"


def compared(blob: bytes, values: list[int], base: Btf | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said of each BTF with another word, the same by both passes."""
    found = []
    for other in with_other_words(blob, values):
        quick = said(Btf(other, "blob", base))
        with monkeypatch.context() as patch:
            patch.setattr(TypeSection, "is_sound", lambda *_: False)
            assert said(Btf(other, "blob", base)) == quick
        found.append(quick)
    return found


def test_like_each_type_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = small_btf().blob()
    btf = Btf(blob, "blob")
    values = [0, 1, btf.count - 1, btf.count, btf._strings.last - 1, btf._strings.last, 0x7FFFFFFF]
    found = compared(blob, values, None, monkeypatch)
    assert found.count("sound") > len(found) / 4
    assert {word for each in found for word in each.split() if word.startswith("[btf-")} >= {
        "[btf-bad-id]", "[btf-bad-kind]", "[btf-bad-name]"
    }  # fmt: skip


@pytest.mark.parametrize("what", ["sound", "cycle", "far", "odd name"])
def test_like_each_type_by_itself_on_a_base(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the base alone is told of a module where one of its types leads there."""
    b = BtfBuilder()
    number = b.integer("int", 4, SIGNED)
    if what == "cycle":
        b.typedef("round", b.next_id)
    if what == "far":
        b.typedef("far", 1000)
    if what == "odd name":
        b.strings += b"\xff\0"
    base = Btf(b.blob(), "base")
    blob = split_on(b).blob()
    count = Btf(blob, "blob", base).count
    values = [0, number, 2, base.count, count - 1, count, base._strings.last, base._strings.last - 2, 1 << 30]
    assert {"sound"} < set(compared(blob, values, base, monkeypatch))


@pytest.mark.parametrize("length", [99, 100, 101, 1000, 1001, 1100])
def test_long_chains(length: int) -> None:
    b = BtfBuilder()
    last = b.integer("int", 4, SIGNED)
    for _ in range(length):
        last = b.qualifier("CONST", last)
    expected = "sound" if length <= 1000 else "blob: corrupt BTF: type 1 refers to itself [btf-cycle]"
    assert said(Btf(b.blob(), "blob")) == expected


def test_walked_as_far_as_asked() -> None:
    b = small_btf()
    wanted = b.typedef("btf_trace_wanted", 1)
    for number in range(1 << 15):
        b.structure(f"s{number}", 4, [("one", 1, 0)])
    b.typedef("btf_trace_last", 1)
    btf = Btf(b.blob(), "blob", names=TRACEPOINT_NAMES)
    assert next(btf.ids_of(BtfKind.TYPEDEF, "btf_trace_wanted")) == wanted
    assert btf.kind(wanted).name == "TYPEDEF"
    assert len(btf._noted) == wanted
    assert [*btf.ids_of(BtfKind.TYPEDEF, "btf_trace_last")] == [b.next_id - 1]
    assert btf.count == b.next_id


def test_a_fault_is_told_by_who_gets_there() -> None:
    b = small_btf()
    for number in range(600):
        b.fwd(f"s{number}")
    b.types.append(b.words(0, 20 << 24, 0))
    btf = Btf(b.blob(), "blob", names=TRACEPOINT_NAMES)
    assert BtfTracepoints(btf).raw("sched_switch")
    for _ in range(2):
        assert said(btf) == f"blob: corrupt BTF: type {b.next_id - 1} has unknown kind 20 [btf-bad-kind]"
        with pytest.raises(TpgenError, match="btf-bad-kind"):
            btf.kind(b.next_id - 1)


def test_a_module_is_left_alone_that_lacks_the_name() -> None:
    base = small_btf()
    kernel = Btf(base.blob(), "vmlinux", names=TRACEPOINT_NAMES)
    module = Btf(split_on(base).blob(), "module", kernel, TRACEPOINT_NAMES)
    assert not BtfTracepoints(module, "module").has_event("another")
    assert not BtfTracepoints(module, "module").has_event("sched_switch")
    assert (list(module._noted), list(kernel._noted)) == ([], [])


@pytest.mark.parametrize("big_endian", [False, True])
def test_mapped_is_like_read(big_endian: bool) -> None:
    b = small_btf(big_endian=big_endian)
    with tempfile.TemporaryFile() as file:
        file.write(b.blob())
        file.flush()
        memory = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
    read, found = (BtfTracepoints(Btf(data, "blob", names=TRACEPOINT_NAMES)) for data in (b.blob(), memory))
    assert read.events == found.events
    assert list(map(read.raw, read.events)) == list(map(found.raw, found.events))
    assert list(map(read.record, read.classes)) == list(map(found.record, found.classes))
    assert said(found.btf) == "sound"


@pytest.mark.kernel_btf
def test_the_running_kernel() -> None:
    memory = mapped(str(VMLINUX_BTF))
    assert memory is None or memory[:] == VMLINUX_BTF.read_bytes()
    assert said(Btf(memory or VMLINUX_BTF.read_bytes(), "vmlinux")) == "sound"


def test_not_mapped(tmp_path: object) -> None:
    assert mapped("/no/such/file") is None
    assert mapped("/proc/version") is None
