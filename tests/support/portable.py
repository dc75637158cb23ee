"""Programs on headers for several kernels beside the same programs on the header of one of these kernels.

Each accessor has a program of its own in each object, with one name, which tests/vm/portable.c compares once loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from support.accessors import headers_in
from support.compilers import Compiler, libbpf_program
from support.programs import Job, chunks, compiled
from tpgen.kernel.request import KernelRequest
from tpgen.opening import open_kernel
from tpgen.programs.forms import Form
from tpgen.variants.join import JoinedEvent, join
from tpgen.variants.select import grouped, select
from tpgen.variants.views import KernelView

_ACCESSOR = re.compile(
    r"^TPGEN_INLINE (?P<result>.*?)(?P<name>\w+)\(const void \*ctx(?P<copies>, void \*dst, unsigned int size)?\)$",
    re.MULTILINE,
)
_SECTION = re.compile(r'^#define \w+?_SEC_\w+ "(?P<section>(?:raw_tp|tp_btf|tp)/[^"]+)"$', re.MULTILINE)
_AS = re.compile(r"(?P<plain>\w+)_as_(?P<tag>\w+)")
# As many as an object has. What it takes to load one is mostly to look for its types, and one is loaded again without
# each program that the kernel refuses.
_PROGRAMS = 500

#: Events of which the kernels differ: in arguments added, swapped and of another struct, in fields that moved, became
#: dynamic, are of another class, and in events that some kernels lack.
EVENTS = (
    "sched_switch", "mm_vmscan_direct_reclaim_begin", "kfree_skb", "mm_collapse_huge_page_isolate", "break_lease_block",
    "sched_process_fork", "tcp_send_reset", "devres_log", "block_rq_issue", "kmem_cache_free", "rss_stat",
    "sched_stat_runtime", "nbd_send_request", "mark_victim", "block_bio_backmerge", "hrtimer_expire_entry",
)  # fmt: skip

#: What programs with every accessor begin with: macros that read a value, copy a string and copy other bytes. For these
#: Linux 5.10 wants a buffer that was written to: docs/proofs.md.
PREAMBLE = """
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
#define VALUE(accessor) do { \\
	unsigned long long value = (unsigned long long)accessor(ctx); \\
	__asm__ volatile("" : : "r"(value)); \\
} while (0)
#define STRING(accessor) char buffer[64]; COPY(accessor)
#define BYTES(accessor) char buffer[64] = {}; COPY(accessor)
#define COPY(accessor) do { \\
	long length = accessor(ctx, buffer, sizeof(buffer)); \\
	__asm__ volatile("" : : "r"(buffer), "r"(length) : "memory"); \\
} while (0)
"""


class Accessor(NamedTuple):
    """An accessor as its header declares it."""

    name: str
    result: str
    copies: bool
    macro: str

    @property
    def call(self) -> str:
        """A statement that reads it, by a macro of PREAMBLE."""
        return f"{{ {self.macro}({self.name}); }}"


class Header(NamedTuple):
    """A generated header: its file, what its names begin with, its accessors, and the sections that fit."""

    path: Path
    prefix: str
    accessors: Mapping[str, Accessor]
    sections: tuple[str, ...]


def read(path: Path) -> Header:
    text = path.read_text()
    found = (
        Accessor(m["name"], m["result"].strip(), bool(m["copies"]), _macro(text, m)) for m in _ACCESSOR.finditer(text)
    )
    accessors = {each.name: each for each in found if each.name.startswith(path.stem + "_")}
    return Header(path, path.stem, accessors, tuple(m["section"] for m in _SECTION.finditer(text)))


def _macro(text: str, function: re.Match[str]) -> str:
    """The macro of PREAMBLE that calls this function of a header."""
    if not function["copies"]:
        return "VALUE"
    return "BYTES" if "tpgen_read_bytes(" in text[function.end() : text.index("\n}", function.end())] else "STRING"


class Pair(NamedTuple):
    """A program of both objects: its name and section, what it calls in each, None where the fixed header lacks it."""

    name: str
    section: str
    portable: Accessor
    fixed: Accessor | None
    prefix: str

    @property
    def presence(self) -> str:
        """The guard of what some kernel lacks."""
        value = self.portable.name.removeprefix(self.prefix + "_")
        return f"{self.prefix}_has_{re.sub('_read(_bytes)?$', '', value) if self.portable.copies else value}()"


def pairs(portable: Header, fixed: Header | None) -> Iterator[Pair]:
    """The programs of an event, for each section that the portable header names."""
    for accessor in portable.accessors.values():
        twin = None if fixed is None else _twin(accessor, fixed)
        for section in portable.sections:
            kind = section.partition("/")[0]
            yield Pair(f"{kind}__{accessor.name}", section, accessor, twin, portable.prefix)


def _twin(accessor: Accessor, fixed: Header) -> Accessor | None:
    """The accessor of the fixed header that reads the same: of that name, and of `_as_` ones the one of that struct."""
    if accessor.name in fixed.accessors:
        return fixed.accessors[accessor.name]
    if split := _AS.fullmatch(accessor.name):
        plain = fixed.accessors.get(split["plain"])
        if plain is not None and re.search(rf"\b(?:struct|union) {split['tag']} \*$", plain.result):
            return plain
    return None


def _program(pair: Pair, call: str) -> str:
    return f'SEC("{pair.section}") int {pair.name}(void *ctx)\n{{\n\t{call}\n\treturn 0;\n}}\n'


def units(chosen: Sequence[Pair], portable: Path, fixed: Path) -> tuple[str, str]:
    """The source of both objects, which include headers below these folders."""
    ours = [_program(pair, f"if ({pair.presence})\n\t\t{pair.portable.call}") for pair in chosen]
    theirs = [_program(pair, pair.fixed.call) for pair in chosen if pair.fixed is not None]
    names = list(dict.fromkeys(pair.prefix for pair in chosen))
    known = list(dict.fromkeys(pair.prefix for pair in chosen if pair.fixed is not None))
    return _unit(portable, names, ours), _unit(fixed, known, theirs)


def _unit(folder: Path, prefixes: Sequence[str], programs: Sequence[str]) -> str:
    return "".join(f'#include "{folder / prefix}.h"\n' for prefix in prefixes) + PREAMBLE + "".join(programs)


class Objects(NamedTuple):
    """Pairs of objects, and the programs in them by name."""

    files: tuple[tuple[Path, Path], ...]
    programs: Mapping[str, Pair]


def objects(portable: Path, fixed: Path, folder: Path, compiler: Compiler) -> Objects:
    """Compile the programs of all headers in `portable`; those in `fixed` are of the events that the kernel has."""
    headers = {path.stem: read(path) for path in headers_in(fixed)}
    every = [
        pair for path in headers_in(portable) for pair in pairs(read(path), headers.get(path.stem))
        if path.stem in headers
    ]  # fmt: skip
    every.sort(key=lambda pair: pair.section.partition("/")[0])  # of tp_btf programs some are refused
    folder.mkdir(parents=True, exist_ok=True)
    jobs, files = [], []
    for number, chosen in enumerate(chunks(every, _PROGRAMS)):
        outputs = (folder / f"portable-{number}.o", folder / f"fixed-{number}.o")
        files.append(outputs)
        jobs += [Job(compiler, text, out) for text, out in zip(units(chosen, portable, fixed), outputs, strict=True)]
    compiled(jobs, [folder])
    return Objects(tuple(files), {pair.name: pair for pair in every})


class Verdict(NamedTuple):
    """A line of portable.c: what became of a program."""

    verdict: str
    name: str
    detail: str


def verdicts(text: str) -> list[Verdict]:
    """The verdicts in the output of portable.c."""
    lines = (line[2:].split(" ", 2) for line in text.splitlines() if line.startswith("| "))
    return [Verdict(words[0], words[1], words[2] if len(words) > 2 else "") for words in lines if len(words) > 1]


def is_explained(verdict: Verdict) -> bool:
    """Whether a difference is one of code, not of what is read.

    An offset that is put into a register in another branch than the one that uses it is among the constants. The bound
    of a field whose size differs between the kernels is no constant to the compiler, which then adds 1 for the NUL.
    """
    ours, theirs, constants = (set(part.split()) for part in verdict.detail.split("|"))
    lost = {word for word in theirs - ours if word.replace("+", "=") not in constants}
    return verdict.verdict == "differs" and not lost and ours - theirs <= {"+1"}


def extra(compared: Sequence[Verdict]) -> list[Verdict]:
    """The programs that read what the kernel's own header has not.

    An argument that is `skb` on some kernels and `skb__nullable` on this one is read by either name, and by one there.
    """
    names = {each.name for each in compared}
    return [each for each in compared if each.verdict == "extra" and f"{each.name}__nullable" not in names]


def comparer(folder: Path, *, static: bool = True) -> Path:
    """portable.c as a program, which the machines of tests/vm need to be a static one."""
    source = Path(__file__).parents[1] / "vm" / "portable.c"
    return libbpf_program(source, folder / "portable", static=static)


def differing(names: Sequence[str], module: str | None = "vmlinux") -> list[str]:
    """The events of which the kernels in catalogs differ, so that a fixed header will not do; of vmlinux, or of all."""
    kernels = {name: open_kernel(KernelRequest(kernel=name), print) for name in names}
    found = []
    for group in grouped(select(kernels, ("*",), module)):
        views = [KernelView(e.kernel, e.event, kernels[e.kernel].target, kernels[e.kernel].records_of) for e in group]
        if len(views) > 1 and _differs(join(views)):
            found.append(group[0].event.name)
    return found


def _differs(event: JoinedEvent) -> bool:
    parts = [event.record()] if len(event.having(Form.CLASSIC)) > 1 else []
    if event.event.syscall is None and len(event.having(Form.RAW)) > 1:
        parts.append(event.arguments())  # type: ignore[arg-type]
    if any(part.omitted or not all(value.is_everywhere for value in part.values) for part in parts):
        return True
    records = (view.event.record for view in event.having(Form.CLASSIC))
    places = {tuple((f.name, f.offset_bytes, f.size_bytes) for f in record.fields) for record in records if record}
    return len(places) > 1
