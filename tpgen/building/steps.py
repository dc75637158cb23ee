"""The steps of a build that has something to do: render, compare, write, remove, store the manifest."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tpgen.backends.base import OptionValue
from tpgen.backends.generation import CheckFailed, Generated, GenerateRequest
from tpgen.backends.joining import generate_for
from tpgen.backends.registry import Loaded, find
from tpgen.building.config import Generate, NamedKernel
from tpgen.building.manifest import Inputs, Manifest, Output, dump, load, reliable_stamp
from tpgen.cache.fingerprint import digest
from tpgen.diagnostics import Diagnostic, Position, Severity, TpgenError, fail
from tpgen.kernel.events import KernelEvents, split_pattern
from tpgen.opening import apart
from tpgen.output import Inside, is_inside, write_files
from tpgen.variants.select import select_keys

#: Opens the kernels that a word in tpgen.toml means, each with a name if it has one there; those of the command line
#: without a word.
Opener = Callable[["NamedKernel | None"], Sequence[tuple["str | None", KernelEvents]]]


@dataclass(slots=True)
class Written:
    """The files by what became of them, with notes about them."""

    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)


@dataclass(slots=True)
class Rendered:
    """The files that are wanted, by their names below the directory of the build, and notes about them.

    `included` are the names of those that others include: several of a project may make the same. `refused` are the
    findings about events that therefore have no files, each once.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    included: set[str] = field(default_factory=set)
    notes: list[Diagnostic] = field(default_factory=list)
    refused: list[Diagnostic] = field(default_factory=list)


# --- render


def render(wanted: list[Generate], open_kernels: Opener, inputs: Inputs, manifest: str) -> Rendered:
    """Render the files; none of them may be the `manifest`. Files that are read are added to `inputs` first.

    Raises `TpgenError`, with a position in tpgen.toml if the mistake can be there.
    """
    rendered = Rendered()
    owners: dict[str, Generate] = {}
    for each in wanted:
        renderer = _backend(each)
        if not renderer.plugin.built_in:
            _add_plugin(renderer, inputs)
        generated = _generated(each, renderer, open_kernels)
        rendered.notes += generated.notes
        rendered.refused += (finding for finding in generated.refused if finding not in rendered.refused)
        for name, content, is_included in _named(each, generated):
            if not is_inside(name) or name == manifest:
                raise fail("toml-value", f"{name} cannot be a generated file", each.where("file", each.file))
            if name in owners and not (name in rendered.included and rendered.files[name] == content):
                other = owners[name].line
                raise fail(
                    "same-name", f"{name} is also made by the [[generate]] of line {other}", each.where("events")
                )
            owners[name], rendered.files[name] = each, content
            if is_included:
                rendered.included.add(name)
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


def _generated(each: Generate, renderer: Loaded, open_kernels: Opener) -> Generated:
    with _at(each.where("options")):
        options = renderer.options(each.options)
    if each.members:
        return _of_members(each, options)
    kernels = _opened(each, open_kernels)
    for pattern in each.events:
        with _at(each.where("events", pattern)):
            split_pattern(pattern)
    request = GenerateRequest(each.events, each.module, each.forms, options, in_directory=each.file is None)
    try:
        if each.values:
            from tpgen.backends.bpf.named_events import names_generated

            return names_generated(kernels, request)
        return generate_for(renderer, kernels, request, partial=True)
    except CheckFailed as failed:
        return Generated(iter(()), [], 0, 0, list(failed.diagnostics))
    except TpgenError as error:
        for pattern in each.events:  # whose fault is it?
            with _at(each.where("events", pattern)):
                select_keys(kernels, [pattern], each.module)
        if each.values and {diagnostic.code for diagnostic in error.diagnostics} == {"no-names"}:
            with _at(each.where("values")):
                raise
        if len(kernels) > 1 and each.kernels and {diagnostic.code for diagnostic in error.diagnostics} == {"usage"}:
            with _at(each.kernels[0].position):  # what cannot be joined
                raise
        raise


def _of_members(each: Generate, options: Mapping[str, OptionValue]) -> Generated:
    """The headers of members, which no kernel is opened for."""
    from tpgen.backends.bpf.member import member_headers, parsed
    from tpgen.backends.bpf.prelude import OPTION

    for member in each.members:
        with _at(each.where("members", member)):
            parsed(member)
    headers = member_headers(each.members, options[OPTION.name], in_directory=each.file is None)
    count = sum(not header.is_included for header in headers)
    return Generated(iter(headers), [], count, count, [])


def _opened(each: Generate, open_kernels: Opener) -> Mapping[str, KernelEvents]:
    """The kernels of a `[[generate]]` by their names."""
    opened: list[tuple[str | None, KernelEvents]] = []
    for named in each.kernels or (None,):
        with _at(named.position if named else each.where("kernel")), _hinted(named.hint if named else ""):
            opened += open_kernels(named)
    return apart(opened)


@contextlib.contextmanager
def _hinted(hint: str) -> Iterator[None]:
    """Give `unknown-kernel` raised in this block the hint, if there is one."""
    try:
        yield
    except TpgenError as error:
        unknown = (hint and diagnostic.code == "unknown-kernel" for diagnostic in error.diagnostics)
        hinted = (d._replace(hint=hint) if u else d for d, u in zip(error.diagnostics, unknown, strict=True))
        raise TpgenError(*hinted) from None


@contextlib.contextmanager
def _at(position: Position) -> Iterator[None]:
    """Give diagnostics raised in this block `position` if they have none."""
    try:
        yield
    except TpgenError as error:
        placed = (d if d.position else d._replace(position=position) for d in error.diagnostics)
        raise TpgenError(*placed) from None


