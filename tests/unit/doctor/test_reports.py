"""Reports of judgements, made by hand: text, JSON, annotations, baselines. What is expected is written by hand, too."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tpgen.annotations.github import workflow_command
from tpgen.annotations.sarif import sarif_log
from tpgen.diagnostics import TpgenError
from tpgen.doctor.findings import Expected, Finding, Judgement, Stage, Verdict
from tpgen.doctor.reports.annotations import annotations_of
from tpgen.doctor.reports.as_json import judgement_json
from tpgen.doctor.reports.baseline import Baseline
from tpgen.doctor.reports.folding import Examined, folded, kernel_ranges
from tpgen.doctor.reports.source_paths import SourcePaths
from tpgen.doctor.reports.text import report

KERNELS = ("5.10", "6.1", "6.12", "live", "7.2")
PAST_END = Finding(
    Verdict.REFUSED_LOAD, "no-argument", Stage.LOAD, "EACCES", "ctx[1] is behind the last of 1 argument",
    slot=1, offset=8, size=8, expected=Expected("rq", "struct request *", "text"), file="/build/x/bio.bpf.c", line=97,
    hint="the request is ctx[0]",
)  # fmt: skip
MOVED = Finding(
    Verdict.WRONG, "other-field", Stage.RUN, None, "`filename` at 16 is `int fd`",
    offset=16, size=8, expected=Expected("filename", "const char *", "struct"),
    actual={"name": "fd", "type": "int", "offset": 16, "size": 8, "signed": True, "dynamic": None},
    file="/build/x/proc.bpf.c", line=162,
)  # fmt: skip
MODULE = Finding(
    Verdict.DEPENDS, "module", Stage.ATTACH, "ENOENT", "the event is of module xfs, which has to be loaded"
)


def judgement(kernel: str, *findings: Finding, program: str = "on_issue", section: str = "tp_btf/issue") -> Judgement:
    worst = max((finding.verdict for finding in findings), key=lambda verdict: verdict.rank, default=Verdict.FINE)
    return Judgement("out/bio.bpf.o", program, section, kernel, worst, findings)


def examined(*judgements: Judgement, others: int = 0) -> Examined:
    return Examined("out/bio.bpf.o", KERNELS, judgements, others)


BIO = examined(
    *(judgement(kernel, *([PAST_END] if kernel in ("5.10", "6.1", "6.12") else [])) for kernel in KERNELS),
    *(judgement(kernel, MOVED, program="on_exec", section="tp/sys/exec") for kernel in KERNELS),
    *(judgement(kernel, *([MODULE] if kernel in ("5.10", "7.2") else ()), program="on_xfs") for kernel in KERNELS),
    *(judgement(kernel, program="on_fine", section="raw_tp/fine") for kernel in KERNELS),
    others=2,
)


def paths(*there: str, root: str | None = None, files: Iterable[str] = ()) -> SourcePaths:
    return SourcePaths(files, root, exists=there.__contains__)


# --- kernels


RANGES = {
    "all": (KERNELS, "all kernels"),
    "one": (["6.1"], "6.1"),
    "two": (["6.1", "6.12"], "6.1, 6.12"),
    "three": (["5.10", "6.1", "6.12"], "5.10…6.12"),
    "in two parts": (["5.10", "live", "7.2", "6.12"], "5.10, 6.12…7.2"),
    "all but one": (["5.10", "6.1", "live", "7.2"], "5.10, 6.1, live, 7.2"),
}


@pytest.mark.parametrize(("some", "text"), RANGES.values(), ids=RANGES)
def test_ranges(some: list[str], text: str) -> None:
    assert kernel_ranges(some, KERNELS) == text


def test_the_only_kernel_has_its_name() -> None:
    assert kernel_ranges(["5.10"], ["5.10"]) == "5.10"


def test_findings_that_differ_are_apart() -> None:
    later = PAST_END._replace(line=98)
    found = folded([judgement("5.10", PAST_END), judgement("6.1", PAST_END, later), judgement("6.12", later)])
    assert [(each.finding.line, each.kernels) for each in found] == [(97, ("5.10", "6.1")), (98, ("6.1", "6.12"))]


WAYS = {
    1: "`tpgen e --kernel 5.10` does", 2: "`tpgen e --kernel 5.10 --kernel 6.1` does",
    4: "`tpgen e --kernel 5.10 … --kernel live` does",
}  # fmt: skip


@pytest.mark.parametrize("number", WAYS)
def test_a_way_on_is_for_all_kernels(number: int) -> None:
    kernels = KERNELS[:number]
    (found,) = folded(judgement(k, PAST_END._replace(hint=f"`tpgen e --kernel {k}` does")) for k in kernels)
    assert (found.kernels, found.finding.hint) == (kernels, WAYS[number])


def test_a_finding_that_is_there_twice_is_told_once() -> None:
    (found,) = folded([judgement("5.10", PAST_END, PAST_END._replace(offset=8))])
    assert found.kernels == ("5.10",)


# --- text


def test_text() -> None:
    files = [finding.file for finding in (PAST_END, MOVED) if finding.file]
    assert report([BIO], paths(files=files)) == (
        "out/bio.bpf.o: 4 programs at tracepoints: 1 refused-load, 1 wrong, 1 depends, 1 fine;"
        " 2 programs of other types not looked at\n"
        "  on_issue [tp_btf/issue]\n"
        "    5.10…6.12  refused-load: bio.bpf.c:97: ctx[1] is behind the last of 1 argument (EACCES) [no-argument];"
        " the request is ctx[0]\n"
        "  on_exec [tp/sys/exec]\n"
        "    all kernels  wrong: proc.bpf.c:162: `filename` at 16 is `int fd` [other-field]\n"
        "  on_xfs [tp_btf/issue]\n"
        "    5.10, 7.2  depends: the event is of module xfs, which has to be loaded (ENOENT) [module]\n"
        "\n"
        "5.10  1 refused-load, 1 wrong, 1 depends, 1 fine\n"
        "6.1   1 refused-load, 1 wrong, 2 fine\n"
        "6.12  1 refused-load, 1 wrong, 2 fine\n"
        "live  1 wrong, 3 fine\n"
        "7.2   1 wrong, 1 depends, 2 fine\n"
    )


def test_the_worst_is_first_and_kernels_are_in_a_column() -> None:
    found = examined(judgement("5.10", MODULE, PAST_END), judgement("6.1", MODULE))
    lines = report([found], paths("bio.bpf.c")).splitlines()
    assert [line.partition(":")[0] for line in lines[2:4]] == ["    5.10       refused-load", "    5.10, 6.1  depends"]


def test_table_of_several_objects() -> None:
    big = Examined("eb.o", ("s390x",), (judgement("s390x"),))
    fine = Examined("fine.o", KERNELS[:1], (judgement("5.10"),))
    none = Examined("none.o", KERNELS[:2], (), others=1)
    text = report([BIO, big, fine, none], paths())
    assert text.partition("\n\n")[0].splitlines()[-3:] == [
        "eb.o: 1 program at tracepoints: 1 fine", "fine.o: 1 program at tracepoints: 1 fine",
        "none.o: no program at tracepoints; 1 program of other types not looked at",
    ]  # fmt: skip
    assert text.partition("\n\nobject")[2].splitlines() == [
        "         5.10            6.1             6.12            live     7.2      s390x",
        "out/bio.bpf.o  1 refused-load  1 refused-load  1 refused-load  1 wrong  1 wrong  -",
        "eb.o           -               -               -               -        -        fine",
        "fine.o         fine            -               -               -        -        -",
    ]


def test_one_object_on_one_kernel_has_no_table() -> None:
    assert report([Examined("a.o", ("5.10",), (judgement("5.10"),))], paths()) == (
        "a.o: 1 program at tracepoints: 1 fine\n"
    )


def test_notes_are_told_once_and_change_no_verdict() -> None:
    def noted(program: str, kernel: str, *notes: str) -> Judgement:
        return Judgement("a.o", program, "tp_btf", kernel, Verdict.FINE, (), notes)

    found = [noted("p", kernel, "not attached", *(["unknown"] if kernel < "6" else [])) for kernel in KERNELS]
    found += [noted(program, "6.1", "unknown") for program in ("q", "r", "s")]
    text = report([Examined("a.o", KERNELS, tuple(found))], paths())
    assert text.partition("\n\n")[0].splitlines() == [
        "a.o: 4 programs at tracepoints: 4 fine",
        "  note: p: not attached (all kernels)",
        "  note: 4 programs: unknown (5.10, 6.1)",
    ]


def test_findings_that_differ_in_an_address_space_are_one() -> None:
    with_space = MOVED._replace(message="at 24 is `const char __user *filename`")
    without = MOVED._replace(message="at 24 is `const char *filename`")
    (found,) = folded([judgement("5.10", with_space), judgement("live", without)])
    assert (found.kernels, found.finding.message) == (("5.10", "live"), with_space.message)


# --- JSON


def test_json() -> None:
    assert judgement_json(judgement("5.10", PAST_END)) == {
        "object": "out/bio.bpf.o", "program": "on_issue", "section": "tp_btf/issue", "kernel": "5.10",
        "verdict": "refused-load",
        "findings": [{
            "code": "no-argument", "stage": "load", "errno": "EACCES", "slot": 1, "offset": 8, "size": 8,
            "expected": {"name": "rq", "type": "struct request *", "source": "text"}, "actual": None,
            "file": "/build/x/bio.bpf.c", "line": 97,
            "message": "ctx[1] is behind the last of 1 argument; the request is ctx[0]",
        }],
    }  # fmt: skip


def test_json_of_what_is_fine() -> None:
    assert judgement_json(judgement("6.1"))["findings"] == []
    (finding,) = judgement_json(judgement("6.1", MODULE))["findings"]
    assert (finding["expected"], finding["file"], finding["slot"]) == (None, None, None)


# --- paths of sources


def test_paths() -> None:
    here = str(Path.cwd())
    both = ["/build/x/src/a.c", "/build/x/lib/b.c"]
    assert [paths(files=both).shown(file) for file in both] == ["src/a.c", "lib/b.c"]
    assert paths(files=both[:1]).shown(both[0]) == "a.c"
    assert paths(root="/build/", files=both).shown(both[0]) == "x/src/a.c"
    assert paths("src/a.c", files=both).shown(both[0]) == "src/a.c"
    assert paths("src/a.c", files=["../../x/src/a.c"]).shown("../../x/src/a.c") == "src/a.c"
    assert paths(files=[f"{here}/t/c.c"]).shown(f"{here}/t/./c.c") == "t/c.c"
    assert paths().shown("./bio.bpf.c") == "bio.bpf.c"


def test_paths_that_somebody_made_up() -> None:
    asked: list[str] = []
    hostile = SourcePaths(["/" + "a/" * 9999 + "b\0.c"], exists=lambda path: bool(asked.append(path)))
    assert hostile.shown("/" + "a/" * 9999 + "b\0.c") == "b\0.c"
    assert len(asked) < 200
    assert not any("\0" in path or path.startswith(("/", "..")) for path in asked)
    assert paths("/etc/passwd").shown("/etc/passwd") == "/etc/passwd"


# --- annotations


def workflow_commands(examined: Iterable[Examined], shown: SourcePaths) -> str:
    return "".join(map(workflow_command, annotations_of(examined, shown)))


def sarif(examined: Iterable[Examined], shown: SourcePaths) -> dict[str, Any]:
    return sarif_log("tpgen doctor", annotations_of(examined, shown))


def test_github() -> None:
    text = workflow_commands([BIO], paths("src/bio.bpf.c", root="/build/x"))
    assert text.splitlines() == [
        "::error file=bio.bpf.c,line=97,title=on_issue [tp_btf/issue] on 5.10…6.12%3A refused-load [no-argument]"
        "::ctx[1] is behind the last of 1 argument; the request is ctx[0]",
        "::error file=proc.bpf.c,line=162,title=on_exec [tp/sys/exec] on all kernels%3A wrong [other-field]"
        "::`filename` at 16 is `int fd`",
        "::warning file=out/bio.bpf.o,title=on_xfs [tp_btf/issue] on 5.10%2C 7.2%3A depends [module]"
        "::the event is of module xfs, which has to be loaded",
    ]


def test_sarif() -> None:
    log = sarif([BIO], paths(root="/build/x"))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["module", "no-argument", "other-field"]
    first, second, third = run["results"]
    assert (first["ruleId"], first["ruleIndex"], first["level"]) == ("no-argument", 1, "error")
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "bio.bpf.c", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 97},
    }  # fmt: skip
    assert first["properties"]["kernels"] == ["5.10", "6.1", "6.12"]
    assert second["message"]["text"].startswith("on_exec [tp/sys/exec] on all kernels: wrong: `filename` at 16")
    assert third["level"] == "warning"
    assert third["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "out/bio.bpf.o", "uriBaseId": "%SRCROOT%"}
    }


def test_fingerprints_outlast_moves() -> None:
    def prints(*findings: Finding) -> list[str]:
        (run,) = sarif([examined(judgement("5.10", *findings))], paths())["runs"]
        return [result["partialFingerprints"]["tpgenFinding/v1"] for result in run["results"]]

    moved = PAST_END._replace(line=300, message="other words", file="/elsewhere/bio.bpf.c")
    assert prints(PAST_END) == prints(moved)
    assert prints(PAST_END) != prints(MOVED)


# --- hostile text


HOSTILE = "a\nb\r%0A::error::x,y:\x1b[31m\x00\u202e\ud800"


def hostile() -> Examined:
    finding = PAST_END._replace(file=f"/x/{HOSTILE}", message=HOSTILE, hint=HOSTILE, expected=None)
    return Examined(HOSTILE, ("5.10",), (Judgement(HOSTILE, HOSTILE, HOSTILE, "5.10", finding.verdict, (finding,)),))


def test_github_of_hostile_names() -> None:
    text = workflow_commands([hostile()], paths(root="/x"))
    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    assert text.startswith("::error file=a%0Ab%0D%250A%3A%3Aerror%3A%3Ax%2Cy%3A\\x1b[31m")
    properties = text.removeprefix("::error ").partition("::")[0]
    assert [part.partition("=")[0] for part in properties.split(",")] == ["file", "line", "title"]


def test_sarif_of_hostile_names() -> None:
    (result,) = sarif([hostile()], paths(root="/x"))["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert uri.isprintable()
    assert not set(uri) & set(" :\\")


# --- baselines


def baseline(*items: Examined) -> Baseline:
    found = [judgement_json(judgement) for each in items for judgement in each.judgements]
    return Baseline.read(json.dumps(found).encode(), "b.json")


def test_baseline_knows_its_own() -> None:
    left = BIO.beside(baseline(BIO))
    assert {judgement.verdict for judgement in left.judgements} == {Verdict.FINE}
    assert left.known == 3 + 5 + 2
    assert "; 10 findings in the baseline;" in report([left], paths())


SAME: dict[str, dict[str, Any]] = {
    "line": {"line": 1}, "file": {"file": "/elsewhere"}, "words": {"message": "x", "hint": None},
}  # fmt: skip
OTHER: dict[str, dict[str, Any]] = {
    "code": {"code": "part"}, "slot": {"slot": 2}, "offset": {"offset": 16},
    "expected": {"expected": Expected("q", "struct request *", "text")}, "nothing expected": {"expected": None},
}  # fmt: skip


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_known_again(change: dict[str, Any]) -> None:
    known = baseline(examined(judgement("5.10", PAST_END)))
    assert known.new(judgement("5.10", PAST_END._replace(**change))).findings == ()


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_new(change: dict[str, Any]) -> None:
    known = baseline(examined(judgement("5.10", PAST_END)))
    new = PAST_END._replace(**change)
    assert known.new(judgement("5.10", PAST_END, new)).findings == (new,)


def test_new_on_another_kernel_or_in_another_program() -> None:
    known = baseline(examined(judgement("5.10", PAST_END)))
    for other in (judgement("6.1", PAST_END), judgement("5.10", PAST_END, program="p"),
                  judgement("5.10", PAST_END, section="tp_btf/x")):  # fmt: skip
        assert known.new(other) == other


def test_verdict_of_what_is_new() -> None:
    known = baseline(examined(judgement("5.10", PAST_END)))
    assert known.new(judgement("5.10", PAST_END, MODULE)).verdict == Verdict.DEPENDS


def test_objects_are_known_by_their_last_name() -> None:
    """A build has another directory, and an object within a program another place with each change of the program."""
    known = baseline(Examined("", (), (Judgement("old/tool@4096", "p", "tp/a/b", "5.10", Verdict.WRONG, (MOVED,)),)))
    other = Judgement("new/tool@8192", "p", "tp/a/b", "5.10", Verdict.WRONG, (MOVED,))
    assert known.new(other).findings == ()


BROKEN = {
    "empty": b"", "no JSON": b"{", "an object": b'{"a": 1}', "a number": b"1", "null": b"null", "a text": b'"x"',
    "items without findings": b'[{"object": "a"}]', "numbers": b"[1]", "bytes": b"\xff\xfe",
    "a list for a name": b'[{"object": "a", "program": [], "section": "", "kernel": "", "findings": [{"code": "a", '
    b'"slot": 1, "offset": 1, "expected": null}]}]',
    "deep": b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_baselines(data: bytes) -> None:
    with pytest.raises(TpgenError) as raised:
        Baseline.read(data, "b.json")
    assert [diagnostic.code for diagnostic in raised.value.diagnostics] == ["baseline-malformed"]
