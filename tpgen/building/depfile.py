"""Side files for the tool that started a build: a depfile, and checksums that change when a generated file does."""

from __future__ import annotations

from tpgen.cache.fingerprint import files_below
from tpgen.paths import installed_directories

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from tpgen.building.manifest import Inputs, Manifest


def depfile(targets: list[str], inputs: Inputs) -> str:
    """The dependencies of the targets, in make's format. Each input is a target too, and so can be removed."""
    trees = {
        **dict.fromkeys(installed_directories(), ""),
        **{tree: suffix for tree, (_, suffix) in inputs.trees.items()},
    }
    files = (path for path, (_, digest) in inputs.files.items() if digest is not None)  # make would wait for others
    paths = [*files, *(path for tree in trees for path in sorted(files_below(tree, suffix=trees[tree])))]
    if "live" in inputs.named_states:
        paths.append("/sys/kernel/notes")
    words = [_escaped(path) for path in dict.fromkeys(paths)]
    head = " ".join(map(_escaped, targets))
    return f"{head}: " + " \\\n  ".join(words) + "\n" + "".join(f"{word}:\n" for word in words)


def _escaped(path: str) -> str:
    """The path as GCC writes it into a depfile, which make and ninja read alike."""
    return path.replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ").replace("\t", "\\\t")


def checksums(manifest: Manifest) -> str:
    """The checksums of the generated files, a line for each, as sha256sum writes it."""
    return "".join(f"{made.digests[0]}  {name}\n" for name, made in sorted(manifest.outputs.items()))
