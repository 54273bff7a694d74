"""What is left of a process's memory when it crashes, or when somebody looks: keys and contents."""

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def keep_memory_private() -> None:
    """A crash writes no core dump of this process, and only root may read its memory.

    The limit alone would not do: the kernel ignores it where dumps go to a program. Programs that
    this one starts have the limit, and are readable again.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
