"""One object of each kind on headers for five kernels, on the running one: what programs see is what is recorded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import joined
from support.compilers import COMPILERS
from support.live import VMLINUX_BTF
from support.vm import answers_in

pytestmark = [pytest.mark.live, pytest.mark.compilers]


def test_values(libbpf_include: Path, report: list[str], tmp_path: Path) -> None:
    made = joined.made(tmp_path, COMPILERS[0], libbpf_include)
    lines = joined.plan({kind: str(path) for kind, path in made.objects.items()})
    text = "".join(f"{line.text}\n" for line in lines)
    done = subprocess.run(
        (joined.built(tmp_path, static=False),), input=text, capture_output=True, text=True, check=True, timeout=300
    )
    answers = list(answers_in(lines, done.stdout))
    assert len(answers) == len(lines), done.stdout[-2000:]
    verdict = joined.judged(answers, made, joined.arguments_in(VMLINUX_BTF.read_bytes(), tmp_path))
    assert verdict.wrong == []
    report += joined.summary("the running kernel", verdict)
    assert len(verdict.seen_by_all) >= joined.ENOUGH, verdict.told
