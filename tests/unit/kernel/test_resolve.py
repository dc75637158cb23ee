"""Resolve: the facts of all sources joined, each from the source that knows it best, and said from which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.small_kernel import FORMATS, GivenHeaders, Line, small_btf, write_btf, write_tracefs

from tpgen.backends.base import Form, Job, KernelRequests, Request
from tpgen.backends.bpf import BpfBackend
from tpgen.diagnostics import Position, TpgenError
from tpgen.kernel.events import EventKey, split_pattern
from tpgen.kernel.resolve import Kernel
from tpgen.kernel.sources import Sources, SourceTree, open_files
from tpgen.model import Argument, Array, Dynamic, Event, Field, Int, Kind, Origin, Pointer, Struct, Typedef
from tpgen.show import event_text
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts
from tpgen.sources.tracefs import TraceFs
from tpgen.target import Target, target_named

X86 = target_named("x86_64")
HERE = Position("include/trace/events/x.h", 7)
INT, ULONG = Int("int", 4, True), Int("unsigned long", 8, False)
TASK, PAGE, FENCE = (Pointer(Struct("struct", name)) for name in ("task_struct", "page", "dma_fence"))


def opened(builder: BtfBuilder, base: BtfTracepoints | None = None, module: str | None = None) -> BtfTracepoints:
    data = Btf(builder.blob(), module or "vmlinux", base.btf if base else None, TRACEPOINT_NAMES, "x86_64")
    return BtfTracepoints(data, module)


def tracefs_of(folder: Path, formats: dict[str, tuple[Line, ...]] | None = None) -> TraceFs:
    return TraceFs(str(write_tracefs(folder, formats)), X86)


def headers_of(*events: HeaderEvent, classes: tuple[HeaderClass, ...] = (), release: str | None = None) -> HeaderFacts:
    return HeaderFacts(release, classes, events, ())


def event_of(name: str, event_class: str, *args: tuple[str, object], system: str | None = "sys") -> HeaderEvent:
    arguments = tuple(Argument(said, ctype, slot) for slot, (said, ctype) in enumerate(args))  # type: ignore[arg-type]
    return HeaderEvent(system, name, event_class, Kind.TRACE_EVENT, arguments, HERE)


def kernel(
    btf: BtfBuilder | None = None,
    tracefs: TraceFs | None = None,
    headers: HeaderFacts | None = None,
    release: str | None = None,
) -> Kernel:
    btfs = (opened(btf),) if btf else ()
    tree = SourceTree(GivenHeaders(headers)) if headers else None
    return Kernel(Sources("a test", X86, release, btfs, tracefs, tree))


def backend_text(event: Event, form: Form, target: Target) -> str:
    (file,) = BpfBackend().render(Job((KernelRequests("a test", target, None, (Request(event, form),)),), {}))
    assert isinstance(file.content, str)
    return file.content


def only(found: Kernel, name: str) -> Event:
    (key,) = found.keys_of(name)
    return found.event(key)


WITHOUT = {
    "sched_switch": ("sched_switch", Origin.NAME, ()),
    "sched_wakeup": ("sched_wakeup_template", Origin.PROTOTYPE, ()),
    "dma_fence_init": (None, None, ("dma_fence", "dma_fence_unsignaled")),
    "page_ref_mod": (None, None, ("page_ref_mod_template", "page_ref_mod_and_test_template")),
}
WITH = WITHOUT | {
    "sched_wakeup": ("sched_wakeup_template", Origin.LAYOUT, ()),
    "page_ref_mod": ("page_ref_mod_template", Origin.LAYOUT, ()),
}


class TestClass:
    """Which class an event is of: from headers, by name, by prototype, by layout, or one of several."""

    @pytest.mark.parametrize("name", WITHOUT)
    def test_btf_alone(self, name: str) -> None:
        event = only(kernel(small_btf()), name)
        assert (event.class_name, event.class_origin, event.class_candidates) == WITHOUT[name]

    @pytest.mark.parametrize("name", WITH)
    def test_with_tracefs(self, name: str, tmp_path: Path) -> None:
        event = only(kernel(small_btf(), tracefs_of(tmp_path)), name)
        assert (event.class_name, event.class_origin, event.class_candidates) == WITH[name]

    @pytest.mark.parametrize(
        ("name", "said", "args"),
        [
            ("dma_fence_init", "dma_fence_unsignaled", (("fence", FENCE),)),
            ("page_ref_mod", "page_ref_mod_template", (("page", PAGE), ("v", INT))),
            ("sched_wakeup", "sched_wakeup_template", (("p", TASK),)),
        ],
    )
    def test_headers_say_it(self, name: str, said: str, args: tuple[tuple[str, object], ...]) -> None:
        event = only(kernel(small_btf(), headers=headers_of(event_of(name, said, *args))), name)
        assert (event.class_name, event.class_origin, event.class_candidates) == (said, Origin.HEADERS, ())
        assert event.record is not None
        assert event.header == HERE

    def test_headers_are_wrong(self, tmp_path: Path) -> None:
        """A class that tracefs rules out is not believed."""
        facts = headers_of(event_of("page_ref_mod", "page_ref_mod_and_test_template", ("page", PAGE), ("v", INT)))
        event = only(kernel(small_btf(), tracefs_of(tmp_path), facts), "page_ref_mod")
        assert (event.class_name, event.class_origin) == ("page_ref_mod_template", Origin.LAYOUT)

    def test_prototype_in_other_words(self, tmp_path: Path) -> None:
        """A DEFINE_EVENT may write its types differently from its class: the record tells."""
        b = small_btf()
        b.event("sched_waking", [("p", b.ptr(b.fwd("other")))])
        tracefs = tracefs_of(tmp_path, {"sched/sched_waking": FORMATS["sched/sched_wakeup"]})
        event = only(kernel(b, tracefs), "sched_waking")
        assert (event.class_name, event.class_origin) == ("sched_wakeup_template", Origin.LAYOUT)


class TestKind:
    def test_bare_tracepoint(self, tmp_path: Path) -> None:
        for found in (kernel(small_btf()), kernel(small_btf(), tracefs_of(tmp_path))):
            event = only(found, "pelt_se_tp")
            assert (event.kind, event.record, event.class_name) == (Kind.TRACEPOINT, None, "pelt_se_tp")
            assert (event.system, event.attach_name) == (None, "pelt_se_tp")

    def test_syscall(self, tmp_path: Path) -> None:
        event = only(kernel(small_btf(), tracefs_of(tmp_path)), "sys_enter_close")
        assert (event.kind, event.attach_name, event.args) == (Kind.SYSCALL, None, ())


class TestRecord:
    def test_equally_good_classes_of_one_record(self) -> None:
        event = only(kernel(small_btf()), "dma_fence_init")
        assert event.record is not None
        assert [field.member_name for field in event.record.fields] == ["__data_loc_driver", "seqno"]
        assert event.record.size_bytes == 16

    def test_equally_good_classes_of_two_records(self) -> None:
        """Nothing is guessed."""
        assert only(kernel(small_btf()), "page_ref_mod").record is None

    def test_element_of_a_dynamic_field(self, tmp_path: Path) -> None:
        """tracefs tells it, BTF does not."""
        alone = only(kernel(small_btf()), "dma_fence_init").record
        both = only(kernel(small_btf(), tracefs_of(tmp_path)), "dma_fence_init").record
        assert alone is not None
        assert both is not None
        assert alone.fields[0].type is None
        assert both.fields[0] == Field("driver", Int("char", 1, False), 8, 4, False, Dynamic.DATA_LOC)

    @pytest.mark.parametrize("in_btf", [True, False], ids=["its own BTF", "the BTF of vmlinux alone"])
    @pytest.mark.parametrize("named_by", ["tracefs", "headers"])
    def test_element_is_a_typedef(self, in_btf: bool, named_by: str, tmp_path: Path) -> None:
        """dma_alloc_sgt of a running kernel: tracefs only names `u64`, and BTF tells what it is."""
        b = small_btf()
        quad = b.typedef("quad_t", b.integer("long long unsigned int", 8))
        if in_btf:
            b.event("dma", [("q", quad)])
            entry, uint, char = (b.integer(f"pad{size}", size) for size in (8, 4, 1))
            members = [("ent", entry, 0), ("__data_loc_addrs", uint, 8), ("__data", b.array(char, 0), 12)]
            b.event_class("dma", [quad], 12, members)
        formats = {"dma/dma": (Line("__data_loc quad_t[] addrs", 8, 4),)} if named_by == "tracefs" else {}
        said = Field("addrs", Typedef("quad_t"), None, None, None, Dynamic.DATA_LOC)
        facts = headers_of(event_of("dma", "dma", ("q", INT)), classes=(HeaderClass("dma", (), (said,), HERE),))
        if named_by == "tracefs":
            record = only(kernel(b, tracefs_of(tmp_path, formats)), "dma").record
        else:
            record = kernel(b, headers=facts).event(EventKey("sys", "dma")).record
        assert record is not None
        assert [field.type for field in record.fields] == [Typedef("quad_t", Int("unsigned long long", 8, False))]

    def test_tracefs_alone(self, tmp_path: Path) -> None:
        event = only(kernel(tracefs=tracefs_of(tmp_path)), "sched_switch")
        assert (event.record_origin, event.args, event.attach_name) == (Origin.TRACEFS, None, None)
        assert event.record is not None
        assert (event.record.header_bytes, event.record.size_bytes) == (8, None)

    def test_headers_alone(self) -> None:
        """The layout is computed, up to the first field of unknown size."""
        fields = tuple(
            Field(name, ctype, None, None, None)
            for name, ctype in (("a", Int("unsigned char", 1, False)), ("b", ULONG), ("c", Typedef("kuid_t")))
        )
        facts = headers_of(event_of("e", "c", ("x", INT)), classes=(HeaderClass("c", (), fields[:2], HERE),))
        event = only(kernel(headers=facts), "e")
        assert event.record is not None
        assert [(field.offset_bytes, field.size_bytes) for field in event.record.fields] == [(8, 1), (16, 8)]
        assert (event.record.size_bytes, event.record_origin, event.args_origin) == (24, Origin.HEADERS, Origin.HEADERS)
        facts = headers_of(event_of("e", "c", ("x", INT)), classes=(HeaderClass("c", (), fields, HERE),))
        event = only(kernel(headers=facts), "e")
        assert event.record is not None
        assert [field.offset_bytes for field in event.record.fields] == [8, 16, None]
        assert event.record.size_bytes is None

    def test_longer_common_header_of_tracefs(self, tmp_path: Path) -> None:
        """9 bytes of common fields are a `struct trace_entry` of 12."""
        tracefs = tracefs_of(tmp_path, {"s/e": (Line("int a", 12, 4, 1),)})
        path = tmp_path / "events/s/e/format"
        extra = "\tfield:unsigned char common_preempt_lazy_count;\toffset:8;\tsize:1;\tsigned:0;\n"
        path.write_text(path.read_text().replace("\n\n", f"\n{extra}\n", 1))
        record = only(kernel(tracefs=tracefs), "e").record
        assert record is not None
        assert (record.header_bytes, record.fields[0].offset_bytes) == (12, 12)


ENTER = {
    "syscalls/sys_enter_openat": (
        Line("int __syscall_nr", 8, 4, 1), Line("int dfd", 16, 8), Line("const char * filename", 24, 8),
        Line("umode_t mode", 32, 8), Line("__data_loc char[] __filename_val", 40, 4),
    ),
    "syscalls/sys_exit_openat": (Line("int __syscall_nr", 8, 4, 1), Line("long ret", 16, 8, 1)),
}  # fmt: skip


class TestSyscalls:
    """A syscalls: program is given `struct syscall_tp_t`, not the record of the format file."""

    @staticmethod
    def vendor(args: int) -> BtfBuilder:
        """BTF with the arguments at another offset, as RHEL 9.3 has it."""
        b = BtfBuilder()
        number, ulong = b.integer("int", 4, SIGNED), b.integer("long unsigned int", 8)
        b.typedef("umode_t", b.integer("short unsigned int", 2))
        entry = b.structure("trace_entry", 8)
        ret = [("ent", entry, 0), ("syscall_nr", number, args - 8), ("ret", ulong, args)]
        six = [("ent", entry, 0), ("syscall_nr", number, args - 8), ("args", b.array(ulong, 6), args)]
        b.structure("syscall_tp_t", args + 8, ret)
        b.structure("syscall_tp_t", args + 48, six)
        return b

    @pytest.mark.parametrize("first", [16, 24])
    def test_enter(self, first: int, tmp_path: Path) -> None:
        """Slots of 8 bytes from where BTF says; the sign is the declared type's; __data_loc fields are left out."""
        found = kernel(self.vendor(first), tracefs_of(tmp_path, ENTER))
        record = only(found, "sys_enter_openat").record
        assert record is not None
        assert [(f.name, f.offset_bytes, f.size_bytes, f.signed) for f in record.fields] == [
            ("__syscall_nr", first - 8, 4, True), ("dfd", first, 8, True), ("filename", first + 8, 8, False),
            ("mode", first + 16, 8, False),
        ]  # fmt: skip
        assert record.fields[3].type == Typedef("umode_t", Int("unsigned short", 2, False))
        assert record.size_bytes == first + 24

    @pytest.mark.parametrize(("arch", "offset"), [("x86_64", 8), ("s390x", 12)])
    def test_number_is_a_long(self, arch: str, offset: int, tmp_path: Path) -> None:
        """As in Linux 5.10. Of getpid()'s it lets a program read 12 bytes, as far as the record's int goes."""
        target = target_named(arch)
        b = BtfBuilder(target.big_endian)
        ulong = b.integer("long unsigned int", 8)
        members = [("regs", ulong, 0), ("syscall_nr", ulong, 8), ("args", b.array(ulong, 6), 16)]
        b.structure("syscall_tp_t", 64, members)
        btf = BtfTracepoints(Btf(b.blob(), "vmlinux", None, TRACEPOINT_NAMES, arch), None)
        folder = write_tracefs(tmp_path, {"syscalls/sys_enter_getpid": (Line("int __syscall_nr", 8, 4, 1),)})
        found = Kernel(Sources("a test", target, None, (btf,), TraceFs(str(folder), target), None))
        record = only(found, "sys_enter_getpid").record
        assert record is not None
        assert [(f.name, f.offset_bytes, f.size_bytes) for f in record.fields] == [("__syscall_nr", offset, 4)]

    def test_exit(self, tmp_path: Path) -> None:
        record = only(kernel(self.vendor(16), tracefs_of(tmp_path, ENTER)), "sys_exit_openat").record
        assert record is not None
        assert [(f.name, f.offset_bytes, f.signed) for f in record.fields] == [
            ("__syscall_nr", 8, True), ("ret", 16, True),
        ]  # fmt: skip

    def test_without_btf(self, tmp_path: Path) -> None:
        record = only(kernel(tracefs=tracefs_of(tmp_path, ENTER)), "sys_enter_openat").record
        assert record is not None
        assert [field.offset_bytes for field in record.fields] == [8, 16, 24, 32]


