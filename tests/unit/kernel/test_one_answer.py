"""One question has one answer, whatever was asked before: of another event, by another command, with another cache."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder
from support.cli import tpgen
from support.small_kernel import Line, small_btf, write_btf, write_tracefs

from tpgen.kernel.check import CheckedKernel, check_kernel
from tpgen.kernel.events import EventKey
from tpgen.kernel.sources import HeaderOptions, open_files
from tpgen.model import Event

# stamp_t stands in no BTF: a type that is nowhere but behind a dynamic field leaves no trace there.
TYPES = "typedef unsigned short stamp_t;\n#define WIDTH 12\n"
# `ferry_moor` has no BTF, so that its types are looked up in the headers.
DRIVER = """
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry
#include <linux/ferry.h>
TRACE_EVENT(ferry_load, TP_PROTO(int a), TP_ARGS(a),
\tTP_STRUCT__entry(__dynamic_array(stamp_t, stamps, 4)), TP_fast_assign(), TP_printk("x"));
TRACE_EVENT(ferry_moor, TP_PROTO(int a), TP_ARGS(a),
\tTP_STRUCT__entry(__array(char, name, WIDTH) __field(stamp_t, last)), TP_fast_assign(), TP_printk("x"));
TRACE_EVENT(ferry_wait, TP_PROTO(int a), TP_ARGS(a),
\tTP_STRUCT__entry(__array(char, name, WIDTH)), TP_fast_assign(), TP_printk("x"));
"""


def with_ferry() -> BtfBuilder:
    b = small_btf()
    integer, char, uint = b.integer("int", 4, 1), b.integer("char", 1), b.integer("unsigned int", 4)
    entry, rest = b.structure("other_entry", 8), b.array(char, 0)
    for name, ctype, end in (("__data_loc_stamps", uint, 12), ("name", b.array(char, 12), 20)):
        event = "ferry_load" if end == 12 else "ferry_wait"
        b.event(event, [("a", integer)])
        b.event_class(event, [integer], end, [("ent", entry, 0), (name, ctype, 8), ("__data", rest, end)])
    return b


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A kernel with its headers, whose files count as old, so that they may be cached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tpgen.cache.fingerprint._YOUNG_NS", -(10**18))
    for name, text in {"include/linux/ferry.h": TYPES, "include/trace/events/ferry.h": DRIVER}.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True)
        (tmp_path / "tree" / name).write_text(text)
    formats = {
        "ferry/ferry_load": (Line("__data_loc stamp_t[] stamps", 8, 4),),
        "ferry/ferry_wait": (Line("char name[12]", 8, 12),),
        "ferry/ferry_moor": (Line("char name[12]", 8, 12), Line("stamp_t last", 20, 2)),
    }
    write_tracefs(tmp_path / "tracefs", formats)
    return str(write_btf(tmp_path / "vmlinux", with_ferry())), str(tmp_path / "tree"), str(tmp_path / "tracefs")


def element(event: Event) -> int | None:
    """The size of the elements of the field `stamps`."""
    assert event.record is not None
    (field,) = event.record.fields
    assert field.type is not None
    return getattr(getattr(field.type, "target", None), "size_bytes", None)


LOAD, MOOR, WAIT = (EventKey("ferry", f"ferry_{name}") for name in ("load", "moor", "wait"))
QUESTIONS: dict[str, Callable[[CheckedKernel], object]] = {
    "load": lambda kernel: kernel.events([LOAD]),
    "moor": lambda kernel: kernel.events([MOOR]),
    "raw moor": lambda kernel: kernel.events([MOOR], raw_only=True),
    "compare wait": lambda kernel: list(kernel.comparisons(WAIT)),
    "check load": lambda kernel: check_kernel(kernel, [LOAD]),
}


@pytest.mark.parametrize("with_tracefs", [False, True], ids=["btf", "btf and tracefs"])
@pytest.mark.parametrize("use_cache", [False, True], ids=["no cache", "cache"])
def test_in_any_order(sources: tuple[str, ...], use_cache: bool, with_tracefs: bool) -> None:
    """An unsigned short has 2 bytes."""
    btf, tree, tracefs = sources
    known: dict[str, str] = {}
    for order in permutations(QUESTIONS, 2):
        headers = HeaderOptions((tree,), use_cache=use_cache)
        opened = open_files([btf], tracefs if with_tracefs else None, headers, arch="x86_64")
        kernel = CheckedKernel(opened)
        for name in order:
            answer = repr(QUESTIONS[name](kernel))
            assert known.setdefault(name, answer) == answer
        assert element(kernel.event(LOAD)) == 2


BEFORE = [(), ("check",), ("list",), ("show", "*"), ("ferry_moor", "--classic"), ("ferry_wait", "--raw")]


@pytest.mark.parametrize("before", BEFORE, ids=" ".join)
@pytest.mark.parametrize("with_tracefs", [False, True], ids=["btf", "btf and tracefs"])
def test_by_any_command(sources: tuple[str, ...], with_tracefs: bool, before: tuple[str, ...], tmp_path: Path) -> None:
    """`H` is an unsigned short to Python's struct."""
    options = ["--btf", sources[0], "--headers", sources[1], "--arch", "x86_64"]
    options += ["--tracefs", sources[2]] if with_tracefs else []
    if before:
        tpgen(*before, *options)
    assert bool(list(tmp_path.glob("cache/tpgen/headers/*"))) == bool(before)
    done = tpgen("ferry_load", "-b", "python", *options)
    assert (done.code, done.err) == (0, "")
    assert 'stamps = _DynamicNumbers(8, 0, "H")' in done.out


