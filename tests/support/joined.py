"""What programs on headers for several kernels see of events that differ between these, beside the kernels' own record.

There is one object for each kind of program. tests/vm/joined.c loads all three, attaches what an act is about, and has
the kernel record the same events; here each thing that a program saw is looked for in those records, by the format
files.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from corpus.dumped import images

from support.compilers import CLANG, Compiler, libbpf_program
from support.debian import AptRoot, cache_dir
from support.headers import ROOT
from support.kernel_facts import Field, TracepointImage, parsed_format
from support.ring_buffer import page_records
from support.vm import Answer, Line

#: Oldest first.
KERNELS = ("debian-5.10-amd64", "debian-6.1-amd64", "debian-6.12-amd64", "live", "debian-7.2-amd64")
KINDS = ("raw_tp", "tp_btf", "tp")
#: What an act is about does not happen everywhere: a disk takes no requests, a buffer has all that was asked for.
ENOUGH = 25
# Verifiers from 5.10 to 6.12 let tp_btf programs have no pointer to const void.
_NOT_IN_TP_BTF = ("ptr",)
_SOURCE = Path(__file__).parents[1] / "vm" / "joined.c"
# What a static program with libbpf is linked of.
_LIBRARIES = ("libc6-dev", "linux-libc-dev", "libgcc-12-dev", "libbpf-dev", "libelf-dev", "zlib1g-dev")
# Where <linux/types.h> is.
UAPI = (Path("/usr/include"), Path("/usr/include") / str(sysconfig.get_config_var("MULTIARCH")))
#: By act of joined.c its events, each with what the raw arguments are in the record: ARGUMENT is the field of that
#: name, ARGUMENT:FIELD one of another, ARGUMENT.MEMBER:FIELD what a pointer leads to.
ACTS: Mapping[str, Mapping[str, str]] = {
    "tasks": {
        "sched/sched_switch": "prev.pid:prev_pid next.pid:next_pid",
        "sched/sched_process_fork": "parent.pid:parent_pid child.pid:child_pid",
        "sched/sched_process_exit": "p.pid:pid group_dead",
        "sched/sched_wakeup": "p.pid:pid",
        "sched/sched_waking": "p.pid:pid",
        "sched/sched_wakeup_new": "p.pid:pid",
        "sched/sched_stat_runtime": "tsk.pid:pid runtime vruntime",
        "sched/sched_process_wait": "pid.nr:pid",
    },
    "udp": {
        "skb/kfree_skb": "skb:skbaddr location reason rx_sk",
        "skb/consume_skb": "skb:skbaddr location",
        "net/net_dev_queue": "skb:skbaddr",
        "net/net_dev_start_xmit": "skb:skbaddr",
        "net/net_dev_xmit": "skb:skbaddr rc",
        "net/netif_rx": "skb:skbaddr",
        "net/netif_rx_entry": "skb:skbaddr",
        "net/netif_receive_skb": "skb:skbaddr",
    },
    "tcp": {
        "tcp/tcp_send_reset": "sk:skaddr skb:skbaddr reason",
        "tcp/tcp_receive_reset": "sk:skaddr",
        "tcp/tcp_destroy_sock": "sk:skaddr",
        "tcp/tcp_rcv_space_adjust": "sk:skaddr",
        "tcp/tcp_probe": "sk:skaddr skb:skbaddr",
        "timer/timer_start": "timer",
    },
    "retransmit": {"tcp/tcp_retransmit_skb": "sk:skaddr skb:skbaddr err"},
    "memory": {
        "kmem/kmem_cache_alloc": "call_site ptr bytes_req bytes_alloc gfp_flags",
        "kmem/kmem_cache_free": "call_site ptr",
        "kmem/kmalloc": "call_site ptr bytes_req bytes_alloc gfp_flags",
        "kmem/mm_page_alloc": "order migratetype gfp_flags",
        "kmem/rss_stat": "member",
    },
    "files": {
        "filelock/posix_lock_inode": "fl ret inode.i_ino:i_ino",
        "filelock/flock_lock_inode": "fl ret inode.i_ino:i_ino",
        "filelock/fcntl_setlk": "fl ret inode.i_ino:i_ino",
        "filelock/locks_get_lock_context": "type ctx inode.i_ino:i_ino",
        "filelock/generic_add_lease": "inode.i_ino:i_ino",
        "filemap/mm_filemap_add_to_page_cache": "page.index:index folio.index:index",
        "filemap/mm_filemap_delete_from_page_cache": "page.index:index folio.index:index",
    },
    "timers": {
        "timer/hrtimer_start": "hrtimer mode",
        "timer/hrtimer_expire_entry": "hrtimer",
    },
    "work": {
        "workqueue/workqueue_queue_work": "work req_cpu",
        "workqueue/workqueue_activate_work": "work",
    },
    "uring": {
        "io_uring/io_uring_register": "ctx opcode nr_files nr_bufs ret",
        "io_uring/io_uring_complete": "ctx req user_data res cflags",
        "io_uring/io_uring_file_get": "ctx req fd user_data",
    },
    "disk": {
        "block/block_bio_queue": "bio.bi_sector:sector",
        "block/block_getrq": "bio.bi_sector:sector",
        "block/block_rq_issue": "rq.__sector:sector rq.__data_len:bytes",
        "block/block_rq_complete": "error nr_bytes",
    },
}  # fmt: skip
Order: TypeAlias = Literal["little", "big"]
EVENTS = {event.partition("/")[2]: event for events in ACTS.values() for event in events}
_NUMBERS, _TEXTS, _TEXT_BYTES, _ROOM = 24, 4, 32, 64
_SEEN = f"IIQ{_NUMBERS}Q{_TEXTS * _TEXT_BYTES}s"
_ACCESSOR = re.compile(
    r"^TPGEN_INLINE (?P<result>.*?)(?P<name>\w+)\(const void \*ctx(?P<copies>, void \*dst, unsigned int size)?\)$",
    re.MULTILINE,
)
_PREAMBLE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#define NUMBERS %d
#define TEXTS %d
#define TEXT_BYTES %d
#define ROOM %d
#define EVENTS %d

struct task_struct___joined {
	int pid;
} __attribute__((preserve_access_index));
struct inode___joined {
	unsigned long i_ino;
} __attribute__((preserve_access_index));
struct upid___joined {
	int nr;
} __attribute__((preserve_access_index));
struct pid___joined {
	struct upid___joined numbers[1];
} __attribute__((preserve_access_index));
struct page___joined {
	unsigned long index;
} __attribute__((preserve_access_index));
struct folio___joined {
	unsigned long index;
} __attribute__((preserve_access_index));
struct bvec_iter___joined {
	unsigned long long bi_sector;
} __attribute__((preserve_access_index));
struct bio___joined {
	struct bvec_iter___joined bi_iter;
} __attribute__((preserve_access_index));
struct request___joined {
	unsigned long long __sector;
	unsigned int __data_len;
} __attribute__((preserve_access_index));
/* A pointer that the verifier of some kernel takes for maybe NULL is tested. */
#define MEMBER(type, pointer, member) ({ \\
	struct type##___joined *p_ = (void *)(pointer); \\
	p_ ? BPF_CORE_READ(p_, member) : 0; \\
})

struct seen {
	unsigned int event, unused;
	unsigned long long has, numbers[NUMBERS];
	char texts[TEXTS][TEXT_BYTES];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} actor SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EVENTS);
	__type(key, int);
	__type(value, unsigned int);
} counts SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EVENTS * ROOM);
	__type(key, int);
	__type(value, struct seen);
} seen SEC(".maps");

/* Where the next event of the actor goes; of more than there is room for, the first are kept. */
static __always_inline struct seen *next_seen(unsigned int event)
{
	int *pid = bpf_map_lookup_elem(&actor, &(int){ 0 });
	unsigned int *count = bpf_map_lookup_elem(&counts, &event), key;
	struct seen *next;

	if (!pid || !*pid || *pid != (int)bpf_get_current_pid_tgid() || !count || *count >= ROOM)
		return 0;
	key = event * ROOM + (*count)++;
	next = bpf_map_lookup_elem(&seen, &key);
	if (next)
		__builtin_memset(next, 0, sizeof(*next));
	if (next)
		next->event = event;
	return next;
}

#define NUMBER(at, has_value, value)                                     \\
	if (has_value) {                                                 \\
		next->has |= 1ULL << (at);                               \\
		next->numbers[at] = (unsigned long long)(value);         \\
	}
#define TEXT(at, text, has_value, read)                                  \\
	if (has_value) {                                                 \\
		next->has |= 1ULL << (at);                               \\
		next->numbers[at] = read(ctx, next->texts[text], TEXT_BYTES); \\
	}
char LICENSE[] SEC("license") = "GPL";
"""