class TestArguments:
    """BTF's types, in the order of TP_ARGS, with names from BTF's functions or else the headers."""

    @staticmethod
    def two(named: bool) -> BtfBuilder:
        b = BtfBuilder()
        number, task = b.integer("int", 4, SIGNED), b.ptr(b.fwd("task_struct"))
        b.event("e", [("old", number), ("new", task)], ("__probestub_",) if named else ())
        return b

    @pytest.mark.parametrize(
        ("named", "said", "release", "expected", "origins"),
        [
            (True, None, None, ["old", "new"], (Origin.BTF, Origin.PROBESTUB)),
            (False, None, None, [None, None], (Origin.BTF, None)),
            # Headers name what BTF does not.
            (False, (("old", INT), ("new", TASK)), None, ["old", "new"], (Origin.BTF, Origin.HEADERS)),
            # 5.10's btrfs__prelim_ref: TP_PROTO(old, new), TP_ARGS(new, old).
            (True, (("new", TASK), ("old", INT)), None, ["new", "old"], (Origin.HEADERS, Origin.PROBESTUB)),
            # A DEFINE_EVENT that calls them something else.
            (True, (("a", INT), ("b", TASK)), None, ["old", "new"], (Origin.BTF, Origin.PROBESTUB)),
            # Headers of another release, or with another number of arguments, do not decide.
            (True, (("new", TASK), ("old", INT)), "5.10.0", ["old", "new"], (Origin.BTF, Origin.PROBESTUB)),
            (False, (("old", INT),), None, [None, None], (Origin.BTF, None)),
        ],
    )
    def test_order_and_names(
        self,
        named: bool,
        said: tuple[tuple[str, object], ...] | None,
        release: str | None,
        expected: list[str | None],
        origins: tuple[Origin, Origin | None],
    ) -> None:
        facts = headers_of(event_of("e", "e", *said), release="6.1.192" if release else None) if said else None
        event = only(kernel(self.two(named), headers=facts, release=release), "e")
        assert event.args is not None
        assert [arg.name for arg in event.args] == expected
        assert [arg.slot for arg in event.args] == [0, 1]
        assert (event.args_origin, event.names_origin) == origins
        if expected == ["new", "old"]:
            # BTF only declares the struct, as it does where a kernel defines it in another file.
            assert [arg.type for arg in event.args] == [Pointer(Struct("struct", "task_struct", forward=True)), INT]

    @pytest.mark.parametrize("order", [1, -1])
    def test_header_with_the_event_twice(self, order: int) -> None:
        """Of the branches of an #if, that which has the kernel's arguments."""
        b = BtfBuilder()
        b.event("e", [("a", b.integer("int", 4, SIGNED))], ())
        said = [event_of("e", "one", ("wrong", ULONG)), event_of("e", "two", ("right", INT))]
        event = only(kernel(b, headers=headers_of(*said[::order])), "e")
        assert event.args is not None
        assert [arg.name for arg in event.args] == ["right"]


