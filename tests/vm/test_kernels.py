"""What Debian's kernels say to tpgen: booted, they count the arguments, take the programs, and show known values."""

from __future__ import annotations

import errno
import re
from collections import defaultdict
from collections.abc import Sequence

import pytest
from support.programs import verifier_reason

from vm.case import MOST_ARGUMENTS, Booted, Case, Event, Tried
from vm.conftest import Row
from vm.values import ACTS, comparisons, records

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

# The module has no device here, or needs another module that has none.
_NOT_HERE = (errno.ENODEV, errno.ENOENT)
# All that there is in its record is bytes of which the kernel tells the number.
_NOT_INITIALIZED = ("tp_catpt_ipc_payload",)
_NO_POINTER_TO_A_STRUCT = re.compile(r"type [A-Z_]+ is not a struct|Only pointer access is allowed")
PROGRAM_TYPES = ("raw_tp", "raw_tp.w", "raw_tp.s", "tp_btf", "tp_btf.s", "tp", "tp.s")


def test_boots(booted: Booted, row: Row) -> None:
    """Twice, and all modules that found what they need the first time load the second time."""
    case = booted.case
    assert set(case.refused_modules.values()) <= set(_NOT_HERE)
    assert {answer.stage for answer in booted.set_up} == {"done"}
    row["booted"] = f"{case.first.seconds:.0f} s + {booted.run.seconds:.0f} s"
    row["modules"] = f"{len(case.traced)} of {len(case.tree.traced_modules)}"


def test_check(booted: Booted, row: Row) -> None:
    """No finding: one kernel wrote both its format files and its BTF."""
    assert booted.case.check
    row["check"] = "no finding"


def test_every_event_is_probed(booted: Booted, row: Row) -> None:
    """Every tracepoint in the BTF of vmlinux and the loaded modules, and every event of tracefs but system calls."""
    case, probed = booted.case, {event.name for event in booted.slots}
    in_btf = {event for image in case.images.values() for event in image.events}
    in_tracefs = {event for event, system in case.systems.items() if system != "syscalls"}
    assert in_btf | in_tracefs <= probed
    row["events"] = str(len(there(booted)))


def there(booted: Booted) -> dict[Event, tuple[str, int]]:
    """The events that the kernel has, and how it answers to a program that reads behind the last argument.

    Without BTF of modules tpgen goes by the headers, and so knows events of modules that are not loaded.
    """
    known = set(booted.case.type_ids) | set(booted.case.systems)
    found = {}
    for event, (last, behind) in booted.slots.items():
        if (last.stage, last.error) == ("attach", errno.ENOENT):
            assert event.name not in known, event
        else:
            assert (last.stage, last.error) == ("done", 0), event
            found[event] = behind.stage, behind.error
    return found


def test_argument_counts(booted: Booted, row: Row) -> None:
    """The kernel's own: it attaches a program that reads the last argument, and none that reads further."""
    events = there(booted)
    different = {event for event, answer in events.items() if answer != refusal(event)}
    row["counts equal"] = str(len(events) - len(different))
    assert different == set()


def refusal(event: Event) -> tuple[str, int]:
    """No program may read what no tracepoint can have; of what this one has not, attaching tells."""
    return ("load", errno.EACCES) if event.args == MOST_ARGUMENTS else ("attach", errno.EINVAL)


@pytest.mark.parametrize("program_type", PROGRAM_TYPES)
def test_programs(booted: Booted, row: Row, report: list[str], program_type: str) -> None:
    """Every program is taken and attached, or the kernel says why not, and that is no fault of the header."""
    tried = [each for each in booted.programs if each.type == program_type]
    refused = [each for each in tried if each.answer.stage != "done"]
    headers = {each.program.header for each in tried}
    attached = {each.program.header for each in tried if each.answer.stage == "done"}
    row[program_type] = f"{len(attached)} of {len(headers)}"
    report += [f"{booted.case.title}: refused: {program_type}: {line}" for line in reasons(refused)]
    for each in refused:
        assert not unexpected(each, booted.case), reason(each)
    known = {each.program.header for each in refused if each.program.header.prefix in _NOT_INITIALIZED}
    assert attached | known == headers


def unexpected(each: Tried, case: Case) -> bool:
    """Whether a program was refused that should not have been.

    One of tp_btf that does nothing but read what is no pointer to a struct, and one that gives a kernel without Linux
    6715df8d5d24 ("bpf: Allow reads from uninit stack", v6.3 and some of v6.1) a buffer that nothing was written to.
    """
    if each.program.header.prefix in _NOT_INITIALIZED:
        return "invalid indirect read from stack" not in reason(each) or not case.title.startswith(("5.10.", "6.1."))
    only_doubtful = {accessor.name for accessor in each.program.accessors} <= case.doubtful
    return not (
        only_doubtful and re.search(r"type [A-Z_]+ is not a struct|Only pointer access is allowed", reason(each))
    )


def reasons(refused: Sequence[Tried]) -> list[str]:
    """Each reason that there is, with what the refused programs call."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in refused:
        found[reason(each)] += [accessor.name for accessor in each.program.accessors] or [each.program.header.prefix]
    return [f"{why}: {', '.join(names)}" for why, names in found.items()]


def reason(each: Tried) -> str:
    """The verifier's word where it refused the program, else the stage and the error."""
    text = "\n".join(each.answer.text)
    return verifier_reason(text) if text else f"{each.answer.stage}: {errno.errorcode[each.answer.error]}"


@pytest.mark.parametrize("name", ACTS)
def test_values(booted: Booted, row: Row, name: str) -> None:
    """What each program read is what the process that acted knows."""
    assert booted.case.has_registers or booted.case.tree.arch == "ppc64el"
    if not booted.acts[name]:
        pytest.skip("the kernel has no BTF, and values.c no vmlinux.h")
    *programs, acted, _, told = booted.acts[name]
    assert {answer.stage for answer in (*programs, acted, told)} == {"done"}, programs
    facts = dict(line.split(" ", 1) for line in acted.text)
    if booted.case.has_prev_state:
        facts["prev_state"] = "known"
    if booted.case.tree.arch == "ppc64el":
        facts["unsigned_errors"] = "known"
    if "-rt-" in booted.case.title:
        facts["realtime"] = "known"
    found, expected = records(told.text[0], booted.case.big_endian), ACTS[name].expected(facts)[: len(programs)]
    pairs = [pair for seen, wanted in zip(found, expected, strict=False) for pair in comparisons(seen, wanted)]
    row["values"] = add(row.get("values", "0 of 0"), sum(seen == wanted for seen, wanted in pairs), len(pairs))
    assert [seen for seen, _ in pairs] == [wanted for _, wanted in pairs]


def add(counts: str, right: int, compared: int) -> str:
    """`RIGHT of COMPARED`, with so many more."""
    before = [int(word) for word in counts.split(" of ")]
    return f"{before[0] + right} of {before[1] + compared}"
