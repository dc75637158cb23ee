"""Headers and configuration against the BTF of the kernel built from them, by tpgen's own check and by bpftool.

BTF is what the compiler made of the headers. Every difference is explained here or is a fault.
"""

from __future__ import annotations

import lzma
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from corpus.dumped import Image, Layout, Params, without_spaces
from corpus.trees.case import Case
from tpgen.diagnostics import Position
from tpgen.kernel.check import check_kernel
from tpgen.kernel.comparison import Subject
from tpgen.layout import lay_out
from tpgen.model import Argument, Array, Kind, Record
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts
from tpgen.spelling import spell

# `btf_trace_*` typedefs of vmlinux and, but for 5.10, of the modules: the least that each image has.
_LEAST = {"5.10": 580, "6.1": 4140, "6.12": 4800, "7.2": 5240}

# xe compiles i915's intel_display_trace.h, system included, with -Ddrm_i915_private=xe_device (its Makefile in 6.12).
_IN_XE = {
    "intel_cpu_fifo_underrun",
    "intel_pch_fifo_underrun",
    "intel_memory_cxsr",
    "intel_frontbuffer_invalidate",
    "intel_frontbuffer_flush",
}
_CLASSES_IN_XE = _IN_XE | {"intel_frontbuffer"}
# By kernel: the events, with their modules, whose arguments are not as the headers say.
_OTHER_ARGUMENTS = {"6.12": {("xe", name) for name in _IN_XE}}
# By kernel: what tpgen's check notes, and it is no error. BTF does not tell that struct rxrpc_wire_header is packed.
_PACKED = ("note", "layout-packed", "class rxrpc_tx_packet")
_FINDINGS = {
    "6.1": {_PACKED},
    "6.12": {_PACKED, *(("note", "header-defines", f"i915:{name}") for name in _IN_XE)},
    "7.2": {_PACKED},
}
# By kernel: events that write the types of their arguments differently from their class, as `long long` for `time64_t`.
_TIME = {"xfs_inode_timestamp_range", "xfs_quota_expiry_range"}
_KEY = {"xfs_fsmap_low_linear_key", "xfs_fsmap_high_linear_key"}
_NOT_AS_THEIR_CLASS = {"6.1": _TIME, "6.12": _TIME, "7.2": _TIME | _KEY}


def test_check_finds_nothing(case: Case, report: list[str]) -> None:
    comparisons = check_kernel(case.resolved, case.keys)
    assert len(case.keys) >= _LEAST[case.kernel]
    found = {
        (finding.severity.value, finding.code, comparison.what)
        for comparison in comparisons
        for finding in comparison.findings
    }
    assert found == _FINDINGS.get(case.kernel, set())
    not_compared = [comparison for comparison in comparisons if comparison.reason]
    # 5.10 has no __traceiter_ function of 28 events; the headers have their names all the same.
    assert {comparison.subject for comparison in not_compared} <= ({Subject.RAW} if case.kernel == "5.10" else set())
    assert len(not_compared) <= 28
    compared = [comparison.subject for comparison in comparisons]
    raw, record = compared.count(Subject.HEADER_RAW), compared.count(Subject.HEADER_RECORD)
    report.append(
        f"Linux {case.tree.version}: check compares the headers with BTF: {raw} events, {record} records; no error,"
        f" {len(found)} notes"
    )


def test_arguments(case: Case, report: list[str]) -> None:
    """Every `btf_trace_<event>`: its header event has the same arguments in the same order, names and types."""
    events: dict[str, list[HeaderEvent]] = defaultdict(list)
    for event in _facts(case).events:
        events[event.name].append(event)
    different, count, named = set(), 0, 0
    for image, name, params in _all(case, "events"):
        with_names = image.named_events.get(name)
        if with_names is not None:
            assert [ctype for _, ctype in with_names] == [ctype for _, ctype in params], name
        expected = with_names or params
        if not any(_same_arguments(event.args, expected) for event in events[name]):
            different.add((image.module, name))
        count += 1
        named += with_names is not None
    assert different == _OTHER_ARGUMENTS.get(case.kernel, set())
    assert count >= _LEAST[case.kernel]
    assert named >= count - 28
    assert all(event.attachable for name in case.images[0].events for event in events[name])
    report.append(f"Linux {case.tree.version}: bpftool dumps {count} events, {len(different)} with other arguments")


