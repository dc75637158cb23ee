"""The example examples/off-cpu, built once, on Debian's kernels, beside a process that knows for how long it waited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support import off_cpu
from support.debian import Tree
from support.vm import Answer, Line, boot

pytestmark = [pytest.mark.machines, pytest.mark.build_systems]

# A machine that waits for its host sees time go by of which its clocks tell differently; not in each of so many runs.
_RUNS = 3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The loaders, with all that they need in them."""
    folder = tmp_path_factory.mktemp("loaders")
    options = ("LDFLAGS=-static", f"KERNELS={off_cpu.SHIPPED}")
    return {f"offcpu-{kind}": off_cpu.make(folder, kind, *options).read_bytes() for kind in off_cpu.KINDS}


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_waits(kernel: str, files: dict[str, bytes], report: list[str], tmp_path: Path) -> None:
    tree = Tree(kernel)
    lines = [Line(f"profile /{name}") for name in files for _ in range(_RUNS)]
    run = boot(tree, off_cpu.driver(tmp_path).read_bytes(), lines, tmp_path / "boot", {}, files)
    for name, answers in zip(files, batched(run.answers, _RUNS), strict=True):
        judged = [(off_cpu.judged(answer.text), answer) for answer in answers if answer.stage == "done"]
        right = [(verdict, answer) for verdict, answer in judged if not verdict.wrong and not verdict.missing]
        assert right, [(answer.stage, answer.text) for answer in answers]
        verdict, answer = right[0]
        said = next((line for line in answer.text if line.startswith("said ")), "nothing")
        report.append(
            f"{tree.version} {name}: {verdict.threads} threads and states, {verdict.worst:.2%} off; {said};"
            f" {len(right)} of {_RUNS} runs right"
        )
        has_storage = kernel != "5.10" and name == "offcpu-btf"
        assert said.endswith("the storage of tasks" if has_storage else "a hash by pid")


def batched(answers: Sequence[Answer], count: int) -> Iterator[Sequence[Answer]]:
    return (answers[at : at + count] for at in range(0, len(answers), count))
