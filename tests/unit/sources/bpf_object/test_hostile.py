"""BPF objects that are wrong in one place, or too large: one line with a code each, soon."""

from __future__ import annotations

import contextlib

import pytest
from support.bounds import bounded
from support.hostile_objects import LARGE, SMALL
from support.small_object import small_object

from tpgen.diagnostics import TpgenError
from tpgen.sources.bpf_object.read import read_objects

CORRUPT = "corrupt BPF object: "
EXT = "corrupt section .BTF.ext: "
#: What is said of those that are refused when they are read.
SAID = {
    "odd-length": "a section ends inside an instruction [object-corrupt]",
    "half-of-a-wide-one": "a section ends inside a wide instruction [object-corrupt]",
    "registers-that-do-not-exist": "instruction 0 of a section uses a register that BPF does not have [object-corrupt]",
    "call-out": f"{CORRUPT}call of instruction 1073741825 of section 'raw_tp/sched_switch', which has none there "
    "[object-corrupt]",
    "relocation-out": f"{CORRUPT}relocation of byte 792 of section 'raw_tp/sched_switch' [object-corrupt]",
    "relocation-of-a-load": f"{CORRUPT}relocation of instruction 0 of section 'raw_tp/sched_switch', which takes none "
    "[object-corrupt]",
    "relocation-of-half-a-wide-one": f"{CORRUPT}relocation of byte 16 of section 'raw_tp/sched_switch' "
    "[object-corrupt]",
    "relocation-against-nothing": f"{CORRUPT}relocation against symbol 99 of 3 [object-corrupt]",
    "relocation-against-a-number": f"{CORRUPT}relocation against 'odd', which is in no section [object-corrupt]",
    "rodata-of-exabytes": "BPF object with sections of variables that are larger than the file [object-too-large]",
    "code-of-exabytes": "BPF object with 144115188075855874 instructions [object-too-large]",
    "two-sections-of-a-name": f"{CORRUPT}two sections of instructions have the name 'raw_tp/sched_switch' "
    "[object-corrupt]",
    "typedef-of-itself": "corrupt BTF: type 1 refers to itself [btf-cycle]",
    "unknown-kind": "CO-RE relocation of kind 99 [object-unknown]; use a newer tpgen",
    "long-header-of-ext": f"{EXT}a part ends behind the end [object-corrupt]",
    "short-records-of-ext": f"{EXT}records of 4 bytes [object-corrupt]",
    "odd-records-of-ext": f"{EXT}records of 17 bytes [object-corrupt]",
    "more-instructions": "BPF object with 1048578 instructions [object-too-large]",
    "many-programs": "BPF object with 100000 functions of 100000 instructions [object-too-large]",
    "many-records-of-ext": f"{EXT}4294967295 records in 16 bytes [object-corrupt]",
    "overlapping-programs": "BPF object with 4000 functions of 16000000 instructions [object-too-large]",
    "overlapping-names": "BPF object with more than 131072 symbols, or with longer names than any has "
    "[object-too-large]",
    "lines-of-megabytes": "BPF object with a string that is no name and no line of source [object-too-large]",
    "sections-of-long-names": "BPF object with a string that is no name and no line of source [object-too-large]",
    "many-lines": "more than 16777216 characters of source text [object-too-large]",
}


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_read(name: str) -> None:
    data = (SMALL | LARGE)[name]()
    with bounded():
        if name in SAID:
            with pytest.raises(TpgenError) as refusal:
                read_objects(data, "f")
            assert str(refusal.value) == f"f: {SAID[name]}"
        else:
            (found,) = read_objects(data, "f")
            assert found.programs


def test_every_message_has_an_object() -> None:
    assert set(SAID) <= {*SMALL, *LARGE}


def test_every_cut_is_said() -> None:
    """Whatever is missing at the end: the section headers stand there."""
    data = small_object()
    for length in range(len(data)):
        with pytest.raises(TpgenError, match=r"^f: [^\n]* \[(?:object|image|btf)-[a-z-]+\]"):
            read_objects(data[:length], "f")


def test_every_changed_byte_is_read_or_said() -> None:
    data = small_object()
    with bounded():
        for at in range(len(data)):
            for value in (0xFF, data[at] ^ 0x80):
                with contextlib.suppress(TpgenError):
                    read_objects(data[:at] + bytes((value,)) + data[at + 1 :], "f")
