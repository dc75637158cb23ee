"""The door for programs in Python: the example of docs/api.md, and what it raises where the command line exits."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.btf_builder import SIGNED
from support.catalogs import X86_64, small_catalog
from support.small_kernel import FORMATS, small_btf, write_btf, write_tracefs

from tpgen import api, opening
from tpgen.model import Int, Pointer, Struct

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


def blocks(language: str) -> list[str]:
    """The blocks of a language in the documentation."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)


def test_example_of_the_documentation() -> None:
    code, of_history, _ = blocks("python")  # the last is of tests/unit/doctor/test_command.py
    (output,) = blocks("text")
    assert printed(code) == output
    assert "debian-5.10-amd64 → debian-6.1-amd64 argument-added\n" in printed(of_history)


def printed(code: str) -> str:
    """What code of the documentation prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, DOCS, "exec"), {"__name__": "example"})
    return out.getvalue()


@pytest.fixture
def small(tmp_path: Path) -> api.Kernel:
    return api.open_kernel(btf=[write_btf(tmp_path / "vmlinux")], tracefs=write_tracefs(tmp_path / "tracefs"))


def test_raw_arguments(small: api.Kernel) -> None:
    (switch,) = small.query("sched:sched_switch")
    assert switch.event.attach_name == "sched_switch"
    values = switch.values(api.Form.RAW)
    assert [(v.name, v.offset_bytes, v.size_bytes, v.slot) for v in values] == [
        ("preempt", 0, 1, 0), ("prev", 8, 8, 1), ("next", 16, 8, 2), ("prev_state", 24, 4, 3),
    ]  # fmt: skip
    assert values[1].type == Pointer(Struct("struct", "task_struct"))
    assert values[1].pointee == Struct("struct", "task_struct")
    assert values[3].type == Int("unsigned int", 4, False)


def test_fields(small: api.Kernel) -> None:
    (init,) = small.query("dma_fence_init")
    values = init.values(api.Form.CLASSIC)
    assert [(v.name, v.kind, v.offset_bytes, v.size_bytes) for v in values] == [
        ("driver", "dynamic", 8, 4), ("seqno", "int", 12, 4),
    ]  # fmt: skip
    assert values[0].pointee == Int("char", 1, False)


def test_query(small: api.Kernel) -> None:
    assert {tracepoint.event.name for tracepoint in small.query("sched:*", "*:sched_wakeup")} == {
        "sched_switch", "sched_wakeup",
    }  # fmt: skip
    assert len(small.query()) == 6
    assert {t.event.name for t in small.query("pelt*", module="vmlinux")} == {"pelt_se_tp"}


def code(error: api.TpgenError) -> str:
    (diagnostic,) = error.diagnostics
    return diagnostic.code


@pytest.mark.parametrize("pattern", ["", ":", "bla:", "sched:"])
def test_bad_pattern(pattern: str, small: api.Kernel) -> None:
    with pytest.raises(api.TpgenError) as raised:
        small.query(pattern)
    assert code(raised.value) == "bad-pattern"


def test_unknown_event(small: api.Kernel) -> None:
    with pytest.raises(api.TpgenError) as raised:
        small.query("sched:no_such")
    assert code(raised.value) == "unknown-event"


def test_form_that_is_not_there(small: api.Kernel) -> None:
    (bare,) = small.query("pelt_se_tp")
    assert bare.why_not(api.Form.RAW) is None
    assert bare.why_not(api.Form.CLASSIC) is not None
    with pytest.raises(api.TpgenError) as raised:
        bare.values(api.Form.CLASSIC)
    assert code(raised.value) == "no-such-form"


def test_sources_that_contradict_each_other(tmp_path: Path) -> None:
    """Where the command line exits with 1: no value of that record is handed out; the raw arguments are."""
    lines = [
        replace(line, offset=12) if line.declaration == "pid_t pid" else line for line in FORMATS["sched/sched_wakeup"]
    ]
    tracefs = write_tracefs(tmp_path / "tracefs", {"sched/sched_wakeup": tuple(lines)})
    kernel = api.open_kernel(btf=[write_btf(tmp_path / "vmlinux")], tracefs=tracefs)
    (wakeup,) = kernel.query("sched:sched_wakeup")
    with pytest.raises(api.CheckFailed):
        wakeup.values(api.Form.CLASSIC)
    assert [value.name for value in wakeup.values(api.Form.RAW)] == ["p"]
    assert {finding.code for finding in kernel.check() if finding.severity == "error"} == {"record-offset"}
    assert kernel.check("sched_switch") == ()


def test_big_endian(tmp_path: Path) -> None:
    kernel = api.open_kernel(btf=[write_btf(tmp_path / "vmlinux", small_btf(big_endian=True))], arch="s390x")
    assert (kernel.target.arch, kernel.target.big_endian) == ("s390x", True)
    (switch,) = kernel.query("sched_switch")
    assert [value.offset_bytes for value in switch.values(api.Form.RAW)] == [7, 8, 16, 28]


def test_catalog_file(tmp_path: Path) -> None:
    kernel = api.open_kernel(str(small_catalog(tmp_path)))
    assert kernel.release == "6.18.1"
    assert [value.name for value in kernel.query("sched_switch")[0].values(api.Form.RAW)][:2] == ["preempt", "prev"]


def test_raw_support(small: api.Kernel) -> None:
    supported, evidence = small.raw_support()
    assert supported is True
    assert ("BTF has the enumerator BPF_PROG_TYPE_RAW_TRACEPOINT", True) in [(e.what, e.supported) for e in evidence]


def test_generate(small: api.Kernel) -> None:
    (file,) = small.generate("sched_switch", forms=[api.Form.RAW])
    assert file.name == "raw_sched_switch.h"
    assert "struct raw_sched_switch" in str(file.content)
    (flat,) = small.generate("sched_switch", backend="systemtap", forms=[api.Form.RAW], options={"flat": True})
    assert "data;" not in str(flat.content)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flatt": True}, "backend systemtap has no option flatt"), ({"flat": 1}, "option flat must be true or false"),
        ({"emit": "cobol"}, "no 'cobol' for option emit"),
    ],
)  # fmt: skip
def test_bad_option(options: dict[str, bool | int | str], message: str, small: api.Kernel) -> None:
    with pytest.raises(api.TpgenError) as raised:
        small.generate("sched_switch", backend="systemtap", options=options)
    assert (code(raised.value), raised.value.diagnostics[0].message) == ("bad-option", message)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(api.TpgenError) as raised:
        api.open_kernel(btf=[tmp_path / "none"])
    assert code(raised.value) == "unreadable"


def test_note_where_there_is_no_kernel_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest that came with tpgen stands in, and nobody is left to believe that it is the running one."""
    monkeypatch.setattr(opening, "live_kernel_askable", lambda: False)
    kernel = api.open_kernel()
    assert [note.code for note in kernel.notes] == ["kernel-shipped"]
    assert kernel.label == "debian-7.3-amd64"


