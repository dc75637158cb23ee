"""BTF, ELF files and kernel images built by hand, byte by byte, from the formats' own descriptions.

Nothing of tpgen is used here, so that what tpgen reads can be held against what was written. bpftool and readelf judge
these builders in tests/unit. Formats: Documentation/bpf/btf.rst, elf(5), Documentation/arch/x86/boot.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

KINDS = (
    "VOID INT PTR ARRAY STRUCT UNION ENUM FWD TYPEDEF VOLATILE CONST RESTRICT FUNC FUNC_PROTO VAR DATASEC FLOAT "
    "DECL_TAG TYPE_TAG ENUM64"
).split()
SIGNED, CHAR, BOOL = 1, 2, 4
HEADER_BYTES = 24


@dataclass
class BtfBuilder:
    """A `.BTF` section in the making. Each method adds one type and returns its id.

    With `base`, ids and strings continue those of the base as it is when this builder is made: split BTF.
    """

    big_endian: bool = False
    base: BtfBuilder | None = None
    types: list[bytes] = field(default_factory=list)
    strings: bytearray = field(default_factory=bytearray)
    first_id: int = 1
    first_string: int = 0
    _offsets: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.base is None:
            self.string("")
            return
        self.first_id = self.base.next_id
        self.first_string = self.base.first_string + len(self.base.strings)
        self._offsets = dict(self.base._offsets)

    @property
    def next_id(self) -> int:
        """The id that the next type gets."""
        return self.first_id + len(self.types)

    @property
    def order(self) -> str:
        return ">" if self.big_endian else "<"

    # --- the parts

    def string(self, text: str) -> int:
        """The name offset of `text`, which is in the string section once."""
        if text not in self._offsets:
            self._offsets[text] = self.first_string + len(self.strings)
            self.strings += text.encode() + b"\0"
        return self._offsets[text]

    def words(self, *values: int) -> bytes:
        return struct.pack(f"{self.order}{len(values)}I", *(value & 0xFFFFFFFF for value in values))

    def add(
        self, kind: str, name: str | int, third: int, extra: Sequence[int] = (), vlen: int = 0, flag: bool = False
    ) -> int:
        """Any type at all, corrupt ones included: `name` may be an offset, `third` is the word `size` or `type`."""
        offset = self.string(name) if isinstance(name, str) else name
        info = flag << 31 | KINDS.index(kind) << 24 | vlen
        self.types.append(self.words(offset, info, third, *extra))
        return self.next_id - 1

    def blob(self) -> bytes:
        """The section as it stands in a file."""
        types = b"".join(self.types)
        lengths = self.words(HEADER_BYTES, 0, len(types), len(types), len(self.strings))
        magic = struct.pack(self.order + "HBB", 0xEB9F, 1, 0)
        return magic + lengths + types + bytes(self.strings)

    # --- a method per kind

    def integer(self, name: str, size: int, encoding: int = 0) -> int:
        return self.add("INT", name, size, [encoding << 24 | size * 8])

    def ptr(self, target: int) -> int:
        return self.add("PTR", 0, target)

    def array(self, element: int, length: int, index: int = 1) -> int:
        return self.add("ARRAY", 0, 0, [element, index, length])

    def structure(
        self, name: str, size: int, members: Sequence[tuple[str, int, int]] = (), kind: str = "STRUCT"
    ) -> int:
        """`members` are (name, type, offset in bytes)."""
        words = [word for member, ctype, at in members for word in (self.string(member), ctype, 8 * at)]
        return self.add(kind, name, size, words, len(members))

    def bit_fields(self, name: str, size: int, members: Sequence[tuple[str, int, int, int]]) -> int:
        """A struct with bit-fields: `members` are (name, type, offset in bits, size in bits)."""
        words = [word for member, ctype, at, bits in members for word in (self.string(member), ctype, bits << 24 | at)]
        return self.add("STRUCT", name, size, words, len(members), flag=True)

    def union(self, name: str, size: int, members: Sequence[tuple[str, int, int]] = ()) -> int:
        return self.structure(name, size, members, kind="UNION")

    def enum(self, name: str, size: int = 4, values: Sequence[tuple[str, int]] = (), signed: bool = False) -> int:
        words = [word for value, number in values for word in (self.string(value), number)]
        return self.add("ENUM", name, size, words, len(values), signed)

    def enum64(self, name: str, size: int = 8, values: Sequence[tuple[str, int]] = (), signed: bool = False) -> int:
        words = [word for value, number in values for word in (self.string(value), number, number >> 32)]
        return self.add("ENUM64", name, size, words, len(values), signed)

    def fwd(self, name: str, union: bool = False) -> int:
        return self.add("FWD", name, 0, flag=union)

    def typedef(self, name: str, target: int) -> int:
        return self.add("TYPEDEF", name, target)

    def qualifier(self, kind: str, target: int) -> int:
        """`kind` is CONST, VOLATILE or RESTRICT."""
        return self.add(kind, 0, target)

    def func(self, name: str, prototype: int) -> int:
        return self.add("FUNC", name, prototype, vlen=1)  # BTF_FUNC_GLOBAL

    def func_proto(self, result: int, params: Sequence[tuple[str, int]]) -> int:
        """`params` are (name, type); ("", 0) at the end stands for `...`."""
        words = [word for name, ctype in params for word in (self.string(name), ctype)]
        return self.add("FUNC_PROTO", 0, result, words, len(params))

    def var(self, name: str, ctype: int) -> int:
        return self.add("VAR", name, ctype, [1])

    def datasec(self, name: str, size: int, variables: Sequence[tuple[int, int, int]]) -> int:
        """`variables` are (type, offset, size)."""
        return self.add("DATASEC", name, size, [word for variable in variables for word in variable], len(variables))

    def floating(self, name: str, size: int) -> int:
        return self.add("FLOAT", name, size)

    def decl_tag(self, tag: str, target: int, component: int = -1) -> int:
        return self.add("DECL_TAG", tag, target, [component])

    def type_tag(self, tag: str, target: int) -> int:
        return self.add("TYPE_TAG", tag, target)

    # --- what the kernel makes of its tracepoints

    def event(self, name: str, params: Sequence[tuple[str, int]], names_in: Sequence[str] = ("__probestub_",)) -> int:
        """The typedef `btf_trace_<name>` and the functions `names_in`, which have the parameters' names."""
        data = self.ptr(0)
        nameless = self.func_proto(0, [("", data), *(("", ctype) for _, ctype in params)])
        typedef = self.typedef(f"btf_trace_{name}", self.ptr(nameless))
        for prefix in names_in:
            self.func(prefix + name, self.func_proto(0, [("__data", data), *params]))
        return typedef

    def event_class(
        self, name: str, params: Sequence[int], size: int = 0, members: Sequence[tuple[str, int, int]] | None = None
    ) -> None:
        """`__bpf_trace_<name>`, and `struct trace_event_raw_<name>` unless `members` is None (a bare tracepoint)."""
        types = [("", self.ptr(0)), *(("", ctype) for ctype in params)]
        self.func(f"__bpf_trace_{name}", self.func_proto(0, types))
        if members is not None:
            self.structure(f"trace_event_raw_{name}", size, members)


