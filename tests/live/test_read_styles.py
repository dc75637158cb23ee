"""The verifier takes a `_read` accessor however a program says how much room it has.

What it must prove is that the count passed to the helper fits the buffer. It follows registers, not C: a bound that the
compiler tests on one register and uses on another is lost, and which it does depends on everything around the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.compilers import Compiler
from support.headers import write_header
from support.libbpf import BpfObject

pytestmark = [pytest.mark.live, pytest.mark.compilers]


@dataclass(frozen=True, slots=True)
class Field:
    """A field that is read by copying."""

    system: str
    event: str
    name: str

    def __str__(self) -> str:
        return f"{self.event}.{self.name}"


# A dynamic string, a string in place, a dynamic array of bytes and one of u64, bytes in place.
FIELDS = (
    Field("sched", "sched_process_exec", "filename"),
    Field("sched", "sched_switch", "prev_comm"),
    Field("ras", "non_standard_event", "buf"),
    Field("dma", "dma_map_sg", "phys_addrs"),
    Field("tcp", "tcp_probe", "saddr"),
)
# READ(buffer, size) is the accessor, `out` a global of 512 bytes, `room` a global that holds a size.
STYLES = {
    "nothing": "READ(out, 0);",
    "one_byte": "READ(out, 1);",
    "short_buffer": "READ(out, 16);",
    "long_buffer": "READ(out, 256);",
    "on_the_stack": "char text[64]; READ(text, sizeof(text)); out[0] = text[0];",
    "twice": "READ(out, 16); READ(out + 16, 200);",
    "one_after_the_other": "READ(out, 100); if (result < 0 || result > 100) return 0; READ(out + result, 100);",
    "tested_size": "__u32 size = room; if (size > sizeof(out)) return 0; READ(out, size);",
    "tested_signed_size": "int size = room; if (size < 0 || size > 256) return 0; READ(out, size);",
    "masked_size": "READ(out, room & 127);",
    "in_a_loop": "for (int i = 0; i < 4; i++) { READ(out + 64 * i, 64); }",
}
PROLOGUE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
char out[512];
__u32 room;
char LICENSE[] SEC("license") = "GPL";
"""


def program(field: Field, style: str) -> str:
    """The name of the program that reads `field` in this style."""
    return f"{style}_{FIELDS.index(field)}"


def source() -> str:
    """A program for every field and style."""
    text = [PROLOGUE, *(f'#include "tp_{event}.h"\n' for event in dict.fromkeys(field.event for field in FIELDS))]
    for field in FIELDS:
        read = f"tp_{field.event}_{field.name}_read"
        text.append(f"#undef READ\n#define READ(buffer, size) result = {read}(ctx, buffer, size)\n")
        for style, body in STYLES.items():
            text.append(f'SEC("tp/{field.system}/{field.event}") int {program(field, style)}(void *ctx)\n')
            text.append(f"{{\n\tlong result = 0;\n\t{body}\n\treturn result < 0;\n}}\n")
    return "".join(text)


@pytest.fixture(scope="module")
def obj(
    compiler: Compiler, vmlinux_include: Path, libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """All programs in one object."""
    folder = tmp_path_factory.mktemp("read_styles")
    for event in {field.event for field in FIELDS}:
        write_header(folder, event, "classic")
    return compiler.compile(source(), folder / "read.o", include=[folder], system=[vmlinux_include, libbpf_include])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_verifier_takes_it(obj: Path, field: Field, style: str) -> None:
    """Loads; a refusal raises with the verifier's log."""
    with BpfObject(obj, programs=[program(field, style)]):
        pass
