"""One object of each kind on headers for five kernels, in four of these: what its programs see is what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import joined
from support.compilers import COMPILERS
from support.debian import Tree
from support.vm import boot, in_loading_order, load_modules, module_name

from tpgen.sources.images import btf_sections

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

# The disk of a machine.
_MODULES = ("null_blk",)


@pytest.fixture(scope="module")
def made(libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory) -> joined.Programs:
    return joined.made(tmp_path_factory.mktemp("joined"), COMPILERS[0], libbpf_include)


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_values(kernel: str, made: joined.Programs, report: list[str], tmp_path: Path) -> None:
    tree = Tree(kernel)
    modules = in_loading_order(tree, [path for path in tree.modules if module_name(path) in _MODULES])
    objects = {f"{kind}.o": path.read_bytes() for kind, path in made.objects.items()}
    lines = [*load_modules(modules), *joined.plan({kind: f"/{kind}.o" for kind in made.objects})]
    init = joined.built(tmp_path).read_bytes()
    run = boot(tree, init, lines, tmp_path / "boot", modules, objects)
    blob = btf_sections(tree.vmlinuz.read_bytes(), str(tree.vmlinuz)).btf
    verdict = joined.judged(run.answers, made, joined.arguments_in(blob, tmp_path))
    assert verdict.wrong == []
    report += joined.summary(tree.version, verdict)
    assert len(verdict.seen_by_all) >= joined.ENOUGH, verdict.told