# --- files around sections


def elf(
    sections: dict[str, bytes], big_endian: bool = False, wide: bool = True, machine: int = 62, flags: int = 0
) -> bytes:
    """A relocatable ELF file with the given sections, 64 bits if `wide`, and all their sh_flags set to `flags`."""
    order = ">" if big_endian else "<"
    names = ("", *sections, ".shstrtab")
    table = bytearray(b"\0")
    offsets = [0]
    for name in names[1:]:
        offsets.append(len(table))
        table += name.encode() + b"\0"
    header_bytes, entry_bytes = (64, 64) if wide else (52, 40)
    body = bytearray()
    headers = [b"\0" * entry_bytes]
    for name, offset in zip(names[1:], offsets[1:], strict=True):
        content = bytes(table) if name == ".shstrtab" else sections[name]
        kind, flag = (3, 0) if name == ".shstrtab" else (1, flags)  # SHT_STRTAB, SHT_PROGBITS
        at = header_bytes + len(body)
        layout = "IIQQQQIIQQ" if wide else "IIIIIIIIII"
        headers.append(struct.pack(order + layout, offset, kind, flag, 0, at, len(content), 0, 0, 4, 0))
        body += content + b"\0" * (-len(content) % 8)
    ident = b"\x7fELF" + bytes((2 if wide else 1, 2 if big_endian else 1, 1)) + b"\0" * 9
    rest = struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        1, machine, 1, 0, 0, header_bytes + len(body), 0, header_bytes, 0, 0, entry_bytes, len(headers),
        len(headers) - 1,
    )  # fmt: skip
    return ident + rest + bytes(body) + b"".join(headers)


def bzimage(payload: bytes, tail: bytes = b"") -> bytes:
    """An x86 boot image: four setup sectors whose header says where in the protected-mode code the payload lies."""
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4  # setup_sects
    setup[0x1FE:0x200] = b"\x55\xaa"
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, 0x20F)  # protocol 2.15
    decompressor = b"\x90" * 768
    struct.pack_into("<II", setup, 0x248, len(decompressor), len(payload))
    return bytes(setup) + decompressor + payload + tail


def stub_image(payload: bytes) -> bytes:
    """An image of another architecture: some stub, then the payload, and nothing that says where it is."""
    return b"MZ" + b"\x1f\x20\x03\xd5" * 300 + payload + b"\0" * 64
