"""Section names: every one that libbpf takes is read, and what is made is what libbpf takes."""

from __future__ import annotations

import pytest

from tpgen.programs.forms import Form
from tpgen.programs.sections import ProgramSection, ProgramType, parse_section

RAW_TP, TP_BTF, TP = ProgramType.RAW_TP, ProgramType.TP_BTF, ProgramType.TP

SHORT = {
    "raw_tp": ProgramSection(RAW_TP),
    "raw_tp/sched_switch": ProgramSection(RAW_TP, "sched_switch"),
    "raw_tp.w/nbd_send_request": ProgramSection(RAW_TP, "nbd_send_request", writable=True),
    "raw_tp.w": ProgramSection(RAW_TP, writable=True),
    "raw_tp.s/sys_enter": ProgramSection(RAW_TP, "sys_enter", sleepable=True),
    "tp_btf": ProgramSection(TP_BTF),
    "tp_btf/sched_switch": ProgramSection(TP_BTF, "sched_switch"),
    "tp_btf/xe:xe_sched_job_create": ProgramSection(TP_BTF, "xe_sched_job_create", module="xe"),
    "tp_btf/vmlinux:sched_switch": ProgramSection(TP_BTF, "sched_switch", module="vmlinux"),
    "tp_btf.s/sys_exit": ProgramSection(TP_BTF, "sys_exit", sleepable=True),
    "tp": ProgramSection(TP),
    "tp/sched/sched_switch": ProgramSection(TP, "sched_switch", "sched"),
    "tp/sched_switch": ProgramSection(TP, "sched_switch"),
    "tp.s/syscalls/sys_enter_openat": ProgramSection(TP, "sys_enter_openat", "syscalls", sleepable=True),
    "?raw_tp/sched_switch": ProgramSection(RAW_TP, "sched_switch", autoload=False),
    "?tp/sched/sched_switch": ProgramSection(TP, "sched_switch", "sched", autoload=False),
    "?tp_btf.s/sys_enter": ProgramSection(TP_BTF, "sys_enter", sleepable=True, autoload=False),
}

LONG = {
    "tracepoint": "tp",
    "tracepoint/sched/sched_switch": "tp/sched/sched_switch",
    "tracepoint.s/syscalls/sys_exit_read": "tp.s/syscalls/sys_exit_read",
    "raw_tracepoint": "raw_tp",
    "raw_tracepoint/sched_switch": "raw_tp/sched_switch",
    "raw_tracepoint.w/bpf_test_finish": "raw_tp.w/bpf_test_finish",
    "raw_tracepoint.s/sys_enter": "raw_tp.s/sys_enter",
    "?raw_tracepoint.w": "?raw_tp.w",
}

OTHERS = (
    "", "?", "/", "license", ".text", "maps", "kprobe/do_unlinkat", "xdp", "struct_ops.s/init", "fentry/f", "tp_bt",
    "raw_tpx", "raw_tpx/sched_switch", "raw_tp_btf", "tpx/sched/sched_switch", "tracepoints/sched/sched_switch",
    "tp.w/sched/sched_switch", "tp_btf.w/sched_switch", "raw_tp./sched_switch", "raw_tp.x/sched_switch",
    "raw_tp.ws/sched_switch", "??raw_tp/sched_switch", " raw_tp/sched_switch", "RAW_TP/sched_switch",
    "tp/", "tp//sched_switch", "tp/sched/", "raw_tp/", "tp_btf/", "tp_btf/xe:",
    "tp/sched.s/", ".rel.raw_tp/sched_switch",
)  # fmt: skip


@pytest.mark.parametrize(("name", "section"), SHORT.items(), ids=SHORT)
def test_a_short_name(name: str, section: ProgramSection) -> None:
    assert parse_section(name) == section
    assert section.name == name


@pytest.mark.parametrize(("name", "short"), LONG.items(), ids=LONG)
def test_a_long_name(name: str, short: str) -> None:
    section = parse_section(name)
    assert section is not None
    assert section.name == short


@pytest.mark.parametrize("name", OTHERS)
def test_other_sections(name: str) -> None:
    assert parse_section(name) is None


def test_what_a_program_is_given() -> None:
    assert [kind.form for kind in (RAW_TP, TP_BTF, TP)] == [Form.RAW, Form.RAW, Form.CLASSIC]