def test_classes(case: Case, report: list[str]) -> None:
    """Every `__bpf_trace_<class>` and `trace_event_raw_<class>`: its class in the headers has the same."""
    classes: dict[str, list[HeaderClass]] = defaultdict(list)
    for cls in _facts(case).classes:
        classes[cls.name].append(cls)
    bare = {event.class_name: event.args for event in _facts(case).events if event.kind == Kind.TRACEPOINT}
    functions = records = 0
    for _, name, params in _all(case, "class_functions"):
        said = [cls.args for cls in classes[name]] + [bare[name] for _ in range(name in bare)]
        assert any(_same_arguments(args, params) for args in said) or name in _CLASSES_IN_XE, name
        functions += 1
    for image in case.images:
        for name, layout in image.records.items():
            names = [member for member, _, _ in layout.members]
            assert any([field.member_name for field in cls.fields] == names for cls in classes[name]), name
            records += 1
    report.append(f"    and {functions} functions and {records} records of classes, each with its class in the headers")


def test_event_has_its_class(case: Case) -> None:
    """An event's class, which BTF does not tell: its function takes what the event passes."""
    functions = {(image.module, name): params for image, name, params in _all(case, "class_functions")}
    keys = {(key.module, key.name): key for key in case.keys}
    different, compared = set(), 0
    for image, name, params in _all(case, "events"):
        event = case.resolved.header_event(keys[image.module, name])
        assert event is not None, name
        function = functions.get((image.module, event.class_name))
        if function is not None:
            compared += 1
            if [ctype for _, ctype in function] != [ctype for _, ctype in params]:
                different.add(name)
    assert different == _NOT_AS_THEIR_CLASS.get(case.kernel, set())
    # 5.10's BTF does not have these functions.
    assert compared == (0 if case.kernel == "5.10" else len(case.keys))


def test_records(case: Case, report: list[str]) -> None:
    """Each event's record, as the user is given it and as its header declares it: that of bpftool's dump."""
    layouts = {(image.module, name): layout for image in case.images for name, layout in image.records.items()}
    count, incomplete = 0, set()
    lengths: dict[tuple[str, Position, str], tuple[int | None, int | None]] = {}
    for key in case.keys:
        event = case.resolved.event(key)
        if event.kind != Kind.TRACE_EVENT:
            continue
        assert event.record is not None, key
        layout = layouts[key.module, str(event.class_name)]
        assert _layout(event.record) == layout, key
        declared = case.resolved.header_class(key)
        assert declared is not None, key
        typed = tuple(replace(field, type=case.resolved.resolved_type(field.type, key)) for field in declared.fields)
        computed = lay_out(typed, event.record.header_bytes, case.resolved.target)
        if computed.size_bytes is None:
            incomplete.add(declared.name)
        else:
            assert _layout(computed) == layout, key
        for said, known in zip(declared.fields, typed, strict=True):
            if said.dynamic is None and isinstance(said.type, Array) and isinstance(known.type, Array):
                lengths[declared.name, declared.position, said.name] = said.type.length, known.type.length
        count += 1
    report.append(
        f"    and the records of {count} events, with the same offsets and sizes; by headers and BTF's types together"
        f" all classes but {', '.join(sorted(incomplete)) or 'none'}"
    )
    in_headers, with_btf = (len(lengths) - [pair[which] for pair in lengths.values()].count(None) for which in (0, 1))
    report.append(
        f"    and of their {len(lengths)} arrays {in_headers} have a length by headers alone, {with_btf} with BTF"
    )
    assert with_btf >= len(lengths) - len(incomplete)
    assert count >= _LEAST[case.kernel] - 100
    assert len(incomplete) <= 10


