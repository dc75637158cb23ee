"""Deciding: a condition that holds on some kernels and on no other of the set, found by trying it on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

from tpgen.variants.facts import (
    Condition,
    Conjunction,
    Member,
    MemberExists,
    MemberSigned,
    MemberSize,
    Not,
    RecordExists,
)
from tpgen.variants.views import KernelView, UnknownKindError, found, holds_all, member_type

# Of so many conditions two are tried together.
_FEW = 40


def telling(
    bases: Iterable[Conjunction],
    more: Callable[[], Sequence[Condition]],
    wanted: Sequence[KernelView],
    others: Sequence[KernelView],
) -> tuple[Conjunction, ...] | None:
    """The conjunctions of which one holds on each of `wanted`, and none on any of `others`; None where none tells.

    Each begins with one of `bases`, the first that will do, and has as few as are needed of those that `more` returns,
    which is only called where the first does not do alone.
    """
    bases = tuple(bases)
    if (alone := _one(bases[:1], (), wanted, others)) is not None:
        return (alone,)
    pool = more()
    whole = _one(bases, pool, wanted, others)
    if whole is not None:
        return (whole,)
    if len(wanted) < 2:
        return None
    parts = [_one(bases, pool, [view], others) for view in wanted]
    return None if None in parts else tuple(dict.fromkeys(part for part in parts if part is not None))


def _one(
    bases: Sequence[Conjunction], pool: Sequence[Condition], wanted: Sequence[KernelView], others: Sequence[KernelView]
) -> Conjunction | None:
    for base in bases:
        if not all(holds_all(base, view) for view in wanted):
            continue
        useful = [condition for condition in pool if all(holds_all((condition,), view) for view in wanted)]
        # Most often nothing more is needed, or one condition.
        for count in range(3 if len(useful) < _FEW else 2):
            for more in combinations(useful, count):
                if all(holds_all((*base, *more), view) is False for view in others):
                    return _grounded((*base, *more))
    return None


def _grounded(conjunction: Conjunction) -> Conjunction:
    """The conjunction with the record of each member that it wants not to be: without BTF no member is there."""
    there = {c.class_name for c in conjunction if isinstance(c, RecordExists)}
    there |= {c.member.class_name for c in conjunction if isinstance(c, MemberExists | MemberSize | MemberSigned)}
    wanted: dict[Condition, None] = {}
    for condition in conjunction:
        if isinstance(condition, Not) and isinstance(condition.condition, MemberExists):
            name = condition.condition.member.class_name
            if name not in there:
                wanted[RecordExists(name)] = None
        wanted[condition] = None
    return tuple(wanted)


def members(views: Iterable[KernelView]) -> Iterator[Member]:
    """The members of the events' records that relocations can look for, each once."""
    found: dict[Member, None] = {}
    for view in views:
        event = view.event
        if event.record is not None and event.class_name is not None:
            for field in event.record.fields:
                try:
                    found[Member(event.class_name, field.member_name, member_type(field))] = None
                except UnknownKindError:
                    continue
    yield from found


def record_facts(wanted: Sequence[KernelView], others: Sequence[KernelView]) -> list[Condition]:
    """Facts that may be true of the records of `wanted` alone: members that they have, then members that they lack."""
    theirs = list(members(wanted))
    classes = dict.fromkeys(view.event.class_name for view in wanted if view.event.class_name is not None)
    facts: list[Condition] = [RecordExists(name) for name in classes]
    facts += map(MemberExists, theirs)
    facts += (MemberSize(member, size) for member in theirs for size in sorted(_sizes(member, wanted)))
    facts += (MemberSigned(member, signed) for member in theirs for signed in (True, False))
    facts += (Not(MemberExists(member)) for member in members(others) if member.class_name in classes)
    return facts


def _sizes(member: Member, views: Iterable[KernelView]) -> set[int]:
    """The sizes in bytes of a member on these kernels."""
    records = (record for view in views for record in view.records_of(member.class_name))
    fields = (found(record, member.name) for record in records)
    return {field.size_bytes for field in fields if field is not None and field.size_bytes is not None}
