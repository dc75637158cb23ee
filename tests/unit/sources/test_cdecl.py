"""C declarations parsed and spelled: by hand, there and back, and hostile ones."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycparser.c_parser import CParser
from support.bounds import bounded

from tpgen.model import (
    Array,
    CType,
    Enum,
    FuncProto,
    Int,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.sources.cdecl import BadDeclaration, Declaration, parse_declarations
from tpgen.spelling import spell
from tpgen.target import canonical_integer, target_named
from tpgen.typequery import same_type

X86 = target_named("x86_64")
CHAR, INT, UINT, LONG = Int("char", 1, False), Int("int", 4, True), Int("unsigned int", 4, False), Int("long", 8, True)
U64 = Typedef("u64")


def constant(ctype: CType) -> CType:
    return Qualified("const", ctype)


# What a declaration means, and how it is spelled again where that is not the same text.
DECLARATIONS: dict[str, tuple[str | None, CType, str | None]] = {
    "int x": ("x", INT, None),
    "int": (None, INT, None),
    "unsigned x": ("x", UINT, "unsigned int x"),
    "unsigned": (None, UINT, "unsigned int"),
    "long unsigned int x": ("x", Int("unsigned long", 8, False), "unsigned long x"),
    "long long int x": ("x", Int("long long", 8, True), "long long x"),
    "short unsigned int x": ("x", Int("unsigned short", 2, False), "unsigned short x"),
    "signed char x": ("x", Int("signed char", 1, True), None),
    "_Bool on": ("on", Int("_Bool", 1, False, is_bool=True), None),
    "u64 ns": ("ns", U64, None),
    "u64": (None, U64, None),
    "const u64": (None, constant(U64), None),
    "u64 const x": ("x", constant(U64), "const u64 x"),
    "volatile u64 x": ("x", Qualified("volatile", U64), None),
    "void *p": ("p", Pointer(Void()), None),
    "const char *s": ("s", Pointer(constant(CHAR)), None),
    "char const * s": ("s", Pointer(constant(CHAR)), "const char *s"),
    "const char *const s": ("s", constant(Pointer(constant(CHAR))), None),
    "const void * const": (None, constant(Pointer(constant(Void()))), "const void *const"),
    "struct task_struct *p": ("p", Pointer(Struct("struct", "task_struct")), None),
    "union sigval v": ("v", Struct("union", "sigval"), None),
    "enum pid_type type": ("type", Enum("pid_type"), None),
    "struct page **pages": ("pages", Pointer(Pointer(Struct("struct", "page"))), None),
    "struct list_head * const * list": (
        "list", Pointer(constant(Pointer(Struct("struct", "list_head")))), "struct list_head *const *list",
    ),
    "char comm[16]": ("comm", Array(CHAR, 16), None),
    "char comm[]": ("comm", Array(CHAR, None), None),
    "char [16]": (None, Array(CHAR, 16), None),
    "char n[8 * (2 + 2)]": ("n", Array(CHAR, 32), "char n[32]"),
    "char n[0x20u]": ("n", Array(CHAR, 32), "char n[32]"),
    "char n[1 << 5]": ("n", Array(CHAR, 32), "char n[32]"),
    "char n[NAME_MAX + 1]": ("n", Array(CHAR, None, "NAME_MAX + 1"), None),
    "char n[1 / 0]": ("n", Array(CHAR, None, "1 / 0"), None),
    "char n[1 << 99]": ("n", Array(CHAR, None, "1 << 99"), None),
    "char n[sizeof(struct in6_addr)]": ("n", Array(CHAR, None, "sizeof(struct in6_addr)"), None),
    "int m[2][3]": ("m", Array(Array(INT, 3), 2), None),
    "u8 (*addr)[6]": ("addr", Pointer(Array(Typedef("u8"), 6)), None),
    "u8 *addr[6]": ("addr", Array(Pointer(Typedef("u8")), 6), None),
    "void (*fn)(void)": ("fn", Pointer(FuncProto(Void(), ())), None),
    "void (*fn)()": ("fn", Pointer(FuncProto(Void(), ())), "void (*fn)(void)"),
    "int (*cmp)(const void *a, const void *b)": (
        "cmp", Pointer(FuncProto(INT, (Pointer(constant(Void())), Pointer(constant(Void()))))),
        "int (*cmp)(const void *, const void *)",
    ),
    "int (*printk)(const char *, ...)": (
        "printk", Pointer(FuncProto(INT, (Pointer(constant(CHAR)),), variadic=True)), None,
    ),
    "void (*(*f)(int))(long)": (
        "f", Pointer(FuncProto(Pointer(FuncProto(Void(), (LONG,))), (INT,))), None,
    ),
    "work_func_t fn": ("fn", Typedef("work_func_t"), None),
    "char __user *buf": ("buf", Pointer(TypeTag("user", CHAR)), None),
    "const char __user *buf": ("buf", Pointer(TypeTag("user", constant(CHAR))), None),
    "void __percpu *p": ("p", Pointer(TypeTag("percpu", Void())), None),
    "struct foo __rcu *p": ("p", Pointer(TypeTag("rcu", Struct("struct", "foo"))), None),
    "void __iomem *const p": ("p", constant(Pointer(TypeTag("iomem", Void()))), None),
    "void __seg_gs * p": ("p", Pointer(TypeTag("seg_gs", Void())), "void __seg_gs *p"),
    "struct foo * __rcu *p": ("p", Pointer(TypeTag("rcu", Pointer(Struct("struct", "foo")))), "struct foo *__rcu *p"),
    "int x __attribute__((aligned(8)))": ("x", INT, "int x"),
    "__attribute__((unused)) int x": ("x", INT, "int x"),
    "struct new *delete": ("delete", Pointer(Struct("struct", "new")), None),
    "int async": ("async", INT, None),
    "struct struct_ *x": ("x", Pointer(Struct("struct", "struct_")), None),
    "  int   x  ": ("x", INT, "int x"),
    "int\tx": ("x", INT, "int x"),
}  # fmt: skip


def parse(text: str) -> Declaration | BadDeclaration:
    return parse_declarations([text], X86)[text]


class TestParse:
    @pytest.mark.parametrize("text", DECLARATIONS)
    def test_alone(self, text: str) -> None:
        name, ctype, _ = DECLARATIONS[text]
        assert parse(text) == Declaration(name, ctype)

    def test_together(self) -> None:
        """One unit for all, in which a bad one spoils no other."""
        bad = ["int (", "goto x", "union x y z", ""]
        found = parse_declarations([*DECLARATIONS, *bad], X86)
        expected = {text: Declaration(name, ctype) for text, (name, ctype, _) in DECLARATIONS.items()}
        assert {text: found[text] for text in DECLARATIONS} == expected
        assert all(isinstance(found[text], BadDeclaration) for text in ("int (", "goto x", ""))

    @pytest.mark.parametrize("text", DECLARATIONS)
    def test_spelled(self, text: str) -> None:
        name, ctype, spelled = DECLARATIONS[text]
        assert spell(ctype, name or "") == (spelled or text).replace("char [", "char [")

    @pytest.mark.parametrize("arch", ["i386", "arm"])
    def test_long_is_the_targets(self, arch: str) -> None:
        found = parse_declarations(["unsigned long x", "long long y"], target_named(arch))
        assert found["unsigned long x"] == Declaration("x", Int("unsigned long", 4, False))
        assert found["long long y"] == Declaration("y", Int("long long", 8, True))


HOSTILE = [
    "", " ", ";", "x;", "int x;", "int x, int y", "int x); void g(int y", "int x) {} int f(", "...", "int, ...",
    "#define x", "#pragma x", "# 1 \"f\"", "/* int x */", "int x = 3", "int x : 3", "struct { int a; } x",
    "enum { A } x", "enum e { A = 1 } x", "typedef int x", "typeof(y) x", "int int x", "unsigned float x", "goto x",
    "return x", "static_assert(1)", "_Static_assert(1, \"\")", "_Alignas(8) x", "int x[", "int x]", "int x[][]]",
    "int x(", "((((((((((", "*", "* x", "const", "struct", "struct struct x", "42", "'a'", "\"text\"", "int 9x",
    "f x", "int x.y", "int x->y", "int $x", "int @", "int \\x", "int \x00x", "größe x", "int größe", "int x\n)",
    "__user", "__attribute__((", "__attribute__((x)) __attribute__((", "if (x) y",
    "void", "(" * 2000 + "int" + ")" * 2000, "*" * 5000 + "x",
    "int " + "*" * 3000 + "x", "struct foo " + "*" * 3000 + "x", "foo " + "*" * 3000,
    "int x" + "[2]" * 3000, "int x[" + "(" * 2000 + "1" + ")" * 2000 + "]",
    "int x[" + "9" * 5000 + "]", "int x[" + "1+" * 3000 + "1]", "a " * 5000, "a" * 100_000,
    "int (*" * 500 + "x" + ")()" * 500,
]  # fmt: skip


BOUNDS = {
    "char a[1" + "<<63" * 300 + "]": "nested too deeply",
    "char a[4294967296]": "an array of more elements than BTF can count",
    "char a[" + "9" * 1900 + "]": "an array of more elements than BTF can count",
    "int " + "(" * 900 + "a" + ")" * 900: "nested too deeply",
    "int " + "x" * 1997: "longer than 2000 characters",
}


class TestHostile:
    @pytest.mark.parametrize("text", BOUNDS)
    def test_bounds(self, text: str) -> None:
        found = parse(text)
        # pycparser 2.x takes parentheses without recursion.
        if not (text.startswith("int (") and isinstance(found, Declaration)):
            assert found == BadDeclaration(text, BOUNDS[text])

    @pytest.mark.parametrize(
        ("text", "length"),
        {
            "char a[4294967295]": 4294967295,
            "char a[1 << 31]": 1 << 31,
            "char a[1 << 63 << 1 >> 1]": None,
            "char a[1 << 63 << 63]": None,
            "char a[3 - 5]": BadDeclaration("char a[3 - 5]", "an array of fewer elements than none"),
        }.items(),
    )
    def test_lengths(self, text: str, length: int | BadDeclaration | None) -> None:
        """A constant that C has no type for has no value."""
        found = parse(text)
        if isinstance(length, BadDeclaration):
            assert found == length
        else:
            assert isinstance(found, Declaration)
            assert isinstance(found.type, Array)
            assert found.type.length == length

    def test_as_long_as_allowed(self) -> None:
        name = "x" * 1996
        assert parse(f"int {name}") == Declaration(name, Int("int", 4, True))

    @pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:24]))
    def test_no_exception(self, text: str) -> None:
        """A declaration, or a reason of one line; and whatever it is, the sound one beside it is not touched."""
        with bounded():
            found = parse_declarations([text, "struct sock *sk"], X86)
        assert found["struct sock *sk"] == Declaration("sk", Pointer(Struct("struct", "sock")))
        if isinstance(bad := found[text], BadDeclaration):
            assert bad.text == text
            assert bad.reason
            assert "\n" not in bad.reason

    @pytest.mark.parametrize(
        "text",
        ["", "int x;", "int x, int y", "int x); void g(int y", "...", "int x = 3", "struct { int a; } x", "goto x",
         "int x[", "int (", "const", "struct", "42", "unsigned float x", "long long long x"],
    )  # fmt: skip
    def test_refused(self, text: str) -> None:
        assert isinstance(parse(text), BadDeclaration)


# --- there and back

names = st.sampled_from(["x", "new", "type", "prev_state"])
tags = st.sampled_from(["foo", "task_struct", "type"])
bases = st.one_of(
    st.just(INT),
    st.just(CHAR),
    st.just(LONG),
    st.just(Int("unsigned long long", 8, False)),
    st.builds(Typedef, st.sampled_from(["u64", "pid_t", "bool"])),
    st.builds(Struct, st.sampled_from(["struct", "union"]), tags),
    st.builds(Enum, tags),
)


def pointers(inner: st.SearchStrategy[CType]) -> st.SearchStrategy[CType]:
    """Pointers, arrays and functions as C allows them; a qualifier or tag stands on what C lets it stand on."""
    qualified = st.one_of(inner, inner.map(constant), st.builds(Qualified, st.just("volatile"), inner))
    tagged = st.one_of(qualified, st.builds(TypeTag, st.sampled_from(["user", "rcu"]), qualified))
    to = st.one_of(tagged.filter(is_plain), inner).map(Pointer)
    functions = st.builds(FuncProto, st.one_of(st.just(Void()), to), st.lists(to, max_size=2).map(tuple), st.booleans())
    arrays = st.builds(Array, to, st.integers(1, 64))
    return st.one_of(to, functions.filter(lambda f: f.params or not f.variadic).map(Pointer), arrays.map(Pointer))


def is_plain(ctype: CType) -> bool:
    """Whether qualifiers on it are not really its element's or meaningless."""
    while isinstance(ctype, Qualified | TypeTag):
        ctype = ctype.target
    return not isinstance(ctype, Array | FuncProto)