@dataclass(frozen=True, slots=True)
class Value:
    """What a program reads: a field of the record by its name, where among the texts, and the C that reads it.

    `argument` is the raw argument's name in BTF.
    """

    field: str
    argument: str | None
    text: int | None
    has: str
    code: str


@dataclass(frozen=True, slots=True)
class Programs:
    """The objects by kind, and what their programs read, by kind and event."""

    objects: Mapping[str, Path]
    values: Mapping[tuple[str, str], Sequence[Value]]
    order: Order


def made(
    folder: Path, compiler: Compiler, libbpf_include: Path, names: Sequence[str] = KERNELS, order: Order = "little"
) -> Programs:
    """The objects, on headers that are made for all kernels."""
    headers = folder / "headers"
    kernels = [word for kernel in names for word in ("--kernel", kernel)]
    events = [event.replace("/", ":") for event in EVENTS.values()]
    command = (sys.executable, "-m", "tpgen", *events, *kernels, "-o", str(headers))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return programs(headers, folder, compiler, (libbpf_include, *UAPI), order)


def programs(headers: Path, folder: Path, compiler: Compiler, include: Sequence[Path], order: Order) -> Programs:
    """An object of each kind, with a program for each event."""
    values = {
        (kind, name): list(_fields(headers, name) if kind == "tp" else _arguments(headers, name, kind))
        for kind in KINDS
        for name in EVENTS
    }
    objects = {}
    for kind in KINDS:
        text = _unit(kind, headers, {name: values[kind, name] for name in EVENTS})
        target = "bpfel" if order == "little" else "bpfeb"
        objects[kind] = compiler.compile(text, folder / f"{kind}.o", target=target, system=[headers, *include])
    return Programs(objects, values, order)


