"""One of Debian's kernels: booted once for its format files, then with every program made from them."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.dumped import images
from support.accessors import Header, read_headers
from support.compilers import COMPILERS
from support.debian import Tree
from support.flat import flat_programs, reads_slot
from support.headers import ROOT
from support.kernel_facts import TracepointImage
from support.programs import Job, Program, chunks, compiled, source
from support.vm import (
    MACHINES,
    Answer,
    Line,
    Run,
    boot,
    guest,
    in_loading_order,
    load_modules,
    module_name,
    raw_tp,
    tp,
    tp_btf,
    write_formats,
)

from tpgen.sources.images import btf_sections
from vm.values import ACTS, SEEN_BYTES

# Where <linux/types.h> is.
_UAPI = (Path("/usr/include"), Path("/usr/include") / str(sysconfig.get_config_var("MULTIARCH")))
_VALUES = Path(__file__).with_name("values.c")
# Linux 7.2 has structs with a tag and no name in others, which the C of its own compilation gives their members.
_OPTIONS = ("-fms-extensions",)
# Modules ask for these algorithms by name, and there is no modprobe to answer.
ALGORITHMS = ("crc32c_generic", "fcrypt", "pcbc")
# Has events that i915 has as well; a program that is attached by name gets one of the two.
TWINS = ("xe",)
# By whether it is pointed to, what tp_btf programs are not sure to get.
_DOUBTFUL = {
    True: ("ARRAY", "ENUM", "FUNC_PROTO", "FWD", "INT", "PTR", "VOID"),
    False: ("STRUCT", "UNION"),
}
# What a section's suffix is called in a plan.
_VARIANTS = {"": "", "w": "_writable", "s": "_sleepable"}
# MAX_BPF_FUNC_ARGS: a program that reads further is not even loaded.
MOST_ARGUMENTS = 12


@dataclass(frozen=True, slots=True)
class Event:
    """A tracepoint as tpgen lists it; `module` is None for vmlinux."""

    name: str
    module: str | None
    args: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A program that the kernel was given as one of a type: what it was about, and the answer."""

    type: str
    program: Program
    answer: Answer