class TestHeaderClass:
    """Which of the classes of a name in the headers is the event's."""

    @staticmethod
    def branch(condition: str | None, line: int, *names: str, path: str = HERE.path) -> HeaderClass:
        fields = tuple(Field(name, INT, None, None, None) for name in names)
        return HeaderClass("sort", (), fields, Position(path, line), condition)

    @staticmethod
    def compiled(*names: str) -> BtfBuilder:
        """A kernel whose class `sort` has these int fields."""
        b = small_btf()
        b.event("sort", [("a", 2)])
        members = [(name, 2, 8 + 4 * index) for index, name in enumerate(names)]
        b.event_class("sort", [2], 8 + 4 * len(names), [("ent", 21, 0), *members, ("__data", 11, 8 + 4 * len(names))])
        return b

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize(("fields", "line"), [(("loads", "stores"), 10), (("loads",), 20), (("none",), None)])
    def test_the_branch_that_was_compiled(self, fields: tuple[str, ...], line: int | None, order: int) -> None:
        """xfarray_sort_stats has fields that #ifdef DEBUG takes away: BTF has those that the kernel was built with."""
        branches = (self.branch("defined(DEBUG)", 10, "loads", "stores"), self.branch("!defined(DEBUG)", 20, "loads"))
        found = kernel(self.compiled(*fields), headers=headers_of(event_of("sort", "sort"), classes=branches[::order]))
        (key,) = found.keys_of("sort")
        declared = found.header_class(key)
        assert declared is not None
        # Where neither branch is the kernel's, which one is shown does not matter.
        assert declared.position.line == (line or branches[::order][0].position.line)

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_header_of_the_event_comes_first(self, order: int) -> None:
        """Two drivers may call a class the same; that of another header does not count, whatever its fields are."""
        classes = (self.branch(None, 10, "other"), self.branch(None, 20, "loads", path="drivers/other/trace.h"))
        found = kernel(self.compiled("loads"), headers=headers_of(event_of("sort", "sort"), classes=classes[::order]))
        declared = found.header_class(*found.keys_of("sort"))
        assert declared is not None
        assert declared.position == Position(HERE.path, 10)