@pytest.mark.kernel_btf
def test_running_kernel(capfd: pytest.CaptureFixture[str]) -> None:
    kernel = api.open_kernel("live")
    (switch,) = kernel.query("sched_switch")
    assert [value.name for value in switch.values(api.Form.RAW)][1:3] == ["prev", "next"]
    assert capfd.readouterr() == ("", "")


def test_argument_without_a_name(tmp_path: Path) -> None:
    b = small_btf()
    b.event("e", [("", b.integer("int", 4, SIGNED))], names_in=())
    (event,) = api.open_kernel(btf=[write_btf(tmp_path / "vmlinux", b)]).query("e")
    (value,) = event.values(api.Form.RAW)
    assert (value.name, value.declaration) == (None, "int arg0")


def test_kernels_are_those_of_the_catalog() -> None:
    known = {stored.info.name: stored for stored in api.kernels()}
    shipped = known["debian-6.12-amd64"]
    assert shipped.shipped
    assert shipped.info.release is not None
    assert shipped.info.release.startswith("6.12.")
    assert shipped.events == len(api.open_kernel("debian-6.12-amd64").query())


def test_a_file_that_is_no_catalog_hides_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    before = api.kernels()
    assert before.notes == ()
    broken = tmp_path / "tpgen" / "catalog" / "broken.tpgen"
    broken.parent.mkdir(parents=True)
    broken.write_text("x")
    after = api.kernels()
    assert after == before
    assert [(note.code, note.severity, str(note.position)) for note in after.notes] == [
        ("catalog-foreign", api.Severity.ERROR, str(broken))
    ]