def _unit(kind: str, headers: Path, values: Mapping[str, Sequence[Value]]) -> str:
    prefix = "tp" if kind == "tp" else "raw"
    text = "".join(f'#include "{prefix}_{name}.h"\n' for name in EVENTS)
    text += _PREAMBLE % (_NUMBERS, _TEXTS, _TEXT_BYTES, _ROOM, len(EVENTS))
    for number, (name, event) in enumerate(EVENTS.items()):
        section = f"tp/{event}" if kind == "tp" else f"{kind}/{name}"
        reads = "".join(
            f"\tNUMBER({at}, {value.has}, {value.code})\n"
            if value.text is None
            else f"\tTEXT({at}, {value.text}, {value.has}, {value.code})\n"
            for at, value in enumerate(values[name])
        )
        text += f'\nSEC("{section}") int {kind}__{name}(void *ctx)\n{{\n\tstruct seen *next = next_seen({number});\n\n'
        text += f"\tif (!next)\n\t\treturn 0;\n{reads}\treturn 0;\n}}\n"
    return text


def _fields(headers: Path, name: str) -> Iterator[Value]:
    """Every accessor of a record, as far as there is room for texts."""
    prefix, texts = f"tp_{name}", 0
    for found in _ACCESSOR.finditer((headers / f"{prefix}.h").read_text()):
        if not found["name"].startswith(f"{prefix}_") or found["name"].endswith("_read_bytes"):
            continue
        member = found["name"].removeprefix(f"{prefix}_")
        if found["copies"]:
            member = re.sub("_read$", "", member)
            if texts == _TEXTS:
                continue
        text = texts if found["copies"] else None
        texts += bool(found["copies"])
        code = found["name"] if found["copies"] else f"{found['name']}(ctx)"
        yield Value(member, None, text, f"{prefix}_has_{member}()", code)


def _arguments(headers: Path, name: str, kind: str) -> Iterator[Value]:
    """The arguments that ACTS tells a field of, as far as any kernel has them."""
    prefix = f"raw_{name}"
    known = {match["name"] for match in _ACCESSOR.finditer((headers / f"{prefix}.h").read_text())}
    events = next(events for events in ACTS.values() if EVENTS[name] in events)
    for words in events[EVENTS[name]].split():
        source, _, target = words.partition(":")
        argument, _, member = source.partition(".")
        if kind == "tp_btf" and argument in _NOT_IN_TP_BTF:
            continue
        for variant in (argument, f"{argument}__nullable"):
            accessor = f"{prefix}_{variant}"
            if accessor in known:
                code = _follow(argument, member, f"{accessor}(ctx)") if member else f"{accessor}(ctx)"
                yield Value(target or argument, variant, None, f"{prefix}_has_{variant}()", code)


