"""libbpf over ctypes: as much of it as a test needs to load a BPF object, attach its programs and read what they saw.

    with BpfObject(path) as obj:
        obj.attach("on_switch")
        ...
        obj.section(".bss")

Leaving the block detaches every program and closes the object, whatever happened inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import mmap
import os
from collections.abc import Iterable, Iterator
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BPF_MAP_TYPE_ARRAY = 2
_LOG_SIZE = 1 << 20
_PRINT = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
# What libbpf said since it was loaded, both warnings and debug; an object remembers where its own part begins.
_messages: list[str] = []
_callbacks: list[Any] = []


class LibbpfError(OSError):
    """A call to libbpf failed; `messages` is what libbpf printed since the object was opened."""

    def __init__(self, code: int, action: str, messages: str = "") -> None:
        super().__init__(code, f"{action}: {errno.errorcode.get(code, code)} ({os.strerror(code)})\n{messages}")
        self.messages = messages


class VerifierError(LibbpfError):
    """The kernel refused a program; `log` is the verifier's, by name of the program."""

    def __init__(self, code: int, action: str, messages: str, log: dict[str, str]) -> None:
        text = "\n".join(f"--- {name} ---\n{part}" for name, part in log.items())
        super().__init__(code, action, f"{messages}\n{text}")
        self.log = log


class _OpenOpts(Structure):
    """struct bpf_object_open_opts of bpf/libbpf.h as far as it is used."""

    _fields_ = (
        ("sz", c_size_t),
        ("_object_name", c_char_p),
        ("_relaxed_maps", ctypes.c_bool),
        ("_pin_root_path", c_char_p),
        ("_attach_prog_fd", c_uint32),
        ("_kconfig", c_char_p),
        ("btf_custom_path", c_char_p),
    )


