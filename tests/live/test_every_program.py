"""Programs that call every accessor: the compilers make them, the verifier takes them, the kernel attaches them."""

from __future__ import annotations

import errno
from concurrent.futures import Future
from pathlib import Path

import pytest
from support.accessors import Accessor
from support.compilers import COMPILERS
from support.libbpf import BpfObject, LibbpfError

from live.population import Population
from live.survey import COMPILER_NAMES, PROGRAM_TYPES, Survey, fitting, table, unreadable

pytestmark = [pytest.mark.live, pytest.mark.compilers]


@pytest.fixture(scope="session")
def survey(surveying: Future[Survey], population: Population, report: list[str]) -> Survey:
    """All programs compiled, loaded, attached and detached, by type of program and compiler."""
    found = surveying.result()
    report += table(population, found)
    return found


def test_every_event_has_its_headers(population: Population) -> None:
    """No tracepoint of the kernel's BTF and no event of its tracefs is missing, and there is nothing else."""
    found = {form: {h.event for h in population.generated if h.form == form} for form in ("raw", "classic")}
    calls = {event for event, system in population.systems.items() if system == "syscalls"}
    assert found["raw"] - calls == set(population.image.params)
    assert found["classic"] == set(population.systems)


def test_every_section_names_its_event(population: Population) -> None:
    """raw_tp and tp_btf name the tracepoint, which all system calls share; tp names system and event."""
    for header in population.generated:
        system = population.systems.get(header.event)
        raw = header.event[: header.event.index("_", 4)] if system == "syscalls" else header.event
        if header.form == "raw":
            writable = {f"raw_tp.w/{raw}"}
            assert set(header.sections) - writable == {f"raw_tp/{raw}", f"tp_btf/{raw}"}
        else:
            assert header.sections == (f"tp/{system}/{header.event}",)


def test_every_argument_has_its_accessor(population: Population) -> None:
    """The names are those of the kernel's own function for the event, of a system call those of its format file."""
    for header in population.of("raw"):
        if (params := population.image.params.get(header.event)) is not None:
            names = [param.name or f"arg{slot}" for slot, param in enumerate(params)]
        else:
            names = [field.name for field in population.fields(header.event) if field.name != "__syscall_nr"]
        assert {f"{header.prefix}_{name}" for name in names} <= {accessor.name for accessor in header.values}


def test_every_field_has_its_accessor(population: Population) -> None:
    """A scalar returns its value; an array, in place or not, is copied; there is nothing else."""
    for header in population.of("classic"):
        fields = population.fields(header.event)
        expected = {Accessor(f"{header.prefix}_{f.name}{'_read' if f.array or f.dynamic else ''}", f.array or f.dynamic)
                    for f in fields}  # fmt: skip
        assert set(header.accessors) == expected, header.path.name


@pytest.mark.parametrize("compiler", COMPILER_NAMES)
@pytest.mark.parametrize("program_type", PROGRAM_TYPES)
def test_verifier_takes_every_program(population: Population, survey: Survey, program_type: str, compiler: str) -> None:
    """All but those that do nothing but read a pointer to a function in tp_btf."""
    refused = {outcome for outcome in survey[program_type, compiler] if outcome.log is not None}
    for outcome in refused:
        assert outcome.program.accessors, outcome.log
        assert set(outcome.program.accessors) <= set(unreadable(population, outcome.program.header)), outcome.log
        assert "type FUNC_PROTO is not a struct" in str(outcome.reason)


@pytest.mark.parametrize("compiler", COMPILER_NAMES)
@pytest.mark.parametrize("program_type", PROGRAM_TYPES)
def test_kernel_attaches_every_program(
    population: Population, survey: Survey, program_type: str, compiler: str
) -> None:
    """Each event has a program that was attached, and none that was loaded could not be."""
    outcomes = survey[program_type, compiler]
    assert {o.program.header.prefix: o.error for o in outcomes if o.error} == {}
    there = {outcome.program.header for outcome in outcomes if outcome.log is None}
    assert there == {header for header, _ in fitting(population, program_type)}


ONE_MORE = "".join(
    f'SEC("raw_tp") int slot_{slot}(volatile unsigned long long *ctx) {{ return ctx[{slot}]; }}\n' for slot in range(12)
)


def test_there_is_no_further_argument(
    population: Population, vmlinux_include: Path, libbpf_include: Path, tmp_path: Path, report: list[str]
) -> None:
    """The kernel's own count: it does not attach a program that reads the slot behind the last one of the header."""
    text = f'#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n{ONE_MORE}char LICENSE[] SEC("license") = "GPL";\n'
    obj = COMPILERS[0].compile(text, tmp_path / "slots.o", system=[vmlinux_include, libbpf_include])
    events = [header for header in population.of("raw") if header.event in population.image.params]
    with BpfObject(obj) as bpf:
        for header in events:
            # A program cannot read a slot behind the twelfth.
            if len(header.values) < 12:
                with pytest.raises(LibbpfError) as caught:
                    bpf.attach_raw_tracepoint(f"slot_{len(header.values)}", header.event)
                assert caught.value.errno == errno.EINVAL, header.event
    report.append(f"number of arguments equal to the kernel's: {len(events)} of {len(events)} raw tracepoints")
