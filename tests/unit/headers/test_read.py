"""What trace headers state: small headers, each for one rule of the family, with the facts worked out by hand."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import pytest

from tpgen.diagnostics import Position, Severity, TpgenError
from tpgen.model import Argument, Dynamic, Field, Kind
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts
from tpgen.sources.headers.read import read_headers, read_text
from tpgen.spelling import spell
from tpgen.target import target_named

_TARGET = target_named("x86_64")


def _read(text: str, release: str | None = None, config: dict[str, str] | None = None) -> HeaderFacts:
    return read_text(textwrap.dedent(text), _TARGET, "t.h", release, config)


def _args(event: HeaderEvent | HeaderClass) -> list[str]:
    return [spell(arg.type, arg.name or "") for arg in event.args]


def _names(facts: HeaderFacts) -> list[str]:
    return [event.name for event in facts.events]


def _codes(facts: HeaderFacts) -> list[str]:
    return [diagnostic.code for diagnostic in facts.skipped]


_EVENT = """
TRACE_EVENT({name},
    TP_PROTO(int a),
    TP_ARGS(a),
    TP_STRUCT__entry(__field(int, a)),
    TP_fast_assign(__entry->a = a;),
    TP_printk("%d", __entry->a)
);
"""


def test_a_trace_event_is_a_class_and_an_event() -> None:
    facts = _read("""\
        #undef TRACE_SYSTEM
        #define TRACE_SYSTEM sample

        TRACE_EVENT(eat,
            TP_PROTO(struct task_struct *p, const char *what, u32 count),
            TP_ARGS(p, what, count),
            TP_STRUCT__entry(
                __array(    char, comm, 16)   /* a comment, with ( */
                __string(   what, what)
                __field(    u32,  count);
                __field_struct(struct foo, foo)
            ),
            TP_fast_assign(
                if (count > 1) strcpy(__entry->comm, ")");
            ),
            TP_printk("%s eats %s, (%u)", __entry->comm, __get_str(what), __entry->count)
        );
        """)
    (event,), (cls,) = facts.events, facts.classes
    assert event == HeaderEvent("sample", "eat", "eat", Kind.TRACE_EVENT, event.args, Position("t.h", 4, 1))
    assert _args(event) == ["struct task_struct *p", "const char *what", "u32 count"]
    assert [arg.slot for arg in event.args] == [0, 1, 2]
    assert (cls.name, cls.args, cls.position) == ("eat", event.args, event.position)
    assert [(spell(f.type, f.name) if f.type else "", f.dynamic, f.offset_bytes, f.size_bytes) for f in cls.fields] == [
        ("char comm[16]", None, None, None),
        ("char what", Dynamic.DATA_LOC, None, None),
        ("u32 count", None, None, None),
        ("struct foo foo", None, None, None),
    ]
    assert facts.skipped == ()


@pytest.mark.parametrize(
    ("entry", "declared", "dynamic"),
    [
        ("__field(struct a *, f)", "struct a *f", None),
        ("__field_ext(pid_t, f, FILTER_PTR)", "pid_t f", None),
        ("__field_struct(struct a, f)", "struct a f", None),
        ("__field_struct_ext(struct a, f, FILTER_OTHER)", "struct a f", None),
        ("__array(u8, f, 4 + 2)", "u8 f[6]", None),
        ("__array(char *, f, NR_THINGS)", "char *f[NR_THINGS]", None),
        ("__array(u8, f, sizeof(struct in6_addr))", "u8 f[sizeof(struct in6_addr)]", None),
        ("__array(u32, f, FOO_SZ(struct bar, 2))", "u32 f[FOO_SZ(struct bar, 2)]", None),
        ("__dynamic_array(__le32, f, len)", "__le32 f", "data_loc"),
        ("__string(f, dev ? dev_name(dev) : NULL)", "char f", "data_loc"),
        ("__string_len(f, name, len)", "char f", "data_loc"),
        ("__vstring(f, vaf->fmt, vaf->va)", "char f", "data_loc"),
        ("__bitmask(f, nr_bits)", "unsigned long f", "data_loc"),
        # tracefs says `__data_loc cpumask_t f`, without brackets.
        ("__cpumask(f)", "cpumask_t f", "data_loc"),
        ("__sockaddr(f, len)", "u8 f", "data_loc"),
        ("__rel_dynamic_array(int, f, len)", "int f", "rel_loc"),
        ("__rel_string(f, name)", "char f", "rel_loc"),
        ("__rel_string_len(f, name, len)", "char f", "rel_loc"),
        ("__rel_vstring(f, fmt, va)", "char f", "rel_loc"),
        ("__rel_bitmask(f, nr_bits)", "unsigned long f", "rel_loc"),
        ("__rel_cpumask(f)", "cpumask_t f", "rel_loc"),
        ("__rel_sockaddr(f, len)", "u8 f", "rel_loc"),
    ],
)
def test_fields(entry: str, declared: str, dynamic: str | None) -> None:
    facts = _read(
        "DECLARE_EVENT_CLASS(c, TP_PROTO(void), TP_ARGS(), "
        f'TP_STRUCT__entry({entry}), TP_fast_assign(), TP_printk(""));'
    )
    (field,) = facts.classes[0].fields
    assert field.type
    assert (spell(field.type, field.name), field.dynamic) == (declared, dynamic)
    assert facts.skipped == ()


def test_every_word_of_the_family() -> None:
    record = 'TP_STRUCT__entry(__field(int, a)), TP_fast_assign(), TP_printk("")'
    proto = "TP_PROTO(int a), TP_ARGS(a)"
    facts = _read(f"""\
        TRACE_EVENT(e1, {proto}, {record});
        TRACE_EVENT_CONDITION(e2, {proto}, TP_CONDITION(a > 0), {record});
        TRACE_EVENT_FN(e3, {proto}, {record}, reg, unreg);
        TRACE_EVENT_FN_COND(e4, {proto}, TP_CONDITION(a), {record}, reg, unreg);
        TRACE_EVENT_SYSCALL(e5, {proto}, {record}, reg, unreg);
        TRACE_EVENT_NOP(n1, {proto}, {record});
        DECLARE_EVENT_CLASS(c1, {proto}, {record});
        DECLARE_EVENT_SYSCALL_CLASS(c2, {proto}, {record});
        DECLARE_EVENT_CLASS_NOP(n2, {proto}, {record});
        DEFINE_EVENT(c1, d1, {proto});
        DEFINE_EVENT_PRINT(c1, d2, {proto}, TP_printk("x"));
        DEFINE_EVENT_CONDITION(c1, d3, {proto}, TP_CONDITION(a));
        DEFINE_EVENT_FN(c1, d4, {proto}, reg, unreg);
        DEFINE_EVENT_SYSCALL(c2, d5, {proto}, reg, unreg);
        DEFINE_EVENT_WRITABLE(c1, d6, {proto}, 4);
        DEFINE_EVENT_NOP(c1, n3, {proto});
        DECLARE_TRACE(t1, {proto});
        DECLARE_TRACE_CONDITION(t2, {proto}, TP_CONDITION(a));
        DECLARE_TRACE_WRITABLE(t3, {proto}, 4);
        DECLARE_TRACE_NOARGS(t4);
        TRACE_EVENT_FLAGS(e1, TRACE_EVENT_FL_CAP_ANY)
        TRACE_EVENT_PERF_PERM(e1, is_sampling_event(p_event) ? -EPERM : 0);
        TRACE_DEFINE_ENUM(FOO);
        """)
    assert [cls.name for cls in facts.classes] == ["e1", "e2", "e3", "e4", "e5", "c1", "c2"]
    assert [(event.name, event.class_name) for event in facts.events] == [
        *[(f"e{number}", f"e{number}") for number in range(1, 6)],
        *[(f"d{number}", "c2" if number == 5 else "c1") for number in range(1, 7)],
        *[(f"t{number}", f"t{number}") for number in range(1, 5)],
    ]
    bare = [event.name for event in facts.events if event.kind is Kind.TRACEPOINT]
    assert bare == ["t1", "t2", "t3", "t4"]
    assert [event.name for event in facts.events if not event.attachable] == ["t2"]
    assert facts.events[-1].args == ()
    assert facts.skipped == ()


@pytest.mark.parametrize(
    ("release", "name"),
    [
        (None, "x"),
        ("5.10.223", "x"),
        ("6.15.9", "x"),
        ("6.16.0-rc1", "x_tp"),
        ("6.18.44-fc", "x_tp"),
        ("7.2.13", "x_tp"),
    ],
)
def test_a_bare_tracepoint_has_a_suffix_from_6_16_on(release: str | None, name: str) -> None:
    facts = _read("DECLARE_TRACE(x, TP_PROTO(int a), TP_ARGS(a));", release)
    (event,) = facts.events
    assert (event.name, event.class_name, event.kind) == (name, name, Kind.TRACEPOINT)


@pytest.mark.parametrize(
    ("word", "name"),
    [("FTRACE_ENTRY(foo, bar, 1, 2)", "foo"), ("HYP_EVENT(foo, HE_PROTO(), 1)", "foo"),
     ("REMOTE_EVENT(foo, 1, RE_STRUCT())", "foo"), ("TRACE_CUSTOM_EVENT(foo, 1, 2, 3, 4)", "foo"),
     ("DEFINE_CUSTOM_EVENT(cls, foo, 1, 2)", "foo")],
)  # fmt: skip
def test_other_events_are_reported(word: str, name: str) -> None:
    facts = _read(f"int x;\n  {word};")
    assert facts.events == ()
    (skipped,) = facts.skipped
    assert (skipped.code, skipped.severity) == ("header-other-event", Severity.NOTE)
    assert skipped.position == Position("t.h", 2, 3)
    assert str(skipped).startswith(f"t.h:2:3: {word.split('(')[0]} {name} is not a tracepoint")


# --- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "declared"),
    [
        ("int (*fn)(struct a *, long)", "int (*fn)(struct a *, long)"),
        ("u8 (*rows)[16]", "u8 (*rows)[16]"),
        ("const u8 addr[ETH_ALEN]", "const u8 *addr"),
        ("char __user *buf", "char __user *buf"),
        ("const struct a *const *p", "const struct a *const *p"),
        ("pte_t pte", "pte_t pte"),
        ("union u by_value", "union u by_value"),
        ("unsigned long long int x", "unsigned long long x"),
        ("enum zone_type z", "enum zone_type z"),
        # <linux/types.h> makes this one with #define.
        ("pgoff_t index", "unsigned long index"),
    ],
)
def test_parameters(param: str, declared: str) -> None:
    name = declared.split("(*")[-1].split(")")[0] if "(*" in declared else declared.split()[-1].lstrip("*")
    facts = _read(f"DEFINE_EVENT(c, e, TP_PROTO({param}), TP_ARGS({name}));")
    assert _args(facts.events[0]) == [declared]
    assert facts.skipped == ()


# --- a header's own macros -----------------------------------------------------------------------------------------


def test_a_wrapper_that_pastes() -> None:
    # As in arch/x86/include/asm/trace/irq_vectors.h.
    facts = _read("""\
        #define DEFINE_IRQ_EVENT(name) \\
            DEFINE_EVENT_FN(vector, name##_entry, TP_PROTO(int v), TP_ARGS(v), NULL, NULL); \\
            DEFINE_EVENT_FN(vector, name##_exit, TP_PROTO(int v), TP_ARGS(v), NULL, NULL);
        DEFINE_IRQ_EVENT(local_timer);
        """)
    assert _names(facts) == ["local_timer_entry", "local_timer_exit"]
    assert {event.position for event in facts.events} == {Position("t.h", 4, 1)}
    assert _args(facts.events[1]) == ["int v"]


def test_an_alias_of_the_family_and_its_stub() -> None:
    # As in include/trace/events/rcu.h; the stub must not win where the configuration is unknown.
    text = """\
        #ifdef CONFIG_RCU_TRACE
        #define TRACE_EVENT_RCU TRACE_EVENT
        #else
        #define TRACE_EVENT_RCU TRACE_EVENT_NOP
        #endif
        """ + _EVENT.format(name="e").replace("TRACE_EVENT", "TRACE_EVENT_RCU")
    assert _names(_read(text)) == ["e"]
    assert _names(_read(text, config={"CONFIG_RCU_TRACE": "y"})) == ["e"]
    assert _names(_read(text, config={})) == []
    reversed_text = text.replace("#ifdef", "#ifndef").replace(" TRACE_EVENT\n", " X\n").replace("_NOP", "")
    assert _names(_read(reversed_text.replace(" X\n", " TRACE_EVENT_NOP\n"))) == ["e"]


def test_a_stub_of_the_family_does_not_win() -> None:
    # As in drivers/net/wireless/ath/ath10k/trace.h.
    text = """\
        #if !defined(CONFIG_DRIVER_TRACING)
        #undef TRACE_EVENT
        #define TRACE_EVENT(name, proto, ...) \\
        static inline void trace_ ## name(proto) {}
        #undef DEFINE_EVENT
        #define DEFINE_EVENT(evt_class, name, proto, ...)
        #endif
        """ + _EVENT.format(name="e")
    assert _names(_read(text)) == ["e"]
    assert _names(_read(text, config={"CONFIG_DRIVER_TRACING": "y"})) == ["e"]
    assert _names(_read(text, config={})) == []


def test_a_macro_counts_from_its_definition_on() -> None:
    facts = _read("""\
        #define E(name) DEFINE_EVENT(c, name, TP_PROTO(int a), TP_ARGS(a))
        E(one);
        #undef E
        E(none);
        #define E(name) DEFINE_EVENT(d, name, TP_PROTO(long a), TP_ARGS(a))
        E(two);
        """)
    assert [(event.name, event.class_name) for event in facts.events] == [("one", "c"), ("two", "d")]


def test_text_that_only_looks_like_events() -> None:
    facts = _read("""\
        /* TRACE_EVENT(a, b) */
        // DEFINE_EVENT(a,
        #define UNUSED(x) TRACE_EVENT(x)
        static inline const char *f(void) { return "TRACE_EVENT(x, y)"; }
        static inline void g(void) { trace_TRACE_EVENT(1); MY_TRACE_EVENTS(2); }
        DECLARE_TRACEPOINT(page_ref_set);
        """)
    assert facts.events == facts.classes == facts.skipped == ()


# --- systems and conditions ----------------------------------------------------------------------------------------


def test_the_system_is_the_one_in_force() -> None:
    facts = _read(
        _EVENT.format(name="a")
        + "#define TRACE_SYSTEM one\n" + _EVENT.format(name="b")
        + "#undef TRACE_SYSTEM\n#define TRACE_SYSTEM \"two-and\"\n" + _EVENT.format(name="c")
        + "#undef TRACE_SYSTEM\n#define NAME three\n#define TRACE_SYSTEM NAME\n" + _EVENT.format(name="d")
    )  # fmt: skip
    assert [(event.name, event.system) for event in facts.events] == [
        ("a", None), ("b", "one"), ("c", "two-and"), ("d", "three"),
    ]  # fmt: skip


def test_a_header_of_two_systems() -> None:
    # As in intel_display_trace.h, which i915 and xe share.
    facts = _read(
        """\
        #undef TRACE_SYSTEM
        #ifdef I915
        #define TRACE_SYSTEM i915
        #else
        #define TRACE_SYSTEM xe
        #endif
        """
        + _EVENT.format(name="e")
    )
    assert [(event.system, event.condition) for event in facts.events] == [
        ("i915", "defined(I915)"),
        ("xe", "!defined(I915)"),
    ]
    assert len(facts.classes) == 1


def test_an_event_of_two_systems_under_a_condition_of_its_own() -> None:
    systems = "#ifdef I915\n#define TRACE_SYSTEM i915\n#else\n#define TRACE_SYSTEM xe\n#endif\n"
    facts = _read(f"{systems}#ifdef DEBUG\n{_EVENT.format(name='e')}#endif\n")
    assert [(event.system, set((event.condition or "").split(" && "))) for event in facts.events] == [
        ("i915", {"defined(DEBUG)", "defined(I915)"}),
        ("xe", {"defined(DEBUG)", "!defined(I915)"}),
    ]


def test_the_condition_of_an_event() -> None:
    text = (
        f"#ifdef CONFIG_A\n{_EVENT.format(name='e')}\n#else\n{_EVENT.format(name='e')}{_EVENT.format(name='f')}#endif\n"
    )
    facts = _read(text)
    assert [(event.name, event.condition) for event in facts.events] == [
        ("e", "defined(CONFIG_A)"), ("e", "!defined(CONFIG_A)"), ("f", "!defined(CONFIG_A)"),
    ]  # fmt: skip
    assert [cls.condition for cls in facts.classes] == [event.condition for event in facts.events]
    assert [(event.name, event.condition) for event in _read(text, config={"CONFIG_A": "m"}).events] == [
        ("e", None), ("f", None),
    ]  # fmt: skip
    assert [event.name for event in _read(text, config={"CONFIG_A": "y"}).events] == ["e"]


def test_a_condition_inside_a_record() -> None:
    # As in xfarray_sort_stats of Linux 6.12.
    text = """\
        DECLARE_EVENT_CLASS(c, TP_PROTO(int a), TP_ARGS(a),
            TP_STRUCT__entry(
                __field(int, a)
        #ifdef CONFIG_DEBUG
                __field(int, loads)
        #endif
                __field(int, z)
            ),
            TP_fast_assign(
        #ifdef FOO
                if (a) {
        #else
                {
        #endif
            ), TP_printk(""));
        """
    facts = _read(text)
    assert [([field.name for field in cls.fields], cls.condition) for cls in facts.classes] == [
        (["a", "loads", "z"], "defined(CONFIG_DEBUG)"), (["a", "z"], "!defined(CONFIG_DEBUG)"),
    ]  # fmt: skip
    (cls,) = _read(text, config={}).classes
    assert ([field.name for field in cls.fields], cls.condition) == (["a", "z"], None)


# An #if around any part of an invocation: the arguments and fields of the class by the value of CONFIG_A.
_DIVIDED = {
    "whole arguments": (
        "TRACE_EVENT(e,\n#ifdef CONFIG_A\nTP_PROTO(int a, long b), TP_ARGS(a, b),\n"
        "#else\nTP_PROTO(int a), TP_ARGS(a),\n"
        '#endif\nTP_STRUCT__entry(__field(int, x)), TP_fast_assign(), TP_printk(""));',
        ("a b", "x"), ("a", "x"),
    ),
    "from a part of an argument on": (
        "TRACE_EVENT(e, TP_PROTO(int a\n#ifdef CONFIG_A\n, long b), TP_ARGS(a, b),\n#else\n), TP_ARGS(a),\n#endif\n"
        'TP_STRUCT__entry(__field(int, x)), TP_fast_assign(), TP_printk(""));',
        ("a b", "x"), ("a", "x"),
    ),
    "the record and what is behind": (
        "TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a),\n#ifdef CONFIG_A\nTP_STRUCT__entry(__field(int, x)),\n"
        "TP_fast_assign(),\n#else\nTP_STRUCT__entry(__field(int, y) __field(int, z)),\nTP_fast_assign(f(1);),\n#endif\n"
        'TP_printk(""));',
        ("a", "x"), ("a", "y z"),
    ),
    "the name": (
        "TRACE_EVENT(\n#ifdef CONFIG_A\ne,\n#else\ne ,\n#endif\nTP_PROTO(int a), TP_ARGS(a),\n"
        'TP_STRUCT__entry(__field(int, x)), TP_fast_assign(), TP_printk(""));',
        ("a", "x"), ("a", "x"),
    ),
    "what is dropped": (
        "TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, x)),\n#ifdef CONFIG_A\n"
        'TP_fast_assign(f(1);), TP_printk("%d", 1)\n#else\nTP_fast_assign(), TP_printk("")\n#endif\n);',
        ("a", "x"), ("a", "x"),
    ),
    "the end of what is dropped": (
        "TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, x)), TP_fast_assign(),\n"
        'TP_printk("%d",\n#ifdef CONFIG_A\n(1))\n#else\n2)\n#endif\n);',
        ("a", "x"), ("a", "x"),
    ),
    "the end": (
        "TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, x)), TP_fast_assign(),\n"
        '#ifdef CONFIG_A\nTP_printk("%d", 1));\n#else\nTP_printk(""));\n#endif\n',
        ("a", "x"), ("a", "x"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", _DIVIDED)
def test_a_condition_around_any_part_of_an_invocation(case: str) -> None:
    text, *by_value = _DIVIDED[case]
    text = f"{text}\nDEFINE_EVENT(e, next, TP_PROTO(int a), TP_ARGS(a));\n"
    undecided = _read(text)
    assert not undecided.skipped
    assert {event.name for event in undecided.events} == {"e", "next"}
    for value, condition, expected in zip("yn", ("defined(CONFIG_A)", "!defined(CONFIG_A)"), by_value, strict=True):
        (decided,) = _read(text, config={"CONFIG_A": value}).classes
        assert (_words(decided.args), _words(decided.fields)) == expected
        # Forms that do not differ are one, under no condition.
        wanted = None if by_value[0] == by_value[1] else condition
        (same,) = (cls for cls in undecided.classes if cls.condition == wanted)
        assert (_words(same.args), _words(same.fields)) == expected


def test_the_release_of_a_tree_decides_conditions(tmp_path: Path) -> None:
    """As drivers out of the tree write them: with the version of the kernel that they are compiled for."""
    _write(tmp_path, "trace.h", """\
        TRACE_EVENT(e,
        #if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
            TP_PROTO(int a, int b), TP_ARGS(a, b),
        #else
            TP_PROTO(int a), TP_ARGS(a),
        #endif
            TP_STRUCT__entry(), TP_fast_assign(), TP_printk(""));
        #if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 192)
        DEFINE_EVENT(e, older, TP_PROTO(int a), TP_ARGS(a));
        #endif
        """)  # fmt: skip
    undecided = read_headers(str(tmp_path), _TARGET)
    assert [(_words(cls.args), cls.condition) for cls in undecided.classes] == [
        ("a b", "LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)"),
        ("a", "!(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0))"),
    ]
    for makefile, args, names in (
        ("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\n", "a", ["e"]),
        ("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 191\n", "a", ["e", "older"]),
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\n", "a b", ["e"]),
    ):
        (tmp_path / "Makefile").write_text(makefile)
        facts = read_headers(str(tmp_path), _TARGET)
        assert [(_words(cls.args), cls.condition) for cls in facts.classes] == [(args, None)]
        assert _names(facts) == names


def test_one_option_asked_for_twice_makes_two_forms() -> None:
    records = "".join(f"\n#ifdef CONFIG_A\n__field(int, a{n})\n#else\n__field(int, b{n})\n#endif\n" for n in range(6))
    text = f'TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry({records}), TP_fast_assign(), TP_printk(""));'
    facts = _read(text)
    assert [(_words(cls.fields), cls.condition) for cls in facts.classes] == [
        ("a0 a1 a2 a3 a4 a5", "defined(CONFIG_A)"), ("b0 b1 b2 b3 b4 b5", "!defined(CONFIG_A)"),
    ]  # fmt: skip


def _words(items: Iterable[Argument | Field]) -> str:
    return " ".join(str(item.name) for item in items)


# --- what is wrong -------------------------------------------------------------------------------------------------


def test_reading_goes_on_behind_an_invocation_that_does_not_close() -> None:
    facts = _read("TRACE_EVENT(one,\nDEFINE_EVENT(two,\nDEFINE_EVENT(c, three, TP_PROTO(int x), TP_ARGS(x));\n")
    assert _codes(facts) == ["header-unbalanced", "header-unbalanced"]
    assert _names(facts) == ["three"]


def test_a_field_with_too_few_arguments_is_told() -> None:
    facts = _read(
        'TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int)), TP_fast_assign(), TP_printk(""));'
    )
    assert [found.message for found in facts.skipped] == [
        "class e is left out: cannot read its field `__field(int)`: __field takes 2 arguments, 1 given"
    ]


def test_an_unbalanced_invocation() -> None:
    facts = _read("\n" + _EVENT.format(name="good") + "\n  TRACE_EVENT(bad, TP_PROTO(int a), TP_ARGS(a\n" + "int x;\n")
    assert _names(facts) == ["good"]
    (skipped,) = facts.skipped
    assert str(skipped) == (
        "t.h:11:3: the parentheses of this TRACE_EVENT do not close [header-unbalanced]; close the invocation with `)`"
    )
    assert skipped.severity is Severity.ERROR


def test_an_open_comment() -> None:
    facts = _read("/* closed */ int x; // not /* this\n  /* open " + _EVENT.format(name="e"))
    assert facts.events == ()
    assert [str(skipped) for skipped in facts.skipped] == ["t.h:2:3: this comment does not end [header-open-comment]"]


def test_a_wrong_number_of_arguments() -> None:
    facts = _read("DEFINE_EVENT(c, e, TP_PROTO(int a));")
    assert str(facts.skipped[0]) == "t.h:1:1: DEFINE_EVENT takes 4 arguments, 3 given [header-arguments]"
    assert facts.skipped[0].severity is Severity.ERROR


def test_a_field_that_no_kernel_has() -> None:
    facts = _read("""\
        TRACE_EVENT(e, TP_PROTO(int a), TP_ARGS(a),
            TP_STRUCT__entry(__field(int, a) __new_field(int, b)), TP_fast_assign(), TP_printk(""));
        """)
    # The record would be wrong, so it is left out; the event stays.
    assert _names(facts) == ["e"]
    assert facts.classes == ()
    assert [str(skipped) for skipped in facts.skipped] == [
        "t.h:2:38: class e is left out: cannot read its field `__new_field(int, b)`: no field macro that the kernel has"
        " [header-field]"
    ]


def test_a_fault_behind_a_wrapper_tells_the_wrapper() -> None:
    facts = _read("""\
        #define E(name) DEFINE_EVENT(c, name, TP_PROTO(int a ]), TP_ARGS(a))

        E(bad);
        """)
    assert facts.events == ()
    (skipped,) = facts.skipped
    assert (skipped.code, skipped.position, skipped.chain) == (
        "header-parameter", Position("t.h", 3, 1), ("expanded from E at t.h:1:1",),
    )  # fmt: skip


def test_an_unknown_macro_that_may_make_events() -> None:
    facts = _read('int f(void);\nDEFINE_FOO_EVENT(bar);\nMODULE_LICENSE("GPL");\n')
    assert [str(skipped) for skipped in facts.skipped] == [
        "t.h:2:1: DEFINE_FOO_EVENT is not defined here; it may make events [header-unknown-macro]"
    ]


# --- trees ---------------------------------------------------------------------------------------------------------


def _write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_a_kernel_tree(tmp_path: Path) -> None:
    _write(tmp_path, "Makefile", "VERSION = 6\nPATCHLEVEL = 16\nSUBLEVEL = 3\nEXTRAVERSION = -rc1\n")
    _write(tmp_path, "include/trace/events/a.h", "#define TRACE_SYSTEM a\n" + _EVENT.format(name="a1"))
    _write(tmp_path, "drivers/b/trace.h", "#define TRACE_SYSTEM b\nDECLARE_TRACE(b1, TP_PROTO(int a), TP_ARGS(a));")
    _write(tmp_path, "arch/x86/c.h", "#define TRACE_SYSTEM c\n" + _EVENT.format(name="c1"))
    _write(tmp_path, "arch/s390/d.h", "#define TRACE_SYSTEM d\n" + _EVENT.format(name="d1"))
    _write(tmp_path, "tools/e.h", "#define TRACE_SYSTEM e\n" + _EVENT.format(name="e1"))
    _write(tmp_path, "drivers/b/other.h", "int TRACE_EVENTS;\n")
    _write(tmp_path, "drivers/b/code.c", _EVENT.format(name="no_header"))
    facts = read_headers(str(tmp_path), _TARGET)
    assert facts.release == "6.16.3-rc1"
    assert [(event.system, event.name) for event in facts.events] == [("c", "c1"), ("b", "b1_tp"), ("a", "a1")]
    assert facts.events[1].position == Position(str(tmp_path / "drivers/b/trace.h"), 2, 1)
    assert facts.skipped == ()
    everywhere = read_headers(str(tmp_path), _TARGET, every_arch=True)
    assert {event.name for event in everywhere.events} == {"a1", "b1_tp", "c1", "d1"}
    part = read_headers(str(tmp_path / "include/trace/events"), _TARGET)
    assert (part.release, [event.name for event in part.events]) == ("6.16.3-rc1", ["a1"])
    single = read_headers(str(tmp_path / "drivers/b/trace.h"), _TARGET)
    assert (single.release, [event.name for event in single.events]) == ("6.16.3-rc1", ["b1_tp"])


def test_a_kernel_below_the_root(tmp_path: Path) -> None:
    for number, place in enumerate(("one/kernel-5.10", "driver")):
        _write(tmp_path, f"{place}/arch/x86/c.h", f"#define TRACE_SYSTEM c{number}\n" + _EVENT.format(name="c"))
        _write(tmp_path, f"{place}/arch/arm64/d.h", f"#define TRACE_SYSTEM d{number}\n" + _EVENT.format(name="d"))
        _write(tmp_path, f"{place}/tools/e.h", f"#define TRACE_SYSTEM e{number}\n" + _EVENT.format(name="e"))
    _write(tmp_path, "one/kernel-5.10/include/linux/kernel.h", "")
    facts = read_headers(str(tmp_path), _TARGET)
    assert sorted(str(event.system) for event in facts.events) == ["c0", "c1", "d1", "e1"]
    everywhere = read_headers(str(tmp_path), _TARGET, every_arch=True)
    assert sorted(str(event.system) for event in everywhere.events) == ["c0", "c1", "d0", "d1", "e1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("include/config/kernel.release", "6.1.0-13-amd64\n"),
        ("include/generated/utsrelease.h", '#define UTS_RELEASE "6.1.0-13-amd64"\n'),
    ],
)
def test_other_sources_of_the_release(tmp_path: Path, name: str, text: str) -> None:
    _write(tmp_path, name, text)
    header = _write(tmp_path, "trace.h", _EVENT.format(name="e"))
    assert read_headers(str(header), _TARGET).release == "6.1.0-13-amd64"


def test_a_copy_of_a_fragment_makes_no_events(tmp_path: Path) -> None:
    """As kernel/sched/honor_rtg_sched/trace/rtg.h, a copy of a part of include/trace/events/sched.h."""
    part = _EVENT.format(name="part") + "DECLARE_TRACE(bare, TP_PROTO(int a), TP_ARGS(a));\n"
    _write(tmp_path, "include/trace/events/a.h", '#define TRACE_SYSTEM a\n#include "part.h"\n')
    _write(tmp_path, "include/trace/events/part.h", part)
    _write(tmp_path, "sched/copy/part.h", part + _EVENT.format(name="more"))
    facts = read_headers(str(tmp_path), _TARGET)
    assert sorted((str(event.system), event.name) for event in facts.events) == [
        ("None", "bare"), ("None", "more"), ("a", "bare"), ("a", "part"),
    ]  # fmt: skip
    (note,) = facts.skipped
    assert (note.code, note.severity) == ("header-orphan", Severity.NOTE)
    assert note.position is not None
    assert note.position.path == str(tmp_path / "sched/copy/part.h")
    assert "a:part is in" in note.message
    # Given alone it is what somebody wants.
    alone = read_headers(str(tmp_path / "sched/copy"), _TARGET)
    assert ([event.name for event in alone.events], alone.skipped) == (["part", "bare", "more"], ())


def test_a_fragment_belongs_to_its_includer(tmp_path: Path) -> None:
    # As the monitors of kernel/trace/rv.
    _write(tmp_path, "rv/rv_trace.h", """\
        #define TRACE_SYSTEM rv
        DECLARE_EVENT_CLASS(monitor, TP_PROTO(int a, int b), TP_ARGS(b, a),
            TP_STRUCT__entry(), TP_fast_assign(), TP_printk(""));
        #define WIP_EVENT(name) DEFINE_EVENT(monitor, name, TP_PROTO(int x, int y), TP_ARGS(x, y))
        #include <monitors/wip/wip_trace.h>
        #include <linux/tracepoint.h>
        """)  # fmt: skip
    fragment = _write(tmp_path, "rv/monitors/wip/wip_trace.h", """\
        #ifdef CONFIG_WIP
        DEFINE_EVENT(monitor, event_wip, TP_PROTO(int x, int y), TP_ARGS(x, y));
        WIP_EVENT(error_wip);
        #endif
        """)  # fmt: skip
    _write(tmp_path, "rv/alone.h", "DEFINE_EVENT(monitor, alone, TP_PROTO(int x, int y), TP_ARGS(x, y));")
    facts = read_headers(str(tmp_path), _TARGET)
    assert [(e.system, e.name, e.condition, [a.name for a in e.args]) for e in facts.events] == [
        ("rv", "event_wip", "defined(CONFIG_WIP)", ["y", "x"]),
        ("rv", "error_wip", "defined(CONFIG_WIP)", ["y", "x"]),
        (None, "alone", None, ["y", "x"]),
    ]
    assert facts.events[0].position == Position(str(fragment), 2, 1)


def test_of_two_fragments_of_one_name_the_one_beside_counts(tmp_path: Path) -> None:
    for name in "ab":
        _write(tmp_path, f"{name}/parts/events.h", f"DEFINE_EVENT(c, in_{name}, TP_PROTO(int x), TP_ARGS(x));")
        _write(tmp_path, f"{name}/trace.h", f"""\
            #define TRACE_SYSTEM {name}
            DECLARE_EVENT_CLASS(c, TP_PROTO(int x), TP_ARGS(x),
                TP_STRUCT__entry(), TP_fast_assign(), TP_printk(""));
            #include "parts/events.h"
            """)  # fmt: skip
    facts = read_headers(str(tmp_path), _TARGET)
    assert [(event.system, event.name) for event in facts.events] == [("a", "in_a"), ("b", "in_b")]


def test_a_header_larger_than_what_is_searched_is_read_from_its_first_character_on(tmp_path: Path) -> None:
    event = "DEFINE_EVENT(c, {}, TP_PROTO(int x), TP_ARGS(x));\n"
    text = "#define TRACE_SYSTEM big\n" + event.format("first") + "/* */\n" * 60_000 + event.format("last")
    (tmp_path / "trace.h").write_text(text)
    facts = read_headers(str(tmp_path), _TARGET)
    assert [(event.system, event.name) for event in facts.events] == [("big", "first"), ("big", "last")]


def test_macros_of_a_neighbour(tmp_path: Path) -> None:
    # hfi1's trace headers include hfi.h for DD_DEV_ENTRY; iwlwifi's are included by the header that has DEV_ENTRY.
    _write(tmp_path, "drivers/hfi.h", "#define DD_DEV_ENTRY(dd) __string(dev, DD_NAME(dd))\n#define DD_NAME(dd) dd\n")
    _write(tmp_path, "drivers/devtrace.h", '#define DEV_ENTRY __string(dev, x)\n#include "trace_b.h"\n')
    for name, entry, include in (("a", "DD_DEV_ENTRY(x)", '#include "hfi.h"'), ("b", "DEV_ENTRY", "")):
        text = _EVENT.format(name=name).replace("__field(int, a)", f"{entry} __field(int, a)")
        _write(tmp_path, f"drivers/trace_{name}.h", f"{include}\n#define TRACE_SYSTEM {name}\n{text}")
    facts = read_headers(str(tmp_path), _TARGET)
    assert [[field.member_name for field in cls.fields] for cls in facts.classes] == [["__data_loc_dev", "a"]] * 2
    assert facts.skipped == ()


def test_the_definitions_of_the_family_make_nothing(tmp_path: Path) -> None:
    _write(tmp_path, "include/linux/tracepoint.h", """\
        #define DECLARE_TRACE(name, proto, args) __DECLARE_TRACE(name, PARAMS(proto), PARAMS(args))
        #define TRACE_EVENT(name, proto, args, struct, assign, print) DECLARE_TRACE(name, PARAMS(proto), PARAMS(args))
        #define DEFINE_EVENT(template, name, proto, args) DECLARE_TRACE(name, PARAMS(proto), PARAMS(args))
        """)  # fmt: skip
    _write(tmp_path, "t.h", "#include <linux/tracepoint.h>\n" + _EVENT.format(name="e"))
    facts = read_headers(str(tmp_path), _TARGET)
    assert (_names(facts), facts.skipped) == (["e"], ())


def test_a_missing_root(tmp_path: Path) -> None:
    with pytest.raises(TpgenError, match=r"^/.*/none: cannot read: No such file or directory \[unreadable\]$"):
        read_headers(str(tmp_path / "none"), _TARGET)
