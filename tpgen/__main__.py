"""The program: `python -m tpgen`, and the script `tpgen`.

Ctrl-C ends it with exit status 130 and without a traceback, from here on until the process is gone.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found,unused-ignore]  # the module signal imports enum, a tenth of a short run
import os
import sys

_INTERRUPTED = 130
# Whether a signal came, wherever its exception got lost.
_seen: list[bool] = []


def _leave(*_: object) -> None:
    """Leave at once, while there is nothing to clean up."""
    os._exit(_INTERRUPTED)


def _interrupt(*_: object) -> None:
    """Raise once, so that a second Ctrl-C does not interrupt the cleaning up."""
    _seen.append(True)
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    raise KeyboardInterrupt


def _unraisable(about: sys.UnraisableHookArgs) -> None:
    """Leave where a finalizer was interrupted, whose exceptions Python only prints."""
    if issubclass(about.exc_type, KeyboardInterrupt):
        _leave()
    sys.__unraisablehook__(about)


if __name__ == "__main__" and sys.path and sys.path[0] == os.getcwd() and not sys.flags.safe_path:
    del sys.path[0]  # nothing is imported from wherever somebody stands
# One that is ignored, by nohup or in the background of a script, stays so.
_HEEDED = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
if _HEEDED:
    _signal.signal(_signal.SIGINT, _leave)


def run() -> int:
    """Run tpgen with the words of the process; returns the exit status."""
    try:
        from tpgen.cli import main

        if _HEEDED:
            sys.unraisablehook = _unraisable
            _signal.signal(_signal.SIGINT, _interrupt)
        code = main()
        if _HEEDED:  # all is done
            _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
        return _INTERRUPTED if _seen else code
    except KeyboardInterrupt:
        return _INTERRUPTED


def leave(status: int) -> None:
    """End the process with this exit status, for the script `tpgen` alone.

    Python frees, object by object, what the kernel frees at once: a tenth of a run. That is left to it where
    others may want to be told of the end: a backend of another package, a debugger, a profiler.
    """
    registry = sys.modules.get("tpgen.backends.registry")
    watched = sys.gettrace() is not None or sys.getprofile() is not None or "coverage" in sys.modules
    if not watched and not getattr(registry, "LOADED_OF_OTHERS", False):
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except (AttributeError, OSError, ValueError):  # Python tells it
            pass
        else:
            os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    sys.exit(run())
