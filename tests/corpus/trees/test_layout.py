"""The layout that headers alone give a class: where it is complete, it is the compiler's."""

from __future__ import annotations

from collections import Counter, defaultdict

from corpus.dumped import Layout
from corpus.trees.case import Case
from tpgen.layout import lay_out
from tpgen.model import Array, CType, Enum, Qualified, Record, Struct, Typedef, TypeTag
from tpgen.target import target_named
from tpgen.typequery import size_of

_TARGET = target_named("x86_64")
# How many classes were complete when this was written; completeness may only grow.
_COMPLETE = {"5.10": 360, "6.1": 2180, "6.12": 2530, "7.2": 2860}


def test_layouts_without_btf(case: Case, report: list[str]) -> None:
    expected: dict[str, set[Layout]] = defaultdict(set)
    for image in case.images:
        for name, layout in image.records.items():
            expected[name].add(layout)
    tree = case.headers_only.sources.tree
    assert tree is not None
    facts = tree.headers.resolved
    said: dict[str, list[Record]] = defaultdict(list)
    for cls in facts.classes:
        said[cls.name].append(lay_out(cls.fields, 8, _TARGET))
    complete, wrong, reasons = 0, set(), Counter[str]()
    for name, layouts in expected.items():
        # Several headers may have a class of one name, and the branches of an #if too: one of them was compiled.
        known = {_layout(record) for record in said[name] if record.size_bytes is not None}
        if known & layouts:
            complete += 1
        elif len(known) == len(said[name]):
            wrong.add(name)
        else:
            reasons.update({why for record in said[name] for why in _why_incomplete(record)})
    report.append(
        f"Linux {case.tree.version}: headers alone lay out {complete} of {len(expected)} classes, all as the compiler"
        f" does; unknown in the others: {', '.join(f'{n} {why}' for why, n in reasons.most_common()) or 'nothing'}"
    )
    assert wrong == set()
    assert complete >= _COMPLETE[case.kernel]
    # As far as it is known, an incomplete layout is right as well.
    for name, layouts in expected.items():
        for record in said[name] if len(said[name]) == 1 else ():
            offsets = {f.member_name: f.offset_bytes for f in record.fields if f.offset_bytes is not None}
            assert any(offsets.items() <= {(m, at) for m, at, _ in layout.members} for layout in layouts), name


def _layout(record: Record) -> Layout:
    members = tuple((field.member_name, field.offset_bytes or 0, field.size_bytes) for field in record.fields)
    return Layout(members, record.size_bytes or 0)


def _why_incomplete(record: Record) -> set[str]:
    """The kinds of what is unknown in a record's fields."""
    unknown = [f.type for f in record.fields if not f.dynamic and f.size_bytes is None]
    return {_unknown_part(ctype) for ctype in unknown if ctype is not None} or {"alignment"}


def _unknown_part(ctype: CType) -> str:
    match ctype:
        case Typedef(target=None):
            return "typedefs"
        case Typedef(target=target) | Qualified(target=target) | TypeTag(target=target) if target is not None:
            return _unknown_part(target)
        case Array(element=element):
            return "lengths" if size_of(element, _TARGET) is not None else _unknown_part(element)
        case Struct():
            return "structs and unions"
        case Enum():
            return "enums"
        case _:
            return "others"
