"""Pages rendered: each as HTML, and the JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tpgen.atlas.code import Code
from tpgen.atlas.event_page import event_document, event_page
from tpgen.atlas.facts import Entry, Kernel
from tpgen.atlas.paths import beside, fragment, path_of, root_of
from tpgen.backends.templates import PageTemplates
from tpgen.diagnostics import printable_json
from tpgen.model import Event
from tpgen.show import KINDS

#: The version of the JSON beside the pages: templates/atlas/atlas.schema.json has its schema.
JSON_VERSION = 1
# What a search engine shows of a description.
_DESCRIBED = 300


class File(NamedTuple):
    """A file of the site: its path below the root, and its bytes."""

    path: str
    data: bytes


class KernelLink(NamedTuple):
    """A kernel where a page links to it; `id` is that of its place in the page of an event."""

    name: str
    path: str
    id: str
    release: str | None
    arch: str
    bits: int
    big_endian: bool
    events: int


class Pages:
    """Renders the pages of an atlas of these kernels. With a `base_url` each names its address."""

    def __init__(self, kernels: Sequence[Kernel], base_url: str | None = None) -> None:
        self.kernels = tuple(kernels)
        self.links = tuple(map(_link, kernels))
        self._base_url = base_url
        self._templates = PageTemplates("atlas", {"spans": self.spans}, {"module_path": _module_path})

    def html(
        self, path: str, template: str, section: str, description: str, values: Mapping[str, object], has_json: bool
    ) -> bytes:
        """The page at `path`; `values` are what its template prints."""
        known = {
            "root": root_of(path), "section": section, "json": beside(path).rpartition("/")[2] if has_json else None,
            "description": description if len(description) <= _DESCRIBED else f"{description[: _DESCRIBED - 1]}…",
            "canonical": None if self._base_url is None else f"{self._base_url}{path}",
        }  # fmt: skip
        return self._templates.render(template, {**known, **values}).encode("utf-8", "backslashreplace")

    def page(
        self, path: str, template: str, section: str, description: str, document: dict[str, Any], **values: object
    ) -> Iterator[File]:
        """The page at `path`, and the JSON beside it."""
        yield File(path, self.html(path, template, section, description, values, True))
        yield File(beside(path), document_bytes(section, document))

    def spans(self, numbers: Sequence[int]) -> str:
        """The kernels of these numbers in words: all, all but a few, or their names."""
        if len(numbers) == len(self.kernels):
            return "all"
        without = [kernel.name for kernel in self.kernels if kernel.number not in numbers]
        if len(without) < len(numbers):
            return f"all but {', '.join(without)}"
        return ", ".join(self.kernels[number].name for number in numbers)

    def event(self, entry: Entry, codes: Sequence[Code]) -> Iterator[File]:
        """The page of an event."""
        page = event_page(entry, codes)
        event = entry.newest.event
        versions = tuple(
            view._replace(kernels=tuple(self.links[kernel.number] for kernel in view.kernels))  # type: ignore[misc]
            for view in page.versions
        )
        members = [member for version in entry.versions for member in version.members]
        modules = sorted({member.event.module for member in members if member.event.module is not None})
        calls = {
            f"{member.event.syscall.number} on {member.kernel.target.arch}"
            for member in members
            if member.event.syscall is not None and member.event.syscall.number is not None
        }
        yield from self.page(
            entry.path, "event", "events", _about(event, len(entry.versions)), event_document(entry),
            page=page._replace(versions=versions), event=event, kind=KINDS[event.kind], modules=modules,
            system_path=None if event.system is None else path_of("system", event.system),
            number=", ".join(sorted(calls)), present=self._present(entry), codes=list(self._codes(codes)),
        )  # fmt: skip

    def _present(self, entry: Entry) -> str:
        """Since when and until when the event is there, as far as these kernels tell."""
        numbers = [member.kernel.number for version in entry.versions for member in version.members]
        return self.spans(sorted(numbers))

    def _codes(self, codes: Sequence[Code]) -> Iterator[dict[str, object]]:
        counts: dict[str, int] = {}
        for code in codes:
            counts[code.backend] = number = counts.get(code.backend, 0) + 1
            yield {
                "language": code.language, "text": code.text, "file": code.name,
                "id": f"code-{code.backend}" if number == 1 else f"code-{code.backend}-{number}",
                "about": ", ".join(kernel.name for kernel in code.kernels),
            }  # fmt: skip


def document_bytes(kind: str, document: dict[str, Any]) -> bytes:
    """A document as JSON, in the version that its schema is about."""
    text = _ENCODE({"version": JSON_VERSION, "kind": kind, **document})
    return f"{printable_json(text)}\n".encode()


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _link(kernel: Kernel) -> KernelLink:
    target = kernel.target
    return KernelLink(
        kernel.name, path_of("kernel", kernel.name), fragment("kernel", kernel.name), kernel.release, target.arch,
        target.pointer_size * 8, target.big_endian, kernel.events,
    )  # fmt: skip


def _module_path(name: str) -> str:
    return path_of("module", name)


def _about(event: Event, versions: int) -> str:
    """The line that a search engine shows."""
    names = [arg.name or f"arg{arg.slot}" for arg in event.args or ()]
    fields = [field.name for field in event.record.fields] if event.record else []
    parts = [f"The {KINDS[event.kind]} {event.title} of Linux"]
    if names:
        parts.append(f"arguments {', '.join(names)}")
    if fields:
        parts.append(f"fields {', '.join(fields)}")
    if versions > 1:
        parts.append(f"{versions} versions by kernel")
    return "; ".join(parts)
