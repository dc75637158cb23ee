"""The steps of a build that has something to do: render, compare, write, remove, store the manifest."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tpgen.backends.generation import Generated, GenerateRequest, generate
from tpgen.backends.registry import Loaded, find
from tpgen.building.config import Generate
from tpgen.building.manifest import Inputs, Manifest, Output, dump, reliable_stamp
from tpgen.cache.fingerprint import digest
from tpgen.diagnostics import Diagnostic, Position, Severity, TpgenError, fail
from tpgen.kernel.events import KernelEvents, split_pattern
from tpgen.kernel.request import KernelRequest
from tpgen.output import write_files

#: Opens the kernel of a `[[generate]]`: by name, from files, or what the command line means.
Opener = Callable[["str | KernelRequest | None"], KernelEvents]


@dataclass(slots=True)
class Rendered:
    """The files that are wanted, by their names below the directory of the build, and notes about them."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[Diagnostic] = field(default_factory=list)


# --- render


def render(wanted: list[Generate], open_kernel: Opener, inputs: Inputs) -> Rendered:
    """Render the files that are wanted. Their dependencies are added to `inputs` before they are read.

    Raises `TpgenError`, with a position in tpgen.toml where the mistake can be there.
    """
    rendered = Rendered()
    owners: dict[str, Generate] = {}
    for each in wanted:
        renderer = _backend(each)
        if not renderer.plugin.built_in:
            _add_plugin(renderer, inputs)
        generated = _generated(each, renderer, open_kernel)
        rendered.notes += generated.notes
        for name, content in _named(each, generated):
            if name in owners:
                other = owners[name].line
                raise fail(
                    "same-name", f"{name} is also made by the [[generate]] of line {other}", each.where("events")
                )
            owners[name], rendered.files[name] = each, content
    return rendered


def _backend(each: Generate) -> Loaded:
    with _at(each.where("backend", each.backend)):
        renderer = find(each.backend)
    return renderer


def _add_plugin(renderer: Loaded, inputs: Inputs) -> None:
    """Add a third party's backend to the dependencies: the package that it is in, or its module."""
    module = sys.modules[renderer.plugin.value.partition(":")[0].partition(".")[0]]
    for directory in getattr(module, "__path__", ()):
        inputs.add_tree(os.path.abspath(directory))
    if not hasattr(module, "__path__") and module.__file__:
        inputs.add_file(os.path.abspath(module.__file__))


def _generated(each: Generate, renderer: Loaded, open_kernel: Opener) -> Generated:
    with _at(each.where("options")):
        options = renderer.options(each.options)
    with _at(each.where("kernel", each.kernel if isinstance(each.kernel, str) else None)):
        kernel = open_kernel(each.kernel)
    for pattern in each.events:
        with _at(each.where("events", pattern)):
            split_pattern(pattern)
    request = GenerateRequest(each.events, each.module, each.forms, options)
    try:
        return generate(renderer, kernel, request)
    except TpgenError:
        for pattern in each.events:  # whose fault is it?
            with _at(each.where("events", pattern)):
                kernel.select(pattern, each.module)
        raise


@contextlib.contextmanager
def _at(position: Position) -> Iterator[None]:
    """Give diagnostics raised in this block `position` if they have none."""
    try:
        yield
    except TpgenError as error:
        placed = (d if d.position else d._replace(position=position) for d in error.diagnostics)
        raise TpgenError(*placed) from None


def _named(each: Generate, generated: Generated) -> Iterator[tuple[str, bytes]]:
    if each.file is None:
        for file in generated.files:
            yield os.path.normpath(os.path.join(each.directory, file.name)), file.data
        return
    files = list(generated.files)
    bytes_among = any(isinstance(file.content, bytes) for file in files)
    if len(files) != 1 and (generated.events > 1 or bytes_among or not files):
        message = f"{len(files)} files are made, which cannot be the one file {each.file}"
        raise fail("toml-value", message, each.where("file", each.file), "give a directory")
    yield each.file, b"\n".join(file.data for file in files)