types = st.recursive(bases, pointers, max_leaves=6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ctype=types, name=names)
def test_there_and_back(ctype: CType, name: str) -> None:
    """What is spelled is parsed as the same type, under the same name."""
    text = spell(ctype, name)
    found = parse(text)
    assert isinstance(found, Declaration), text
    assert found.name == name
    assert same_type(found.type, ctype), text
    assert spell(found.type, name) == text


@pytest.mark.parametrize("name", ["foo", "tpgen_any", "__user_", "uint", "constant", "struct_"])
@pytest.mark.parametrize("tag", ["struct", "union"])
def test_a_name_is_not_taken_for_another(name: str, tag: str) -> None:
    # Types that differ by a name only are parsed once.
    texts = [
        f"const {tag} {name} __user *const x",
        f"{name} *",
        f"{tag} other *x",
        f"volatile {name} x",
        f"enum {name} x",
    ]
    tagged = constant(Pointer(TypeTag("user", constant(Struct(tag, name)))))
    types = [
        tagged,
        Pointer(Typedef(name)),
        Pointer(Struct(tag, "other")),
        Qualified("volatile", Typedef(name)),
        Enum(name),
    ]
    found = parse_declarations(texts, X86)
    assert [d.type for d in found.values() if isinstance(d, Declaration)] == types