def _follow(argument: str, member: str, pointer: str) -> str:
    kinds = {"nr": "pid", "i_ino": "inode", "bi_sector": "bio", "__sector": "request", "__data_len": "request"}
    kind = argument if member == "index" else kinds.get(member, "task_struct")
    path = {"nr": "numbers[0].nr", "bi_sector": "bi_iter.bi_sector"}.get(member, member)
    return f"MEMBER({kind}, {pointer}, {path})"


# --- what was seen


@dataclass
class Verdict:
    """How it went for each event: things seen that a record tells, records of nothing seen, what is wrong.

    A BPF program does not run in an interrupt of another.
    """

    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    compared: int = 0
    unseen: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def seen_by_all(self) -> list[str]:
        """The events that happened, and that the programs of each kind saw."""
        return [name for name in EVENTS if all(self.told[kind, name] for kind in KINDS)]


def summary(kernel: str, verdict: Verdict) -> Iterator[str]:
    """How many values were compared, and which events did not happen."""
    things, seen = sum(verdict.told.values()), verdict.seen_by_all
    missing = ", ".join(EVENTS.keys() - set(seen)) or "none"
    yield (
        f"headers for several kernels, {kernel}: {len(seen)} events seen by programs of each kind, {things} times,"
        f" {verdict.compared} values as the kernel recorded them, {verdict.unseen} records"
        f" that no program saw; did not happen: {missing}"
    )


def arguments_in(btf: bytes, folder: Path) -> dict[str, list[str | None]]:
    """The names of each event's raw arguments, as bpftool has them of vmlinux.

    A name with the suffix of pointers that may be NULL stands there without it as well.
    """
    (vmlinux,) = images(btf, [], folder, TracepointImage)
    names = {event: [param.name for param in params] for event, params in vmlinux.params.items()}
    return {event: [*of, *(name.removesuffix("__nullable") for name in of if name)] for event, of in names.items()}


@dataclass(frozen=True, slots=True)
class _Told:
    """An act's answer of joined.c."""

    pid: int
    formats: Mapping[str, str]
    seen: Mapping[str, Sequence[bytes]]
    pages: Sequence[bytes]


def plan(objects: Mapping[str, str]) -> list[Line]:
    """What joined.c is asked; `objects` tells where it finds them, by kind."""
    lines = [Line(f"object {kind} {path}") for kind, path in objects.items()]
    return lines + [Line(f"act {name} {' '.join(events)}") for name, events in ACTS.items()]


def built(folder: Path, *, static: bool = True) -> Path:
    """joined.c as a program, which the machines of tests/vm need to be a static one."""
    return libbpf_program(_SOURCE, folder / "joined", static=static)


def built_for_s390x(folder: Path) -> Path:
    """The same for s390x, with the libraries of Debian's packages, of which nothing is installed."""
    root, output = folder / "root", folder / "joined"
    root.mkdir()
    archive = AptRoot("bookworm", cache_dir(), "s390x")
    for package in _LIBRARIES:
        subprocess.run(("dpkg-deb", "-x", str(archive.download(package)), str(root)), check=True)
    include, lib = root / "usr/include", root / "usr/lib/s390x-linux-gnu"
    (gcc,) = (root / "usr/lib/gcc/s390x-linux-gnu").iterdir()
    compile_it = (CLANG, "--target=s390x-linux-gnu", f"--sysroot={root}", "-O1", "-std=gnu11", f"-I{include}")
    obj = folder / "joined.o"
    subprocess.run((*compile_it, f"-I{include}/s390x-linux-gnu", "-c", str(_SOURCE), "-o", str(obj)), check=True)
    link = (sys.executable, "-m", "ziglang", "ld.lld", "-m", "elf64_s390", "-static", "-o", str(output))
    starts = (lib / "crt1.o", lib / "crti.o", gcc / "crtbeginT.o", obj)
    libraries = ("-lbpf", "-lelf", "-lz", "--start-group", "-lgcc", "-lgcc_eh", "-lc", "--end-group")
    parts = (*starts, f"-L{lib}", f"-L{gcc}", *libraries, gcc / "crtend.o", lib / "crtn.o")
    subprocess.run((*link, *map(str, parts)), check=True)
    return output


def judged(answers: Sequence[Answer], made: Programs, arguments: Mapping[str, Iterable[str | None]]) -> Verdict:
    """What joined.c answered, compared. The kernel's BTF has the `arguments` of each event, by name."""
    verdict = Verdict()
    for answer in answers:
        if answer.stage != "done":
            verdict.wrong.append("\n".join((answer.line.text, *answer.text)))
        elif answer.line.text.startswith("act "):
            verdict.wrong += [line for line in answer.text if line.startswith("error ")]
            told = _told(answer.text)
            for kind, seen in told.seen.items():
                _judge(verdict, kind, seen, told, made, arguments)
    return verdict