class Case:
    """A kernel, and what it and tpgen say of it. Everything is found once, when it is asked for."""

    def __init__(self, tree: Tree, scratch: Path, libbpf_include: Path) -> None:
        self.tree = tree
        self.machine = MACHINES[tree.arch]
        self.big_endian = self.machine.bpf_target == "bpfeb"
        self._scratch = scratch
        self._libbpf_include = libbpf_include

    @property
    def title(self) -> str:
        """The kernel's release, in which Debian has the architecture."""
        return self.tree.vmlinuz.name.partition("-")[2]

    # --- the first boot

    @cached_property
    def _modules(self) -> dict[Path, bytes]:
        """What is loaded, in that order."""
        algorithms = [path for path in self.tree.modules if module_name(path) in ALGORITHMS]
        traced = [path for path in self.tree.traced_modules if module_name(path) not in TWINS]
        return in_loading_order(self.tree, (*algorithms, *traced))

    @cached_property
    def _init(self) -> bytes:
        return guest(self.tree.arch, self._scratch)

    @cached_property
    def first(self) -> Run:
        """Every module is tried, and the kernel writes its format files."""
        lines = [*load_modules(self._modules), Line("formats")]
        return boot(self.tree, self._init, lines, self._scratch / "first", self._modules)

    @cached_property
    def refused_modules(self) -> dict[str, int]:
        """The errno of each module that this machine cannot have, by name."""
        answers = zip(self._modules, self.first.answers, strict=False)
        return {module_name(path): answer.error for path, answer in answers if answer.error}

    @cached_property
    def _loaded(self) -> dict[Path, bytes]:
        return {path: data for path, data in self._modules.items() if module_name(path) not in self.refused_modules}

    @cached_property
    def traced(self) -> tuple[Path, ...]:
        """The modules with tracepoints that were loaded."""
        return tuple(path for path in self.tree.traced_modules if path in self._loaded)

    @cached_property
    def tracefs(self) -> Path:
        """A copy of the format files."""
        root = self._scratch / "tracefs"
        write_formats(self.first.answers[-1].text, root)
        return root

    @cached_property
    def systems(self) -> dict[str, str]:
        """The system of each event in tracefs, by the event's name. ftrace's are no tracepoints."""
        found = {path.parent.name: path.parent.parent.name for path in self.tracefs.glob("events/*/*/format")}
        return {event: system for event, system in found.items() if system != "ftrace"}

    # --- what tpgen makes of it

    def _tpgen(self, *arguments: str) -> str:
        """What tpgen says when it is given the files of this kernel."""
        present = {self.tree.vmlinuz, *self._loaded}
        sources = [word for path in self.tree.btf if path in present for word in ("--btf", str(path))]
        sources += ["--tracefs", str(self.tracefs)]
        if not self.tree.btf[1:]:
            # The raw arguments of its modules' events are nowhere but in the headers.
            sources += ["--headers", str(self.tree.headers_of_image), "--config", str(self.tree.config)]
        if not self.tree.btf:
            sources += ["--arch", self.tree.arch]
        command = (sys.executable, "-m", "tpgen", *arguments, *sources)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Every tracepoint that tpgen lists, except system calls, which are classic alone."""
        listed: list[dict[str, Any]] = json.loads(self._tpgen("list", "--json"))
        return tuple(Event(entry["name"], entry["module"], entry["args"]) for entry in listed if not _syscall(entry))

    @cached_property
    def check(self) -> str:
        """What `tpgen check` prints of this kernel. A finding makes it fail, and there can be none."""
        return self._tpgen("check")

    @cached_property
    def headers(self) -> tuple[Header, ...]:
        """Every header of the kernel."""
        folder = self._scratch / "headers"
        self._tpgen("*", "-o", str(folder))
        return read_headers(folder)

    @cached_property
    def images(self) -> Mapping[str, TracepointImage]:
        """What bpftool finds in the BTF of vmlinux and of the modules, by the kernel's name of the image."""
        if not self.tree.btf:
            return {}
        vmlinuz, *modules = self.tree.btf
        blob = btf_sections(vmlinuz.read_bytes(), str(vmlinuz)).btf
        found = images(blob, [path for path in modules if path in self._loaded], self._scratch, TracepointImage)
        return {image.module or "vmlinux": image for image in found}

    @cached_property
    def type_ids(self) -> dict[str, tuple[str, int]]:
        """The image and the id of the typedef `btf_trace_<event>`, by event."""
        return {
            event: (name, type_id) for name, image in self.images.items() for event, type_id in image.event_ids.items()
        }

    # --- programs

    @cached_property
    def _vmlinux_include(self) -> Path:
        folder = self._scratch / "vmlinux"
        folder.mkdir()
        command = ("bpftool", "btf", "dump", "file", str(self.images["vmlinux"].file), "format", "c")
        (folder / "vmlinux.h").write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        return folder

    @cached_property
    def _no_vmlinux_include(self) -> Path:
        """A vmlinux.h with no more than libbpf's headers want."""
        folder = self._scratch / "no-vmlinux"
        folder.mkdir()
        (folder / "vmlinux.h").write_text("#include <linux/types.h>\n")
        return folder

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """For each header a program that calls every accessor, and one for each that tp_btf might refuse."""
        found = []
        for number, header in enumerate(self.headers):
            alone = tuple(accessor for accessor in header.accessors if accessor.name in self.doubtful)
            for at, accessors in enumerate([tuple(a for a in header.accessors if a not in alone), *zip(alone)]):
                names = {accessor.name.replace(header.prefix, f"{header.prefix}_if", 1) for accessor in accessors}
                checked = tuple(name for name in header.checked if name in names)
                # A section of its own for each: that is how its instructions are found.
                found.append(Program(f"program_{number}_{at}", f"code/{number}_{at}", header, accessors, checked))
        return tuple(found)

    @cached_property
    def doubtful(self) -> frozenset[str]:
        """The accessors of raw arguments that not every kernel gives to tp_btf programs, by the image's BTF.

        Pointers to anything but a struct (some kernels take those to integers and to void), and structs themselves.
        """
        return frozenset(
            f"raw_{event}_{param.name}"
            for image in self.images.values()
            for event, params in image.params.items()
            for param in params
            if (param.target or param.kind) in _DOUBTFUL[param.target is not None]
        )

    @cached_property
    def insns(self) -> dict[str, bytes]:
        """The instructions of every program, by its section.

        vmlinux.h has no types of modules, so the headers of their events are tried without it.
        """
        with_types = [program for program in self.programs if self._in_vmlinux(program.header.event)]
        without = [program for program in self.programs if not self._in_vmlinux(program.header.event)]
        found = self._compiled(without, self._no_vmlinux_include)
        return found | self._compiled(with_types, self._vmlinux_include) if with_types else found

    def _in_vmlinux(self, event: str) -> bool:
        if "vmlinux" not in self.images:
            return False
        return event in self.images["vmlinux"].events or self.systems.get(event) == "syscalls"

    def _compiled(self, programs: Sequence[Program], vmlinux_include: Path) -> dict[str, bytes]:
        parts = chunks(programs)
        # Not beside vmlinux.h, which would then be the unit's own, with warnings.
        folder = self._scratch / f"programs-{vmlinux_include.name}"
        jobs = [self._job(source(part), folder / f"{number}.o") for number, part in enumerate(parts)]
        objects = compiled(jobs, self._include, [vmlinux_include, self._libbpf_include, *_UAPI])
        found: dict[str, bytes] = {}
        for part, obj in zip(parts, objects, strict=True):
            found |= flat_programs(obj, [program.section for program in part])
        return found

    @cached_property
    def _include(self) -> list[Path]:
        return [self.headers[0].path.parent]

    def _job(self, text: str, output: Path) -> Job:
        return Job(COMPILERS[0], text, output, self.machine.bpf_target, options=_OPTIONS)

    @cached_property
    def has_prev_state(self) -> bool:
        """Whether sched_switch has the argument that came with Linux 5.18."""
        return any(accessor.name == "raw_sched_switch_prev_state" for accessor in self._accessors("raw_sched_switch"))

    @cached_property
    def has_registers(self) -> bool:
        """Whether tpgen knows where the architecture has the arguments of a system call. Of ppc64el it does not."""
        return any(header.prefix == "raw_sys_enter_close" for header in self.headers)

    def _sections(self, act: str) -> list[str]:
        """Where the programs of an act are attached. Of the last of `close` there may be nothing to read."""
        return [section for section in ACTS[act].sections if self.has_registers or section != "raw_tp/sys_enter"]

    def _accessors(self, prefix: str) -> tuple[Any, ...]:
        return next(header.accessors for header in self.headers if header.prefix == prefix)

    @cached_property
    def _value_programs(self) -> dict[str, bytes]:
        """The instructions of values.c, by section."""
        lock_type = next(a.name for a in self._accessors("tp_posix_lock_inode") if a.name.endswith("_type"))
        defines = f"#define LOCK_TYPE {lock_type}\n" + ("#define PREV_STATE\n" if self.has_prev_state else "")
        defines += "#define REGISTERS\n" if self.has_registers else ""
        job = self._job(defines + _VALUES.read_text(), self._scratch / "values.o")
        obj = job.run(self._include, [self._vmlinux_include, self._libbpf_include])
        return flat_programs(obj, [section for name in ACTS for section in self._sections(name)])

    # --- the second boot

    def _line(self, section: str, insns: bytes, keep: bool = False) -> Line:
        """Loads a program of the type and attaches it to the place that a section names, as libbpf would."""
        kind, *where = section.split("/")
        base, _, suffix = kind.partition(".")
        variant = _VARIANTS[suffix]
        match base, where:
            case "raw_tp", [event]:
                return raw_tp(event, insns, keep, variant)
            case "tp_btf", [event]:
                return tp_btf(event, *self.type_ids[event], insns, keep, variant)
            case "tp", [system, event]:
                return tp(system, event, insns, keep, variant)
        raise AssertionError(f"a section of a kind unknown here: {section}")

    def _tries(self) -> Iterator[tuple[str, Program, Line]]:
        """Every program at every place that its header names, by type. tp_btf takes BTF, which 5.10's modules lack."""
        for program in self.programs:
            for section in program.header.sections:
                kind, _, event = section.partition("/")
                if not kind.startswith("tp_btf") or event in self.type_ids:
                    yield kind, program, self._line(section, self.insns[program.section])

    def _slots(self) -> Iterator[tuple[Event, Line, Line]]:
        """For each event a program that reads the last argument, and one that reads what is behind it."""
        for event in self.events:
            last = event.args - 1 if event.args else None
            programs = (reads_slot(slot, self.big_endian) for slot in (last, event.args))
            yield event, *(raw_tp(event.name, insns) for insns in programs)

    def _acting(self, name: str) -> list[Line]:
        if not self.images:
            return []  # what the programs of values.c read is typed by vmlinux.h
        programs = self._value_programs
        lines = [self._line(section, programs[section], keep=True) for section in self._sections(name)]
        return [*lines, Line(f"act {name}"), Line("release"), Line("seen")]

    def booted(self) -> Booted:
        """The same modules, then every program and every act."""
        modules = load_modules(self._loaded)
        acts = {name: self._acting(name) for name in ACTS}
        slots = list(self._slots())
        tries = list(self._tries())
        lines = [*modules, Line(f"map {SEEN_BYTES}")]
        lines += [line for act in acts.values() for line in act]
        lines += [line for _, *both in slots for line in both]
        lines += [line for _, _, line in tries]
        run = boot(self.tree, self._init, lines, self._scratch / "second", self._loaded)
        answers = iter(run.answers)

        def take(count: int) -> tuple[Answer, ...]:
            return tuple(next(answers) for _ in range(count))

        return Booted(
            self,
            run,
            take(len(modules) + 1),
            {name: take(len(act)) for name, act in acts.items()},
            {event: take(2) for event, *_ in slots},
            tuple(Tried(kind, program, *take(1)) for kind, program, _ in tries),
        )


@dataclass(frozen=True, slots=True)
class Booted:
    """The answers of the second boot: to setting up, acting, reading slots, and loading every program."""

    case: Case
    run: Run
    set_up: tuple[Answer, ...]
    acts: Mapping[str, tuple[Answer, ...]]
    slots: Mapping[Event, tuple[Answer, ...]]
    programs: tuple[Tried, ...]


def _syscall(entry: Mapping[str, Any]) -> bool:
    return bool(entry["system"] == "syscalls")