def test_what_the_kernel_does_not_use_is_refused() -> None:
    # It stands for the address spaces, which pycparser does not know.
    assert isinstance(parse("_Atomic int x"), BadDeclaration)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=st.text("intcharu8 *()[],.struct_;=\n\t09+xé", max_size=30))
def test_any_text(text: str) -> None:
    assert isinstance(parse(text), Declaration | BadDeclaration)


# --- integers


@pytest.mark.parametrize(
    ("words", "name"),
    {
        "int": "int", "signed": "int", "signed int": "int", "unsigned": "unsigned int", "int unsigned": "unsigned int",
        "long": "long", "long int": "long", "signed long int": "long", "long unsigned int": "unsigned long",
        "unsigned long int": "unsigned long", "long long": "long long", "long long unsigned int": "unsigned long long",
        "short": "short", "short int": "short", "short unsigned int": "unsigned short", "char": "char",
        "signed char": "signed char", "unsigned char": "unsigned char", "__signed__ char": "signed char",
        "_Bool": "_Bool", "__int128": "__int128", "__int128 unsigned": "unsigned __int128",
        "": None, "foo": None, "long foo": None, "long char": None, "short long": None, "long long long": None,
        "unsigned _Bool": None, "float": None, "int int": None, "unsigned unsigned": None, "signed _Bool": None,
    }.items(),
)  # fmt: skip
def test_canonical_integer(words: str, name: str | None) -> None:
    assert canonical_integer(words) == name