def _named(each: Generate, generated: Generated) -> Iterator[tuple[str, bytes, bool]]:
    """The files by their names below the directory of the build, and whether others include them."""
    if each.file is None:
        for file in generated.files:
            yield os.path.normpath(os.path.join(each.directory, file.name)), file.data, file.is_included
        return
    files = list(generated.files)
    if not files and generated.refused:
        return
    bytes_among = any(isinstance(file.content, bytes) for file in files)
    if len(files) != 1 and (generated.events > 1 or bytes_among or not files):
        message = f"{len(files)} files are made, and they cannot all be {each.file}"
        raise fail("toml-value", message, each.where("file", each.file), "give a directory")
    if included := next((file.name for file in files if file.is_included), None):
        message = f"{included} is a file that others include, which cannot be in the one file {each.file}"
        raise fail("toml-value", message, each.where("file", each.file), "give a directory")
    yield each.file, b"\n".join(file.data for file in files), False


# --- compare


def differences(home: Inside, name: str, wanted: Mapping[str, bytes], manifest: Manifest) -> Iterator[str]:
    """Yield a unified diff from the files on disk to the wanted ones; nothing where they are the same.

    `name` is that of the manifest in `home`.
    """
    for file, content in sorted(wanted.items()):
        yield from _difference(file, home.read(file), content)
    for file in _ours(home, name, manifest, wanted):
        if _as_made(home, file, manifest):
            yield from _difference(file, home.read(file), None)


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


def _ours(home: Inside, name: str, manifest: Manifest, wanted: Mapping[str, bytes]) -> list[str]:
    """The outputs of the last build that are no longer asked for, if this user certainly made them.

    What is of another build in the same directory as well, of which there is a manifest, stays for it.
    """
    gone = set(manifest.outputs) - set(wanted) if manifest.trusted else set()
    for other in os.listdir(home.root) if gone else ():
        if other != name and other.startswith(".") and other.endswith(".manifest"):
            gone -= set(load(os.path.join(home.root, other)).outputs)
    return sorted(gone)


def _as_made(home: Inside, name: str, manifest: Manifest) -> bool | None:
    """Whether a file is as the build made it; None where it does not exist, or is not an output of this build."""
    if name not in manifest.outputs or (content := home.read(name)) is None:
        return None
    return digest(content).hex() in manifest.outputs[name].digests


# --- write


def write(
    home: Inside,
    manifest: str,
    wanted: Mapping[str, bytes],
    old: Manifest,
    inputs: Inputs,
    adopt: bool,
    complete: bool = True,
) -> Written:
    """Write the wanted files into `home`, and the manifest of that name.

    Where they are not `complete`, the next build has something to do. A file is ours if the old manifest knows it, if
    it is what is wanted already, or with `adopt`. Raises `foreign-file` for any other that is in the way. Whenever this
    is interrupted, the manifest on disk lists every file that may be ours, and does not count as complete.
    """
    if not adopt:
        _refuse_foreign(home, wanted, old)
    notes = _edited(home, wanted, old) if old.trusted else _left(home, wanted, old)
    gone = [name for name in _ours(home, manifest, old, wanted) if _as_made(home, name, old)]
    digests = {name: digest(content).hex() for name, content in wanted.items()}
    # What is signed must be ours: of a hint nothing goes on.
    between = dict(old.outputs) if old.trusted else {}
    for name, new in digests.items():
        between[name] = Output([*between[name].digests, new] if name in between else [new])
    write_files(home, [(manifest, dump(Manifest(inputs, between)))])
    changed = set(write_files(home, wanted.items()))
    for name in gone:
        home.remove(name)
    made = {name: Output([new], reliable_stamp(os.path.join(home.root, name))) for name, new in digests.items()}
    write_files(home, [(manifest, dump(Manifest(inputs, made, complete)))])
    written = Written(removed=gone, notes=notes)
    for name in wanted:
        (written.changed if os.path.join(home.root, name) in changed else written.unchanged).append(name)
    return written


def _refuse_foreign(home: Inside, wanted: Mapping[str, bytes], old: Manifest) -> None:
    foreign = [
        Diagnostic(
            "foreign-file", "this file exists, and this build did not write it", _position(home, name),
            "remove it, or overwrite it with --adopt",
        )
        for name, content in sorted(wanted.items())
        if not (old.trusted and name in old.outputs)
        and home.exists(name)
        and home.read(name) != content
        and not _as_made(home, name, old)
    ]  # fmt: skip
    if foreign:
        raise TpgenError(*foreign)


def _position(home: Inside, name: str) -> Position:
    return Position(os.path.normpath(os.path.join(home.root, name)))


def _edited(home: Inside, wanted: Mapping[str, bytes], old: Manifest) -> list[Diagnostic]:
    """Notes on the files that somebody else wrote to since the last build."""
    notes = []
    for name in old.outputs:
        if _as_made(home, name, old) is False and (name not in wanted or home.read(name) != wanted[name]):
            fate = "it is written anew" if name in wanted else "it is no longer asked for, and was left where it is"
            message = f"edited since it was written: {fate}"
            notes.append(Diagnostic("edited-file", message, _position(home, name), severity=Severity.NOTE))
    return notes


def _left(home: Inside, wanted: Mapping[str, bytes], old: Manifest) -> list[Diagnostic]:
    """A note on the outputs that a manifest of somebody else's has, and nobody wants, where there are any."""
    left = [
        name for name in sorted(old.outputs) if name not in wanted and is_inside(name) and home.read(name) is not None
    ]
    if not left:
        return []
    message = f"{left[0]} and {len(left) - 1} more files are" if len(left) > 1 else f"{left[0]} is"
    message = f"{message} no longer asked for, and left: this user did not write the manifest on this machine"
    return [Diagnostic("foreign-manifest", message, Position(os.path.normpath(home.root)), severity=Severity.NOTE)]
