"""Conditions on kernels of a few types: what a loader finds, what only headers know, what nobody knows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.catalogs import X86_64

from tpgen.backends.bpf.portable import portable_header
from tpgen.backends.bpf.prelude import Prelude
from tpgen.backends.bpf.render import text
from tpgen.basics.frozen import replace
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.sources import Sources
from tpgen.model import Origin, Typedef
from tpgen.programs.forms import Form
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.variants.facts import Member, MemberExists, MemberSigned, MemberSize, Not, RecordExists
from tpgen.variants.join import join
from tpgen.variants.views import KernelView, holds, member_type


def kernel(*parameters: str, members: tuple[tuple[str, str], ...] = (), record: str = "probe") -> KernelView:
    """A kernel with the event `probe`, whose parameters are `NAME:TYPE`, as are the members of its record."""
    b = BtfBuilder(False)
    number, uint, char = b.integer("int", 4, SIGNED), b.integer("unsigned int", 4), b.integer("char", 1)
    types = {
        "int": number,
        "u32": uint,
        "u64": b.integer("unsigned long long", 8),
        "page": b.ptr(b.structure("page", 4, [("flags", uint, 0)])),
        "folio": b.ptr(b.structure("folio", 4, [("flags", uint, 0)])),
        "forward": b.ptr(b.fwd("call")),
        "enum": b.enum("reason", 4, [("NONE", 0)]),
        "comm": b.array(char, 16),
    }
    b.integer("long unsigned int", 8)
    entry = b.structure("trace_entry", 8)
    given = [parameter.split(":") for parameter in parameters]
    b.event("probe", [(name, types[of]) for name, of in given])
    fields = [(name, types[of], 8 + 16 * at) for at, (name, of) in enumerate(members)]
    b.event_class(record, [types[of] for _, of in given], 8 + 16 * len(members), [("ent", entry, 0), *fields])
    btf = BtfTracepoints(Btf(b.blob(), "vmlinux", names=TRACEPOINT_NAMES, arch="x86_64"))
    opened = CheckedKernel(Sources("small", X86_64, None, (btf,)))
    (event,) = opened.events(opened.keys_of("probe"))
    return KernelView("", replace(event, system="few"), X86_64, cache(opened.records_of))


def named(*views: KernelView) -> tuple[KernelView, ...]:
    """The kernels with the names 1, 2, …, oldest first."""
    return tuple(view._replace(kernel=str(number)) for number, view in enumerate(views, 1))


def slots(*views: KernelView) -> dict[str, dict[str, int]]:
    """The slot of each argument on each kernel."""
    found = join(named(*views)).arguments()
    return {v.name: {kernel: place.slot for place in v.places for kernel in place.kernels} for v in found.values}


def test_prototypes_of_other_kinds_are_told_apart() -> None:
    assert slots(kernel("a:int"), kernel("b:page", "a:int")) == {"b": {"2": 0}, "a": {"1": 0, "2": 1}}


def test_prototypes_of_equal_kinds_are_not() -> None:
    """Neither the size of an integer nor the name of a struct is a kind."""
    found = join(named(kernel("a:int", "b:u32"), kernel("b:u32", "a:int"))).arguments()
    assert found.values == ()
    assert [each.name for each in found.omitted] == ["b", "a"]
    assert found.omitted[0].reason == (
        "nothing at load tells 2, where it is `unsigned int` in slot 0, from 1, where it is `unsigned int` in slot 1"
    )


def test_a_member_tells_equal_prototypes_apart() -> None:
    older = kernel("a:int", "b:u32", members=(("a", "int"),))
    newer = kernel("b:u32", "a:int", members=(("a", "int"), ("b", "u32")))
    assert slots(older, newer) == {"b": {"1": 1, "2": 0}, "a": {"1": 0, "2": 1}}
    (new, old) = join(named(older, newer)).arguments().values[0].places
    assert MemberExists(Member("probe", "b", member_type(newer.event.record.fields[1]))) in new.when[0]  # type: ignore[union-attr]
    # What is not there is not there without BTF either: the record has to be.
    assert RecordExists("probe") in old.when[0]
    assert any(isinstance(condition, Not) for condition in old.when[0])


def test_a_declaration_is_another_kind_than_a_struct() -> None:
    """As afs_notify_call has it: a candidate with a body would never be found."""
    views = named(kernel("a:int"), kernel("call:forward", "a:int"))
    assert slots(*views)["a"] == {"1": 0, "2": 1}
    header = text(portable_header(join(views), Form.RAW, {"1": "1", "2": "2"}), Prelude(is_shared=False))
    assert "typedef void (*btf_trace_probe___tpgen1)(void *, struct tpgen_forward_struct *, int);\n" in header


def test_what_only_headers_tell_is_not_asked_for() -> None:
    """A module without BTF: no relocation finds it, and what is in one place on all kernels needs none."""
    blind = kernel("a:int", "b:page")
    event = replace(blind.event, args_origin=Origin.HEADERS, names_origin=Origin.HEADERS, module="m")
    older, newer = named(blind._replace(event=event), kernel("a:int", "c:int", "b:page"))
    found = {value.name: value for value in join((older, newer)).arguments().values}
    assert found["a"].is_everywhere
    assert [place.kernels for place in found["b"].places] == [("2",)]
    assert found["b"].unseen == ("1",)


def test_what_is_of_no_known_kind_is_no_evidence() -> None:
    unknown = kernel("a:int", "b:page")
    args = (*(unknown.event.args or ())[:1], replace((unknown.event.args or ())[1], type=Typedef("who_knows")))
    views = named(unknown._replace(event=replace(unknown.event, args=args)), kernel("c:int", "a:int"))
    (omitted,) = [each for each in join(views).arguments().omitted if each.name == "a"]
    assert omitted.reason == "the prototype of 1 is not known"


@pytest.mark.parametrize(
    ("of", "member", "exists"),
    [("int", "u64", True), ("enum", "enum", True), ("page", "folio", True), ("comm", "comm", True),
     ("int", "page", False), ("int", "enum", False), ("comm", "int", False)],
)  # fmt: skip
def test_members_are_found_by_kind(of: str, member: str, exists: bool) -> None:
    """As bpf_core_fields_are_compat() has it: any integer, any pointer, an enum without a name."""
    view = kernel(members=(("x", of),))
    asked = kernel(members=(("x", member),)).event.record
    assert asked is not None
    assert holds(MemberExists(Member("probe", "x", member_type(asked.fields[0]))), view) is exists


def test_facts_of_members() -> None:
    view = kernel(members=(("x", "int"),))
    assert view.event.record is not None
    x = Member("probe", "x", member_type(view.event.record.fields[0]))
    y = Member("probe", "y", x.type)
    assert [holds(MemberSize(x, size), view) for size in (4, 8)] == [True, False]
    assert [holds(MemberSigned(x, signed), view) for signed in (True, False)] == [True, False]
    assert holds(MemberSize(y, 4), view) is False
    assert holds(Not(MemberExists(y)), view) is True
    assert [holds(RecordExists(name), view) for name in ("probe", "other")] == [True, False]


def test_a_field_at_one_offset_needs_no_btf(tmp_path: Path) -> None:
    """Where the class is known to no loader, what all kernels have in one place is read there."""
    view = kernel(members=(("x", "int"), ("y", "u32")))
    headers = view._replace(event=replace(view.event, record_origin=Origin.TRACEFS), records_of=lambda _: ())
    (x, y) = join(named(headers, view)).record().values
    assert (x.is_everywhere, x.places[0].member, x.places[0].field.offset_bytes) == (True, None, 8)
    moved = kernel(members=(("y", "u32"), ("x", "int")))
    (y, x) = join(named(headers, moved)).record().values
    assert [place.kernels for place in x.places] == [("2",)]
    assert (x.unseen, y.unseen) == (("1",), ("1",))