def test_canonical_integer_by_gcc() -> None:
    """All of up to four words: gcc says which of them make a type, and which of them are the same."""
    known = ("unsigned", "signed", "short", "long", "_Bool", "char", "int", "__int128")
    texts = [" ".join(words) for count in (1, 2, 3, 4) for words in product(known, repeat=count)]
    done = gcc("".join(f"extern {text} a{number};\n" for number, text in enumerate(texts)))
    wrong = {int(line.split(":")[1]) - 1 for line in done.stderr.splitlines() if ": error: " in line}
    sound = [number for number in range(len(texts)) if number not in wrong]
    assert [number for number, text in enumerate(texts) if canonical_integer(text)] == sound
    names = (text for number in sound for text in (texts[number], str(canonical_integer(texts[number]))))
    assert gcc("".join(f"extern {name} a{at // 2};\n" for at, name in enumerate(names))).stderr == ""


def gcc(text: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    command = ("gcc", "-fsyntax-only", "-fmax-errors=0", "-fdiagnostics-color=never", "-x", "c", "-")
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    {
        "void a[3]": "an array of functions, or of void",
        "int (*f)(void [3])": "an array of functions, or of void",
        "int f[2](int)": "an array of functions, or of void",
        "int (*f)(int)[3]": "a function that returns an array or a function",
        "int (*f)(int)(int)": "a function that returns an array or a function",
        "int (*f)(const void)": "void among other parameters",
    }.items(),
)
def test_types_that_c_does_not_have(text: str, reason: str) -> None:
    assert gcc(f"void g({text});").returncode != 0
    assert parse(text) == BadDeclaration(text, reason)


@pytest.mark.parametrize("text", ["u32 a b", "int a b", "struct s *a b", "const struct s a *b"])
def test_two_names(text: str) -> None:
    assert gcc(f"typedef int u32; struct s {{ int a; }}; void g({text});").returncode != 0
    assert isinstance(parse(text), BadDeclaration)


@pytest.mark.parametrize(
    ("text", "most"),
    {
        # What cannot be parsed is found by halves; what can costs no parse of its own.
        "in {} t": 2000, "int a{}(": 2000, "int ({}": 2000, "a{} b c": 2, "struct s{} {{}} x": 2,
        "enum e{} {{ A }}": 2, "int a); void b{}(int c": 2,
    }.items(),
)  # fmt: skip
def test_many_bad_declarations(text: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one call, as those of a header are: each costs itself, and none of the others."""
    parses: list[str] = []
    parse_text = CParser.parse
    monkeypatch.setattr(CParser, "parse", lambda self, text: parses.append(text) or parse_text(self, text))
    texts = [text.format(number) for number in range(1000)]
    found = parse_declarations(["int good", *texts, "char better[3]"], X86)
    assert all(isinstance(found[bad], BadDeclaration) for bad in texts)
    assert [type(found[good]) for good in ("int good", "char better[3]")] == [Declaration] * 2
    assert len(parses) <= most + 20


@pytest.mark.parametrize("text", ["void (*f)(struct ref *, void)", "void (*f)(void, int)", "void (*f)(void, ...)"])
def test_void_among_parameters(text: str) -> None:
    assert parse(text) == BadDeclaration(text, "void among other parameters")