@pytest.mark.parametrize("first", ["ferry_load", "ferry_moor"])
def test_in_any_order_of_a_build(sources: tuple[str, ...], first: str, tmp_path: Path) -> None:
    events = dict.fromkeys((first, "ferry_load", "ferry_moor"))
    kernel = f'btf = "{sources[0]}"\nheaders = "{sources[1]}"\ntracefs = "{sources[2]}"\narch = "x86_64"\n'
    form = '[[generate]]\nkernel = "ferry"\nevents = "{0}"\nbackend = "python"\nforms = "classic"\nfile = "{0}.py"\n'
    (tmp_path / "tpgen.toml").write_text(f"[kernel.ferry]\n{kernel}{''.join(map(form.format, events))}")
    done = tpgen("build", str(tmp_path / "tpgen.toml"))
    assert (done.code, done.err) == (0, "")
    assert 'stamps = _DynamicNumbers(8, 0, "H")' in (tmp_path / "ferry_load.py").read_text()


@pytest.mark.parametrize("with_tracefs", [False, True], ids=["btf", "btf and tracefs"])
def test_the_class_of_an_event_alone_and_among_all(with_tracefs: bool, tmp_path: Path) -> None:
    """A look at one event finds its class without all the others."""
    paths = str(write_btf(tmp_path / "vmlinux")), str(write_tracefs(tmp_path / "tracefs")) if with_tracefs else None

    def opened() -> CheckedKernel:
        return CheckedKernel(open_files([paths[0]], paths[1], arch="x86_64"))

    every = opened()
    events = zip(every.keys(), every.events(every.keys()), strict=True)
    among_all = {key: (event.class_name, event.class_candidates) for key, event in events}
    assert every.sources.btfs[0].btf.is_indexed
    for key, expected in among_all.items():
        alone = opened()
        event = alone.event(key)
        assert (event.class_name, event.class_candidates) == expected
        assert not alone.sources.btfs[0].btf.is_indexed
    by_name = {key.name: classes for key, classes in among_all.items()}
    assert by_name["sched_wakeup"] == ("sched_wakeup_template", ())
    assert by_name["dma_fence_init"] == (None, ("dma_fence", "dma_fence_unsignaled"))
    two = (None, ("page_ref_mod_template", "page_ref_mod_and_test_template"))
    assert by_name["page_ref_mod"] == (("page_ref_mod_template", ()) if with_tracefs else two)