def _told(lines: Iterable[str]) -> _Told:
    formats: dict[str, list[str]] = defaultdict(list)
    seen: dict[str, list[bytes]] = defaultdict(list)
    pages, pid = [], 0
    for line in lines:
        match line.split(" ", 2):
            case ["pid", number]:
                pid = int(number)
            case ["format", event]:
                formats[event].append("")
            case ["format", event, rest]:
                formats[event].append(rest)
            case ["seen", kind, digits]:
                seen[kind].append(bytes.fromhex(digits))
            case ["page", digits]:
                pages.append(bytes.fromhex(digits))
    return _Told(pid, {event: "\n".join(found) for event, found in formats.items()}, seen, pages)


def _judge(
    verdict: Verdict, kind: str, seen: Sequence[bytes], answer: _Told, made: Programs,
    arguments: Mapping[str, Iterable[str | None]],
) -> None:  # fmt: skip
    """Each thing that was seen is looked for among the records."""
    order = made.order
    names = list(EVENTS)
    of_event: dict[str, list[tuple[int, list[int], bytes]]] = defaultdict(list)
    for one in seen:
        event, _, has, *numbers, texts = struct.unpack(("<" if order == "little" else ">") + _SEEN, one)
        of_event[names[event]].append((has, numbers, texts))
    recorded: dict[int, list[bytes]] = defaultdict(list)
    for page in answer.pages:
        for record in page_records(page, order):
            if int.from_bytes(record[4:8], order) == answer.pid:
                recorded[int.from_bytes(record[:2], order)].append(record)
    for name, things in of_event.items():
        text = answer.formats[EVENTS[name]]
        number = re.search(r"^ID: (\d+)$", text, re.MULTILINE)
        assert number, text
        fields = {each.name: each for each in parsed_format(text)}
        there = set(fields) if kind == "tp" else set(arguments[name])
        # Not always in the order of the programs: an interrupt can come between a program and the record.
        rest = recorded[int(number[1])]
        for has, numbers, texts in things:
            values = made.values[kind, name]
            found = [list(_differences(values, has, numbers, texts, record, fields, there, order)) for record in rest]
            if [] not in found:
                nearest = min(found, key=len, default=["there is none"])
                verdict.wrong.append(f"{kind} {name}: no record of {numbers[: len(values)]}: {nearest}")
                break
            del rest[found.index([])]
            verdict.told[kind, name] += 1
            verdict.compared += has.bit_count()
        verdict.unseen += len(rest) if len(things) < _ROOM else 0


def _differences(
    values: Sequence[Value], has: int, numbers: Sequence[int], texts: bytes, record: bytes,
    fields: Mapping[str, Field], there: Container[str | None], order: Order,
) -> Iterator[str]:  # fmt: skip
    for at, value in enumerate(values):
        had = bool(has >> at & 1)
        if had != ((value.argument or value.field) in there):
            yield f"{value.has} is {had}"
        elif had and value.field in fields:
            yield from _difference(value, numbers[at], texts, record, fields[value.field], order)


def _difference(value: Value, number: int, texts: bytes, record: bytes, there: Field, order: Order) -> Iterator[str]:
    stored = record[there.offset : there.offset + there.size]
    if value.text is None:
        # A wider type holds what each of the kernels has.
        expected = int.from_bytes(stored, order)
        if number & ((1 << 8 * there.size) - 1) != expected:
            yield f"{value.field}: {number:#x}, recorded {expected:#x}"
        elif (
            there.signed
            and stored[-1 if order == "little" else 0] >> 7
            and number >> 63 != 1
            and number >> 8 * there.size
        ):
            yield f"{value.field}: {number:#x} lost its sign"
        return
    if there.dynamic:
        locator = int.from_bytes(stored, order)
        stored = record[locator & 0xFFFF :][: locator >> 16]
    text = texts[value.text * _TEXT_BYTES :][:_TEXT_BYTES]
    if re.match(r"(__data_loc )?char\b", there.type):
        text, stored = (part.partition(b"\0")[0][: _TEXT_BYTES - 1] for part in (text, stored))
    else:
        length = min(number, len(stored), _TEXT_BYTES)
        text, stored = text[:length], stored[:length]
    if text != stored or number >> 63:
        yield f"{value.field}: {text!r} of {number}, recorded {stored!r}"
