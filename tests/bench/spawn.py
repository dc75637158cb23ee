"""Runs commands for bench.py from a process that is smaller than any of them: `python -I -S spawn.py`.

Linux counts as a child's peak memory what it was before its exec, which is a copy of who made it. So this imports next
to nothing. A request is a program, its arguments and its environment, an answer the milliseconds from fork to exit,
those of the processor, the peak in KiB and the exit status.
"""

import marshal
import os
import sys
from time import perf_counter

while True:
    try:
        program, argv, environment = marshal.load(sys.stdin.buffer)
    except EOFError:
        break
    start = perf_counter()
    if (child := os.fork()) == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        try:
            os.execve(program, argv, environment)
        finally:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    elapsed = 1000 * (perf_counter() - start)
    cpu = 1000 * (usage.ru_utime + usage.ru_stime)
    answer = elapsed, cpu, usage.ru_maxrss, os.waitstatus_to_exitcode(status)
    marshal.dump(answer, sys.stdout.buffer)
    sys.stdout.buffer.flush()