def test_merging_catalogs(tmp_path: Path) -> None:
    infos = [api.KernelInfo(name, X86_64) for name in ("a", "b")]
    parts = [small_catalog(tmp_path, info, name=f"{info.name}.tpgen") for info in infos]
    assert api.merge_catalogs(tmp_path / "both.tpgen", *parts) == 2
    assert api.open_kernels(f"{tmp_path}/both.tpgen").names == ("a", "b")
    with pytest.raises(api.TpgenError):
        api.merge_catalogs(tmp_path / "both.tpgen", tmp_path / "none.tpgen")


def test_backends_are_those_of_the_command() -> None:
    found = {loaded.plugin.name: loaded for loaded in api.backends()}
    assert {"bpf", "bpftrace", "go", "json", "python", "rust", "systemtap"} <= set(found)
    assert found["bpf"].plugin.distribution == "tpgen"
    assert found["go"].backend.options[0].name == "package"


def test_diff_is_that_of_the_command() -> None:
    before, after = (api.open_kernel(name) for name in ("debian-6.1-amd64", "debian-6.12-amd64"))
    (event,) = api.diff(before, after, "tcp_send_reset").events
    assert event.event.name == "tcp_send_reset"
    assert event.changes
    with pytest.raises(api.TpgenError, match="no event 'nowhere'"):
        api.diff(before, after, "nowhere")


def test_check_of_what_is_right(small: api.Kernel) -> None:
    assert [finding for finding in small.check() if finding.severity == "error"] == []
    with pytest.raises(api.TpgenError, match="unknown-event"):
        small.check("nowhere")


def test_check_has_what_was_compared(small: api.Kernel) -> None:
    check = api.check(small, "sched_switch")
    assert check.passed
    assert {comparison.subject for comparison in check.comparisons} >= {api.Subject.RAW, api.Subject.RECORD}
    assert (check.findings, check.skipped) == (small.check("sched_switch"), ())
    (switch,) = small.query("sched_switch")
    assert set(switch.comparisons) == set(check.comparisons)


def test_names_of_values() -> None:
    (event,) = api.open_kernel("debian-6.12-amd64").query("kfree_skb")
    reasons = dict(event.names.args)[2]
    assert "SKB_DROP_REASON_NO_SOCKET" in {symbol.name for symbol in reasons.symbols}


def test_history_is_that_of_the_command() -> None:
    """sched_switch has one more argument since 5.18."""
    old, mid, new = (api.open_kernel(f"debian-{release}-amd64") for release in ("5.10", "6.1", "7.2"))
    (event,) = api.history("sched_switch", kernels=[old, mid, new]).events
    assert [len(group.event.args or ()) for group in event.raw.groups] == [3, 4]
    assert [(step.before, step.after) for step in event.breaks[0].steps] == [("debian-5.10-amd64", "debian-6.1-amd64")]
    (same,) = api.history("sched_switch", kernels=api.join_kernels([old, mid, new])).events
    assert same == event
    known = api.history("sched_switch", arch="amd64")
    assert {kernel.target.arch for kernel in known.kernels} == {"x86_64"}


def test_headers_with_names_of_values() -> None:
    kernel = api.open_kernel("debian-6.12-amd64")
    (header,) = kernel.generate("kfree_skb", values=True)
    assert header.name == "values_kfree_skb.h"
    assert "SKB_DROP_REASON_NO_SOCKET" in str(header.content)
    with pytest.raises(api.TpgenError, match="not for go"):
        kernel.generate("kfree_skb", backend="go", values=True)
