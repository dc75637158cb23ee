"""A tpgen backend that describes tracepoints in Markdown: a section for each event, a table for each form."""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.backends.base import Form, GeneratedFile, Job, Option, Request
from tpgen.model import Event, Record
from tpgen.spelling import spell


class MarkdownBackend:
    """Makes one file, however many events there are."""

    api = 1
    description = "Markdown: a table of the raw arguments and of the record's fields, in one file"
    forms = (Form.RAW, Form.CLASSIC)
    options = (
        Option("level", "level of the headings, 1 to 6", 1),
        Option("offsets", "where each field lies", True),
    )
    several_kernels = False

    def render(self, job: Job) -> list[GeneratedFile]:
        level, offsets = int(job.options["level"]), bool(job.options["offsets"])
        lines: list[str] = []
        told: Event | None = None
        for request in job.kernel.requests:
            if request.event is not told:
                told = request.event
                lines += ["#" * level + f" {told.title}", ""]
            lines += [*_table(request, offsets), ""]
        return [GeneratedFile("tracepoints.md", "\n".join(lines))]


def _table(request: Request, offsets: bool) -> Iterator[str]:
    """The lines of a table. A request is only made for a form that is there, with everything about it known."""
    match request.form:
        case Form.RAW:
            assert request.event.args is not None
            yield from ("| slot | raw argument |", "| ---: | --- |")
            for arg in request.event.args:
                yield f"| {arg.slot} | `{spell(arg.type, arg.name or '')}` |"
        case Form.CLASSIC:
            assert request.event.record is not None
            yield from _record(request.event.record, offsets)


def _record(record: Record, offsets: bool) -> Iterator[str]:
    yield from ("| offset | field |", "| ---: | --- |") if offsets else ("| field |", "| --- |")
    for field in record.fields:
        where = f"| {field.offset_bytes} " if offsets else ""
        declaration = spell(field.type, field.name) if field.type else field.name
        yield f"{where}| `{declaration}{'[]' if field.dynamic else ''}` |"
