"""Pages rendered: each as HTML, and the JSON beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tpgen.atlas.code import Code
from tpgen.atlas.event_page import event_page
from tpgen.atlas.facts import Entry, Kernel
from tpgen.atlas.paths import beside, fragment, path_of, root_of
from tpgen.backends.templates import PageTemplates
from tpgen.diagnostics import printable_json
from tpgen.diff.render import change_line
from tpgen.history.render import event_json
from tpgen.programs.sections import sections_of
from tpgen.show import KINDS
from tpgen.show import event_json as show_json

#: The version of the JSON beside the pages: templates/atlas/atlas.schema.json has its schema.
JSON_VERSION = 1
# What a search engine shows of a description.
_DESCRIBED = 300
# debian-6.12 of debian-6.12-rt-amd64, and what is left.
_FAMILY = re.compile(r"(.*?[a-z]-[0-9][0-9.]*)-(.+)")


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


class Family(NamedTuple):
    """Kernels whose names begin with `name`, each with the rest of its own, which is empty where there is none."""

    name: str
    members: tuple[tuple[str, KernelLink], ...]


class Pages:
    """Renders the pages of an atlas of these kernels. With a `base_url` each names its address."""

    def __init__(self, kernels: Sequence[Kernel], base_url: str | None = None) -> None:
        self.kernels = tuple(kernels)
        self.links = tuple(map(_link, kernels))
        self._by_name = {link.name: link for link in self.links}
        self._targets = {kernel.name: kernel.target for kernel in kernels}
        self._spans: dict[tuple[int, ...], str] = {}
        self._family_sizes = {each.name: len(each.members) for each in self.families(self._by_name)}
        self._base_url = base_url
        self._templates = PageTemplates(
            "atlas", {"spans": self.spans, "families": self.families}, {"module_path": _module_path}
        )

    def html(
        self, path: str, template: str, section: str, description: str, values: Mapping[str, object], has_json: bool
    ) -> bytes:
        """The page at `path`; `values` are what its template prints."""
        known = {
            "root": root_of(path), "path": path, "section": section,
            "json": beside(path).rpartition("/")[2] if has_json else None,
            "description": description if len(description) <= _DESCRIBED else f"{description[: _DESCRIBED - 1]}…",
            "canonical": None if self._base_url is None else f"{self._base_url}{path}",
        }  # fmt: skip
        return self._templates.render(template, {**known, **values}).encode("utf-8", "backslashreplace")

    def page(
        self, path: str, template: str, section: str, description: str, document: dict[str, Any], **values: object
    ) -> Iterator[File]:
        """The page at `path`, and the JSON beside it."""
        yield File(path, self.html(path, template, section, description, values, True))
        yield File(beside(path), document_bytes(template.replace("_", "-"), document))

    def spans(self, numbers: Sequence[int]) -> str:
        """The kernels of these numbers in words: all, all but a few, or which."""
        key = tuple(numbers)
        if key not in self._spans:
            names = [self.kernels[number].name for number in numbers]
            without = [kernel.name for kernel in self.kernels if kernel.number not in numbers]
            having, lacking = self._in_words(names), f"all but {self._in_words(without)}"
            self._spans[key] = "all" if not without else min(having, lacking, key=len)
        return self._spans[key]

    def _in_words(self, names: Sequence[str]) -> str:
        """The kernels of these names, of a family of which all are meant its name alone."""
        words = []
        for family in self.families(names):
            rests = [rest for rest, _ in family.members if rest]
            is_whole = len(family.members) == self._family_sizes[family.name]
            words.append(family.name if is_whole or not rests else f"{family.name} ({', '.join(rests)})")
        return ", ".join(words)

    def event(self, entry: Entry, codes: Sequence[Code]) -> Iterator[File]:
        """The page of an event."""
        event, history = entry.newest.event, entry.history
        modules = sorted({known.module for known in history.known_as if known.module is not None})
        yield from self.page(
            entry.path, "event", "events", _about(entry), self._document(entry),
            page=event_page(entry, self.kernels), event=event, history=history, kind=KINDS[event.kind],
            system_path=None if event.system is None else path_of("system", event.system), modules=modules,
            number=", ".join(f"{number} on {arch}" for arch, number in entry.call_numbers.items()),
            codes=list(self._codes(codes)),
            breaks=[(each.steps, [change_line(change) for change in each.changes]) for each in history.breaks],
        )  # fmt: skip

    def families(self, names: Iterable[str]) -> list[Family]:
        """The kernels of these names, those together of which the names begin alike up to a number: debian-6.12."""
        found: dict[str, list[tuple[str, KernelLink]]] = {}
        for name in names:
            head, rest = parts.groups() if (parts := _FAMILY.fullmatch(name)) else (name, "")
            found.setdefault(head, []).append((rest, self._by_name[name]))
        return [Family(head, tuple(members)) for head, members in found.items()]

    def _document(self, entry: Entry) -> dict[str, Any]:
        """The JSON beside the page of an event: its history, and what the newest kernel tells besides."""
        event = entry.newest.event
        return {
            "history": event_json(entry.history, self._targets),
            "newest": show_json(event, entry.newest.kernel.target, entry.newest.symbols),
            "sections": [section.name for section in sections_of(event)],
        }

    def _codes(self, codes: Sequence[Code]) -> Iterator[dict[str, object]]:
        counts: dict[str, int] = {}
        for code in codes:
            counts[code.backend] = number = counts.get(code.backend, 0) + 1
            yield {
                "language": code.language, "text": code.text, "file": code.name,
                "id": f"code-{code.backend}" if number == 1 else f"code-{code.backend}-{number}",
                "kernels": [self.links[kernel.number] for kernel in code.kernels], "includes": code.includes,
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


def _about(entry: Entry) -> str:
    """The line that a search engine shows."""
    event, history = entry.newest.event, entry.history
    versions = max(len(history.raw.groups), len(history.classic.groups))
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