class _TestRunOpts(Structure):
    _fields_ = (
        ("sz", c_size_t),
        ("data_in", c_void_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("ctx_in", c_void_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("retval", c_uint32),
        ("repeat", c_int),
        ("duration", c_uint32),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    )


class _ProgInfo(Structure):
    """struct bpf_prog_info of linux/bpf.h; only the named fields are used, the rest keeps the offsets."""

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("_tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("_jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("_load_time_to_name", ctypes.c_uint8 * 40),
        ("_ifindex", c_uint32),
        ("_flags", c_uint32),
        ("_netns_to_prog_tags", ctypes.c_uint8 * 104),
        ("run_time_ns", c_uint64),
        ("run_cnt", c_uint64),
        ("recursion_misses", c_uint64),
    )


@dataclass(frozen=True, slots=True)
class ProgInfo:
    """What the kernel says of a loaded program."""

    type: int
    id: int
    # Of machine code, in bytes.
    jited_bytes: int
    # Runs that the kernel left out because a BPF program already ran on that CPU.
    recursion_misses: int


# name: (result, arguments)
_PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "bpf_object__open_file": (c_void_p, (c_char_p, c_void_p)),
    "bpf_object__load": (c_int, (c_void_p,)),
    "bpf_object__close": (None, (c_void_p,)),
    "bpf_object__next_program": (c_void_p, (c_void_p, c_void_p)),
    "bpf_object__next_map": (c_void_p, (c_void_p, c_void_p)),
    "bpf_program__name": (c_char_p, (c_void_p,)),
    "bpf_program__fd": (c_int, (c_void_p,)),
    "bpf_program__set_autoload": (c_int, (c_void_p, ctypes.c_bool)),
    "bpf_program__set_log_buf": (c_int, (c_void_p, c_void_p, c_size_t)),
    "bpf_program__set_log_level": (c_int, (c_void_p, c_uint32)),
    "bpf_program__attach": (c_void_p, (c_void_p,)),
    "bpf_program__attach_raw_tracepoint": (c_void_p, (c_void_p, c_char_p)),
    "bpf_program__attach_tracepoint": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "bpf_program__attach_trace": (c_void_p, (c_void_p,)),
    "bpf_link__destroy": (c_int, (c_void_p,)),
    "bpf_map__name": (c_char_p, (c_void_p,)),
    "bpf_map__fd": (c_int, (c_void_p,)),
    "bpf_map__key_size": (c_uint32, (c_void_p,)),
    "bpf_map__value_size": (c_uint32, (c_void_p,)),
    "bpf_map_create": (c_int, (c_int, c_char_p, c_uint32, c_uint32, c_uint32, c_void_p)),
    "bpf_map_lookup_elem": (c_int, (c_int, c_void_p, c_void_p)),
    "bpf_map_update_elem": (c_int, (c_int, c_void_p, c_void_p, c_uint64)),
    "bpf_obj_get_info_by_fd": (c_int, (c_int, c_void_p, POINTER(c_uint32))),
    "bpf_prog_test_run_opts": (c_int, (c_int, POINTER(_TestRunOpts))),
    "libbpf_set_print": (c_void_p, (_PRINT,)),
}


def _printer() -> Any:
    """The callback that keeps libbpf's messages; it formats with libc, as only C can read a va_list."""
    vsnprintf = ctypes.CDLL(None).vsnprintf
    vsnprintf.argtypes = (c_void_p, c_size_t, c_char_p, c_void_p)

    def keep(_level: int, form: bytes, arguments: int) -> int:
        buffer = ctypes.create_string_buffer(1 << 16)
        # A va_list parameter is a pointer in the ABIs of x86-64, arm64 and s390x.
        vsnprintf(buffer, len(buffer), form, arguments)
        _messages.append(buffer.value.decode(errors="replace"))
        return 0

    return _PRINT(keep)


@functools.cache
def library() -> ctypes.CDLL:
    """libbpf.so.1 with prototypes set and its messages captured. OSError where it is not installed."""
    lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    # The callback must live as long as libbpf may call it, which is as long as the module.
    _callbacks.append(_printer())
    lib.libbpf_set_print(_callbacks[0])
    return lib


def bpf_refused() -> str | None:
    """Why this process may not use bpf(2), None where it may."""
    fd: int = library().bpf_map_create(BPF_MAP_TYPE_ARRAY, b"tpgen_probe", 4, 8, 1, None)
    if fd < 0:
        return f"bpf(2) refuses to make a map: {os.strerror(ctypes.get_errno())}"
    os.close(fd)
    return None


@dataclass(frozen=True, slots=True)
class BpfMap:
    """A map of a loaded object; keys and values are bytes of the map's own sizes."""

    name: str
    fd: int
    key_size: int
    value_size: int

    def lookup(self, key: bytes) -> bytes | None:
        """The value at `key`, None where there is none."""
        assert len(key) == self.key_size
        value = ctypes.create_string_buffer(self.value_size)
        if library().bpf_map_lookup_elem(self.fd, key, value) == 0:
            return value.raw
        code = ctypes.get_errno()
        if code == errno.ENOENT:
            return None
        raise LibbpfError(code, f"lookup in {self.name}")

    def update(self, key: bytes, value: bytes) -> None:
        """Stores `value` at `key`."""
        assert (len(key), len(value)) == (self.key_size, self.value_size)
        if library().bpf_map_update_elem(self.fd, key, value, 0) != 0:
            raise LibbpfError(ctypes.get_errno(), f"update of {self.name}")


class BpfObject:
    """A BPF object file, loaded for the length of a `with` block."""

    def __init__(
        self, path: Path, *, programs: Iterable[str] | None = None, log_level: int = 0, kernel_btf: Path | None = None
    ) -> None:
        """`programs` names those to load, all when None; `log_level` 1 or 2 keeps the verifier's log of a success.

        CO-RE takes the BTF in `kernel_btf` for the kernel's.
        """
        self.path = path
        self._kernel_btf = kernel_btf
        self._selected = None if programs is None else frozenset(programs)
        self._log_level = log_level
        self._object: int | None = None
        self._programs: dict[str, int] = {}
        self._links: list[int] = []
        self._logs: dict[str, ctypes.Array[ctypes.c_char]] = {}
        self._first_message = len(_messages)

    def __enter__(self) -> Self:
        try:
            self._open()
            self._load()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def messages(self) -> str:
        """What libbpf printed since this object was made, debug messages included."""
        return "".join(_messages[self._first_message :])

    @property
    def logs(self) -> dict[str, str]:
        """The verifier's log by program, as far as it wrote one."""
        return {name: log.value.decode(errors="replace") for name, log in self._logs.items() if log.value}

    def close(self) -> None:
        """Detaches every program and frees the object; harmless when repeated."""
        while self._links:
            library().bpf_link__destroy(self._links.pop())
        if self._object is not None:
            library().bpf_object__close(self._object)
            self._object = None

    def detach(self) -> None:
        """Detaches every program; maps can still be read."""
        while self._links:
            library().bpf_link__destroy(self._links.pop())

    def attach(self, program: str) -> None:
        """Attaches `program` where its SEC says."""
        self._keep_link(program, library().bpf_program__attach(self._program(program)))

    @contextlib.contextmanager
    def attached(self, program: str) -> Iterator[None]:
        """`program` attached where its SEC says, for the length of a block; threads may have blocks of their own."""
        link = library().bpf_program__attach(self._program(program))
        if link is None:
            raise self._error(f"attach of {program}")
        try:
            yield
        finally:
            library().bpf_link__destroy(link)

    def attach_raw_tracepoint(self, program: str, tracepoint: str) -> None:
        """Attaches a raw_tp program to `tracepoint`."""
        handle = self._program(program)
        self._keep_link(program, library().bpf_program__attach_raw_tracepoint(handle, tracepoint.encode()))

    def attach_tracepoint(self, program: str, system: str, event: str) -> None:
        """Attaches a classic tracepoint program to `system`:`event`."""
        handle = self._program(program)
        self._keep_link(program, library().bpf_program__attach_tracepoint(handle, system.encode(), event.encode()))

    def attach_trace(self, program: str) -> None:
        """Attaches a tp_btf program to the tracepoint that it was loaded for."""
        self._keep_link(program, library().bpf_program__attach_trace(self._program(program)))

    def info(self, program: str) -> ProgInfo:
        """What the kernel says of `program`."""
        raw = self._info(program, _ProgInfo())
        return ProgInfo(raw.type, raw.id, raw.jited_prog_len, raw.recursion_misses)

    def code(self, program: str) -> bytes:
        """The instructions of `program` as the verifier left them, of eight bytes each."""
        code = ctypes.create_string_buffer(self._info(program, _ProgInfo()).xlated_prog_len)
        self._info(program, _ProgInfo(xlated_prog_len=len(code), xlated_prog_insns=ctypes.addressof(code)))
        return code.raw

    def _info(self, program: str, raw: _ProgInfo) -> _ProgInfo:
        size = c_uint32(ctypes.sizeof(raw))
        fd = library().bpf_program__fd(self._program(program))
        if library().bpf_obj_get_info_by_fd(fd, byref(raw), byref(size)) != 0:
            raise self._error(f"info of {program}")
        return raw

    def map(self, name: str) -> BpfMap:
        """The map called `name`; a section's map (`.bss`) is found by the end of its name."""
        lib = library()
        for handle in self._each("map"):
            found = lib.bpf_map__name(handle).decode()
            if found == name or (name.startswith(".") and found.endswith(name)):
                return BpfMap(
                    found, lib.bpf_map__fd(handle), lib.bpf_map__key_size(handle), lib.bpf_map__value_size(handle)
                )
        raise KeyError(name)

    def section(self, name: str = ".bss") -> bytes:
        """All global variables of a section, as they are now."""
        value = self.map(name).lookup(bytes(4))
        assert value is not None
        return value

    def test_run(self, program: str, slots: Iterable[int]) -> int:
        """The return value of a raw_tp program, run once by the kernel with `slots` as the u64s of its context."""
        values = [slot & 0xFFFFFFFFFFFFFFFF for slot in slots]
        context = (c_uint64 * len(values))(*values)
        options = _TestRunOpts(sz=ctypes.sizeof(_TestRunOpts))
        options.ctx_in, options.ctx_size_in = ctypes.addressof(context), ctypes.sizeof(context)
        fd = library().bpf_program__fd(self._program(program))
        if library().bpf_prog_test_run_opts(fd, byref(options)) != 0:
            raise self._error(f"test run of {program}")
        return int(options.retval)

    def _open(self) -> None:
        lib = library()
        options = _OpenOpts(sz=ctypes.sizeof(_OpenOpts))
        options.btf_custom_path = None if self._kernel_btf is None else os.fsencode(self._kernel_btf)
        self._object = lib.bpf_object__open_file(os.fsencode(self.path), byref(options))
        if self._object is None:
            raise self._error(f"open of {self.path}")
        for handle in self._each("program"):
            name = lib.bpf_program__name(handle).decode()
            self._programs[name] = handle
            if self._selected is not None and name not in self._selected:
                lib.bpf_program__set_autoload(handle, False)
                continue
            # The buffer must stay where it is until the object is closed. It takes memory only where it is written.
            log = self._logs[name] = (ctypes.c_char * _LOG_SIZE).from_buffer(mmap.mmap(-1, _LOG_SIZE))
            lib.bpf_program__set_log_buf(handle, log, _LOG_SIZE)
            lib.bpf_program__set_log_level(handle, self._log_level)

    def _load(self) -> None:
        result: int = library().bpf_object__load(self._object)
        if result == 0:
            return
        raise VerifierError(-result, f"load of {self.path}", self.messages, self.logs)

    def _each(self, kind: str) -> Iterator[int]:
        step = library().bpf_object__next_program if kind == "program" else library().bpf_object__next_map
        handle = step(self._object, None)
        while handle is not None:
            yield handle
            handle = step(self._object, handle)

    def _program(self, name: str) -> int:
        return self._programs[name]

    def _keep_link(self, program: str, link: int | None) -> None:
        if link is None:
            raise self._error(f"attach of {program}")
        self._links.append(link)

    def _error(self, action: str) -> LibbpfError:
        return LibbpfError(ctypes.get_errno(), action, self.messages)