# --- systems -------------------------------------------------------------------------------------------------------

_CORPUS = Path(os.environ.get("TPGEN_CORPUS", "/nonexistent"))


def test_systems_and_fields_of_tracefs(case: Case, report: list[str]) -> None:
    """The format files of a kernel close to this one: each event's system, and by its fields its class."""
    dump = _CORPUS / f"formats/{case.kernel}-amd64.txt.xz"
    if not dump.exists():
        pytest.skip("TPGEN_CORPUS has no format files of this kernel")
    formats = dict(_formats(lzma.decompress(dump.read_bytes()).decode("utf-8", "replace")))
    other_system, other_fields, count = [], [], 0
    for key in case.keys:
        shown = {system: fields for (system, name), fields in formats.items() if name == key.name}
        if not shown:
            continue
        count += 1
        declared = case.resolved.header_class(key)
        assert declared is not None, key
        if key.system not in shown:
            other_system.append(str(key))
        elif [field.member_name for field in declared.fields] != shown[key.system]:
            other_fields.append(str(key))
    report.append(f"    and tracefs has {count} of them; other fields there: {', '.join(other_fields) or 'none'}")
    assert not other_system
    assert set(other_fields) <= _CHANGED_SINCE[case.kernel]
    assert count > 500


# Events of which the kernel that the format files are from has other fields.
_CHANGED_SINCE: Mapping[str, set[str]] = {
    "5.10": {"oom:mark_victim"},
    "6.1": set(),
    "6.12": {"cifs:smb3_open_done", "cifs:smb3_posix_mkdir_done", "netfs:netfs_sreq"},
}


def _formats(text: str) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """System and name of each format file, and the names of its fields, with prefix."""
    parts = re.split(r"^=== \./(\w[^/]*)/([^/]+)/format\n", text, flags=re.MULTILINE)[1:]
    for system, name, content in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        fields = re.findall(r"^\tfield:(.*?);\toffset", content, re.MULTILINE)
        names = [_declared_name(declaration) for declaration in fields]
        yield (system, name), [name for name in names if not name.startswith("common_")]


def _declared_name(declaration: str) -> str:
    located = re.match(r"__(data_loc|rel_loc) .*?(\w+)$", declaration)
    if located:
        return f"__{located[1]}_{located[2]}"
    function = re.search(r"\(\*\s*(\w+)\)", declaration)
    plain = re.search(r"(\w+)\s*(?:\[.*\])?$", declaration)
    match = function or plain
    assert match, declaration
    return match[1]


# --- comparing -----------------------------------------------------------------------------------------------------


def _facts(case: Case) -> HeaderFacts:
    facts = case.sources.headers
    assert facts is not None
    return facts


def _all(case: Case, what: str) -> Iterator[tuple[Image, str, Params]]:
    for image in case.images:
        for name, params in getattr(image, what).items():
            yield image, name, params


def _same_arguments(args: Sequence[Argument], params: Params) -> bool:
    if len(args) != len(params):
        return False
    return all(
        name in (None, arg.name) and _same_type(_spelled(arg), ctype)
        for arg, (name, ctype) in zip(args, params, strict=True)
    )


def _spelled(arg: Argument) -> str:
    return spell(arg.type)


@cache
def _same_type(ours: str, theirs: str) -> bool:
    ours, theirs = map(without_spaces, (ours, theirs))
    # Of an array behind a pointer the header may name the length, f2fs_iostat_latency's NR_PAGE_TYPE.
    return ours == theirs or re.sub(r"\[[A-Z_]+\]", "[]", ours) == re.sub(r"\[\d+\]", "[]", theirs)


def _layout(record: Record) -> Layout:
    assert record.size_bytes is not None
    return Layout(tuple((f.member_name, f.offset_bytes or 0, f.size_bytes) for f in record.fields), record.size_bytes)
