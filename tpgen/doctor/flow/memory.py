"""Loads and stores of instructions, by the kind of address that they go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpgen.doctor.accesses import Access, AccessKind, Unfollowed
from tpgen.doctor.flow.frames import Frame, Frames, blur, extended, forget, read, write
from tpgen.doctor.flow.values import (
    NARROW,
    Context,
    DataAddress,
    Dynamic,
    ExternAddress,
    InContext,
    InStack,
    Loaded,
    Pointed,
    Stack,
    Unsure,
    Value,
    is_in_context,
)

if TYPE_CHECKING:
    from tpgen.doctor.flow.givens import Asker
    from tpgen.doctor.flow.recorder import Recorder
    from tpgen.sources.bpf_object.facts import Place


class Memory:
    """Memory as one program sees it: what it loads is recorded, and what is known of it returned."""

    def __init__(self, recorder: Recorder, asker: Asker, big_endian: bool) -> None:
        self._recorder = recorder
        self._asker = asker
        self._big_endian = big_endian

    def load(
        self,
        place: Place,
        base: Value,
        offset: int | None,
        size: int,
        frames: Frames,
        *,
        signed: bool,
        struct_name: str | None,
    ) -> Value:
        """The value of `size` bytes at `base` + `offset`; the offset is that of a member of `struct_name`, if any.

        It is None where it is not known for this kernel.
        """
        match base:
            case Loaded() | Pointed():
                self._recorder.use(place, base, struct_name, followed=True)
            case Context() | InContext() | Dynamic() if offset is None:
                self._recorder.gap(Unfollowed.UNKNOWN_RELOCATION, place)
                return Unsure(())
            case _ if offset is None:
                pass
            case Context():
                where = base.offset + offset
                self._recorder.accesses.add(Access(AccessKind.LOAD, place, where, size, base.offset, signed))
                return Loaded(where, size, place.at, self._asker.is_never_null(where) and size == 8)
            case InContext() | Dynamic():
                self._lost(place, base, AccessKind.LOAD, size)
            case Stack() if base.frame < len(frames):
                value = read(frames[base.frame], base.offset + offset, size, self._big_endian)
                return extended(value, size) if signed else value
            case DataAddress(offset=int(start)):
                return self._asker.data(base.section, start + offset, size, signed)
            case ExternAddress():
                return self._asker.extern(base.name, size) if offset == 0 else None
            case _:
                pass
        return NARROW if size <= 4 and not signed else None

    def store(self, place: Place, base: Value, offset: int | None, size: int, value: Value, frames: Frames) -> Frames:
        """The frames behind a store of `size` bytes at `base` + `offset`."""
        match base:
            case Context() | InContext() | Dynamic() if offset is None:
                self._recorder.gap(Unfollowed.UNKNOWN_RELOCATION, place)
            case _ if offset is None:
                return written(frames, base, None)
            case Context():
                self._recorder.accesses.add(Access(AccessKind.STORE, place, base.offset + offset, size, base.offset))
            case InContext() | Dynamic():
                self._lost(place, base, AccessKind.STORE, size)
            case Stack() if base.frame < len(frames):
                frame = write(frames[base.frame], base.offset + offset, size, value, self._big_endian)
                return replaced(frames, base.frame, frame)
            case InStack() if base.frame < len(frames):
                return replaced(frames, base.frame, blur(frames[base.frame]))
            case _ if is_in_context(value) and size == 8:
                self._recorder.gap(Unfollowed.ESCAPED, place)
            case _:
                pass
        return frames

    def _lost(self, place: Place, base: InContext | Dynamic, kind: AccessKind, size: int) -> None:
        """Record an access at an offset that only the run tells, or that is not known for this kernel."""
        reason = base.reason if isinstance(base, InContext) else Unfollowed.VARIABLE_OFFSET
        self._recorder.gap(reason, place)
        if reason == Unfollowed.VARIABLE_OFFSET:
            self._recorder.accesses.add(Access(kind, place, None, size))


def written(frames: Frames, target: Value, size: int | None) -> Frames:
    """The frames after a function has written to `target`; without a size, to whatever lies behind it."""
    match target:
        case Stack(frame=number, offset=offset) if number < len(frames):
            frame = forget(frames[number], offset, 8 if size is None else size)
            return replaced(frames, number, blur(frame, offset) if size is None else frame)
        case InStack(frame=number) if number < len(frames):
            return replaced(frames, number, blur(frames[number]))
        case _:
            return frames


def replaced(frames: Frames, number: int, frame: Frame) -> Frames:
    """The frames with another one in the place of one."""
    return frames if frames[number] is frame else (*frames[:number], frame, *frames[number + 1 :])
