"""One object of each kind on headers for several kernels, in these: what its programs see is what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import joined
from support.cli import tpgen
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
    judge(Tree(kernel), made, joined.built(tmp_path), report, tmp_path)


def judge(tree: Tree, made: joined.Programs, init: Path, report: list[str], folder: Path) -> None:
    modules = in_loading_order(tree, [path for path in tree.modules if module_name(path) in _MODULES])
    objects = {f"{kind}.o": path.read_bytes() for kind, path in made.objects.items()}
    lines = [*load_modules(modules), *joined.plan({kind: f"/{kind}.o" for kind in made.objects})]
    run = boot(tree, init.read_bytes(), lines, folder / "boot", modules, objects)
    blob = btf_sections(tree.vmlinuz.read_bytes(), str(tree.vmlinuz)).btf
    verdict = joined.judged(run.answers, made, joined.arguments_in(blob, folder))
    assert verdict.wrong == []
    report += joined.summary(f"{tree.version} ({tree.arch})", verdict)
    assert len(verdict.seen_by_all) >= joined.ENOUGH, verdict.told


@pytest.fixture(scope="module")
def made_for_s390x(libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory) -> joined.Programs:
    """The catalog has 6.12 for s390x; 7.2 is known by its BTF."""
    folder = tmp_path_factory.mktemp("joined-s390x")
    newest = folder / "7.2-s390x.tpgen"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        for words in (
            ("add", "newest", "--btf", Tree("7.2", flavour="s390x").vmlinuz),
            ("export", "newest", "-o", newest),
        ):
            done = tpgen("catalog", *words)
            assert done.code == 0, done.err
    return joined.made(folder, COMPILERS[0], libbpf_include, ("debian-6.12-s390x", str(newest)), "big")


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_values_of_the_other_byte_order(
    kernel: str, made_for_s390x: joined.Programs, report: list[str], tmp_path: Path
) -> None:
    judge(Tree(kernel, flavour="s390x"), made_for_s390x, joined.built_for_s390x(tmp_path), report, tmp_path)