# --- compare


def differences(root: str, wanted: Mapping[str, bytes], manifest: Manifest) -> Iterator[str]:
    """Yield a unified diff from the files on disk to the wanted ones; nothing where they are the same."""
    for name, content in sorted(wanted.items()):
        yield from _difference(name, _read(os.path.join(root, name)), content)
    for name in sorted(set(manifest.outputs) - set(wanted)):
        if manifest.made(root, name):
            yield from _difference(name, _read(os.path.join(root, name)), None)


def _difference(name: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    if old == new:
        return
    before, after = ("/dev/null" if side is None else f"{mark}/{name}" for mark, side in (("a", old), ("b", new)))
    try:
        ours, theirs = ((side or b"").decode().splitlines(keepends=True) for side in (old, new))
    except UnicodeDecodeError:
        yield f"Binary files {before} and {after} differ\n"
        return
    for line in difflib.unified_diff(ours, theirs, before, after):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


# --- write


def write(
    root: str, path: str, wanted: Mapping[str, bytes], old: Manifest, inputs: Inputs, adopt: bool
) -> list[Diagnostic]:
    """Write the wanted files below `root`, and the manifest at `path`. Returns notes.

    A file is ours if the old manifest knows it, if it is what is wanted already, or with `adopt`. Raises `foreign-file`
    for any other that is in the way. Whenever this is interrupted, the manifest on disk lists every file that may be
    ours, and does not count as complete.
    """
    if not adopt:
        _refuse_foreign(root, wanted, old)
    notes = _edited(root, wanted, old)
    gone = [name for name in old.outputs if name not in wanted and old.made(root, name)]
    digests = {name: digest(content).hex() for name, content in wanted.items()}
    between = dict(old.outputs)
    for name, new in digests.items():
        between[name] = Output([*between[name].digests, new] if name in between else [new])
    manifest = os.path.basename(path)
    write_files(root, [(manifest, dump(Manifest(inputs, between)))])
    write_files(root, wanted.items())
    for name in gone:
        _remove(root, name)
    made = {name: Output([new], reliable_stamp(os.path.join(root, name))) for name, new in digests.items()}
    write_files(root, [(manifest, dump(Manifest(inputs, made, complete=True)))])
    return notes


def _refuse_foreign(root: str, wanted: Mapping[str, bytes], old: Manifest) -> None:
    foreign = [
        Diagnostic(
            "foreign-file", "there is such a file that this build did not write", Position(os.path.normpath(path)), hint
        )
        for name, content in sorted(wanted.items())
        for path, hint in [(os.path.join(root, name), "remove it, or overwrite it with --adopt")]
        if name not in old.outputs and os.path.lexists(path) and _read(path) != content
    ]
    if foreign:
        raise TpgenError(*foreign)


def _edited(root: str, wanted: Mapping[str, bytes], old: Manifest) -> list[Diagnostic]:
    """Notes on the files that somebody else wrote to since the last build."""
    notes = []
    for name in old.outputs:
        path = os.path.join(root, name)
        if old.made(root, name) is False and (name not in wanted or _read(path) != wanted[name]):
            fate = "it is written anew" if name in wanted else "it is no longer wanted, and left where it is"
            message = f"edited since it was written: {fate}"
            notes.append(Diagnostic("edited-file", message, Position(os.path.normpath(path)), severity=Severity.NOTE))
    return notes


def _remove(root: str, name: str) -> None:
    """Remove a file, and the directories below `root` that are empty then."""
    try:
        os.unlink(os.path.join(root, name))
    except FileNotFoundError:
        return
    except OSError as error:
        raise fail("unwritable", f"cannot remove: {error.strerror or error}", os.path.join(root, name)) from None
    while (name := os.path.dirname(name)) not in ("", os.pardir):
        try:
            os.rmdir(os.path.join(root, name))
        except OSError:
            return