class TestCompleted:
    """What a name in the headers stands for: what the BTF of the event's own image says."""

    @staticmethod
    def found() -> Kernel:
        """Two modules with a typedef, a struct and an enumerator of one name, each with its own."""
        base = opened(small_btf())
        btfs = [base]
        for name, size in (("one", 12), ("two", 20)):
            b = BtfBuilder(base=small_btf())
            b.structure("state", size, [("a", 2, 0)])
            b.typedef("state_t", b.array(2, size // 4))
            b.enum("", values=[("STATES", size // 4)])
            b.event(name, [("a", 2)])
            btfs.append(opened(b, base, name))
        return Kernel(Sources("a test", X86, None, tuple(btfs), None))

    @pytest.mark.parametrize(("module", "size"), [("one", 12), ("two", 20)])
    def test_of_the_module(self, module: str, size: int) -> None:
        found, key = self.found(), EventKey(None, module, module)
        assert found.keys_of(module) == [key]
        assert found.resolved_type(Struct("struct", "state"), key) == Struct("struct", "state", size, 4)
        assert found.resolved_type(Typedef("state_t"), key) == Typedef("state_t", Array(INT, size // 4))
        assert found.resolved_type(Array(INT, None, "STATES + 1"), key) == Array(INT, size // 4 + 1)
        assert found.resolved_type(Array(INT, None, "sizeof(struct state)"), key) == Array(INT, size)

    def test_of_the_kernel(self) -> None:
        """An event that no BTF has is the kernel's own, which knows neither module's names."""
        found, key = self.found(), EventKey("syscalls", "sys_enter_close")
        unknown = Array(Struct("struct", "state"), None, "STATES")
        assert found.resolved_type(unknown, key) == unknown
        pid = found.resolved_type(Typedef("pid_t"), key)
        assert pid == Typedef("pid_t", Typedef("__kernel_pid_t", INT))

    @pytest.mark.parametrize("length", ["MACRO", "0 - 1", "1 << 40", "f(2)", "sizeof(struct nowhere)"])
    def test_lengths_that_stay_unknown(self, length: str) -> None:
        unknown = Array(INT, None, length)
        assert self.found().resolved_type(unknown, EventKey(None, "one", "one")) == unknown


class TestManyNames:
    """Looking for thousands of exact names, as a catalog does: after the first few every event is listed once."""

    def test_same_answers_in_any_order(self) -> None:
        names = ("sched_wakeup", "nothing", "pelt_se_tp", "sched_switch", "sched_wakeup", "none", "page_ref_mod")
        listed = kernel(small_btf())
        assert listed.names == ("dma_fence_init", "page_ref_mod", "pelt_se_tp", "sched_switch", "sched_wakeup")
        for some in (names, names[::-1]):
            asked = kernel(small_btf())
            assert [asked.keys_of(name) for name in some] == [
                [] if name.startswith("no") else [EventKey(None, name)] for name in some
            ]

    def test_images_are_asked_for_few_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each look at an image searches all of its types: of one event there is one, of many no more than of ten."""
        looks: list[str] = []
        has_event = BtfTracepoints.has_event

        def counted(self: BtfTracepoints, event: str) -> bool:
            looks.append(event)
            return has_event(self, event)

        monkeypatch.setattr(BtfTracepoints, "has_event", counted)
        asked = kernel(small_btf())
        asked.keys_of("sched_switch")
        assert looks == ["sched_switch"]
        for number in range(1000):
            asked.keys_of(f"event_{number}")
        assert len(set(looks)) <= 10


class TestModules:
    def test_key_is_module_and_event(self, tmp_path: Path) -> None:
        """Two modules with an event of one name, in two systems: each gets its own."""
        base = opened(small_btf())
        i915, xe = BtfBuilder(base=small_btf()), BtfBuilder(base=small_btf())
        i915.event("pipe", [("a", 2), ("b", 2)])
        xe.event("pipe", [("a", 2)])
        btfs = (base, opened(i915, base, "i915"), opened(xe, base, "xe"))
        line = (Line("int a", 8, 4, 1),)
        tracefs = tracefs_of(tmp_path, {"i915/pipe": line, "xe/pipe": line})
        found = Kernel(Sources("a test", X86, None, btfs, tracefs))
        assert found.keys_of("pipe") == [EventKey("i915", "pipe", "i915"), EventKey("xe", "pipe", "xe")]
        assert [len(found.event(key).args or ()) for key in found.keys_of("pipe")] == [2, 1]
        assert [key.module for key in found.select("pipe", "xe")] == ["xe"]
        assert {key.module for key in found.select("*", "vmlinux")} == {None}

    def test_types_of_the_base(self) -> None:
        """A module's record refers to the kernel's types, and to its common header."""
        base = opened(small_btf())
        b = BtfBuilder(base=small_btf())
        b.event("m", [("p", 16)])
        b.event_class("m", [16], 16, [("ent", 21, 0), ("comm", b.array(3, 4), 8), ("pid", 14, 12)])
        found = Kernel(Sources("a test", X86, None, (base, opened(b, base, "m")), None))
        event = only(found, "m")
        assert event.module == "m"
        assert event.args is not None
        assert event.args[0].type == TASK
        assert event.record is not None
        assert event.record.header_bytes == 8
        assert event.record.fields[0].type == Array(Int("char", 1, False), 4)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", (None, "a")),
        ("s:a", ("s", "a")),
        ("*:a", ("*", "a")),
        ("s:*", ("s", "*")),
        ("a:b:c", ("a:b", "c")),
        (":a", (None, "a")),
    ],
)
def test_split_pattern(pattern: str, expected: tuple[str | None, str]) -> None:
    assert split_pattern(pattern) == expected


@pytest.mark.parametrize("pattern", ["", ":", "s:"])
def test_pattern_without_a_name(pattern: str) -> None:
    with pytest.raises(TpgenError, match=r"\[bad-pattern\]"):
        split_pattern(pattern)


def test_keys_are_sorted(tmp_path: Path) -> None:
    """By system, then name; what has no system comes first."""
    keys = kernel(small_btf(), tracefs_of(tmp_path)).keys()
    assert [str(key) for key in keys] == [
        "pelt_se_tp", "dma_fence:dma_fence_init", "page_ref:page_ref_mod", "sched:sched_switch", "sched:sched_wakeup",
        "syscalls:sys_enter_close",
    ]  # fmt: skip


class TestModulesWithoutBtf:
    """Those of Linux 5.10: the module's file tells which tracepoints it has, and only headers tell the rest."""

    FACTS = headers_of(
        event_of("ext4_unlink", "ext4__unlink", ("task", TASK), ("n", INT), system="ext4"),
        event_of("never_built", "never_built", system="ext4"),
        classes=(
            HeaderClass(
                "ext4__unlink", (), (Field("n", INT, None, 4, None), Field("p", Typedef("pid_t"), None, None, None)),
                HERE,
            ),
        ),
    )  # fmt: skip

    def of(self, headers: HeaderFacts | None) -> Kernel:
        tree = SourceTree(GivenHeaders(headers)) if headers else None
        sources = Sources("a test", X86, None, (opened(small_btf()),), None, tree)
        return Kernel(replace(sources, modules_without_btf={"ext4": ("ext4_unlink",), "other": ("sched_switch",)}))

    def test_no_tp_btf(self) -> None:
        """Programs of that type find their tracepoint in the module's BTF; raw_tp programs need none."""
        target, found = target_named("x86_64"), self.of(self.FACTS)
        event = only(found, "ext4_unlink")
        assert "  attach   raw_tp/ext4_unlink, tp/ext4/ext4_unlink\n" in event_text(event, target, ())
        text = backend_text(event, Form.RAW, target)
        assert '#define RAW_SEC_ext4_unlink "raw_tp/ext4_unlink"' in text
        assert "tp_btf" not in text
        assert "BTF_SEC" not in text
        of_vmlinux = only(found, "pelt_se_tp")
        assert "tp_btf/pelt_se_tp" in event_text(of_vmlinux, target, ())
        assert "BTF_SEC_pelt_se_tp" in backend_text(of_vmlinux, Form.RAW, target)

    def test_with_headers(self) -> None:
        """The BTF of vmlinux explains the names of types that the module's headers use."""
        found = self.of(self.FACTS)
        assert found.keys_of("ext4_unlink") == [EventKey("ext4", "ext4_unlink", "ext4")]
        event = only(found, "ext4_unlink")
        assert (event.attach_name, event.class_name, event.class_origin) == (
            "ext4_unlink",
            "ext4__unlink",
            Origin.HEADERS,
        )
        assert event.args == (Argument("task", TASK, 0), Argument("n", INT, 1))
        assert event.record is not None
        assert (event.record.size_bytes, event.record_origin) == (16, Origin.HEADERS)
        assert [(field.name, field.offset_bytes, field.size_bytes) for field in event.record.fields] == [
            ("n", 8, 4), ("p", 12, 4),
        ]  # fmt: skip
        assert "never_built" not in found.names

    def test_without_headers(self) -> None:
        found = self.of(None)
        event = only(found, "ext4_unlink")
        assert (event.system, event.module, event.attach_name) == (None, "ext4", "ext4_unlink")
        assert (event.args, event.record, event.class_name) == (None, None, None)

    def test_two_modules_with_one_name(self) -> None:
        found = self.of(None)
        keys = found.keys_of("sched_switch")
        assert [key.module for key in keys] == [None, "other"]
        assert [(event.args is None, event.ambiguous) for event in found.events(keys)] == [(False, True), (True, True)]


def test_an_event_is_ambiguous_where_two_images_have_it(tmp_path: Path) -> None:
    """The base has `twice` and `once`, the module `twice` again."""
    base = small_btf()
    base.event("twice", [("a", 2)])
    base.event("once", [("a", 2)])
    module = BtfBuilder(base=base)
    module.event("twice", [("a", 2)])
    paths = write_btf(tmp_path / "vmlinux", base), write_btf(tmp_path / "driver", module)
    kernel = Kernel(open_files([str(path) for path in paths]))
    keys = kernel.keys()
    events = {(key.name, key.module): kernel.event(key).ambiguous for key in keys}
    assert {key: events[key] for key in events if key[0] in ("twice", "once")} == {
        ("once", None): False, ("twice", None): True, ("twice", "driver"): True,
    }  # fmt: skip
