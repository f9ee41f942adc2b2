"""How every command of the project ends: its exit status, and one sentence instead of a traceback.

===========================  ======  =====================================================
what happened                status  what is printed
===========================  ======  =====================================================
finished                     0
the user's input is wrong    2       ``prog: error: <sentence>``
disk or permission trouble   2       ``prog: error: <what>: '<path>'``
memory runs out              2       ``prog: error: <what>``
Ctrl-C                       130     ``prog: interrupted: <what was kept, how to go on>``
SIGTERM, SIGHUP in a study   143     the same
a bug of ours                1       the traceback
===========================  ======  =====================================================
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

from sparseop.errors import InputError


class _Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP."""


def run(prog: str, body: Callable[[], object], *, kept: str = "run the same command again to go on") -> int:
    """Run ``body()`` and return the exit status of the table above; an interruption's own text goes before ``kept``."""
    try:
        body()
    except InputError as error:
        return _say(f"{prog}: error: {error}", 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has left; nothing to say to it
        return 1
    except OSError as error:
        where = f": {error.filename!r}" if error.filename else ""
        return _say(f"{prog}: error: {error.strerror or error}{where}.", 2)
    except MemoryError as error:
        return _say(f"{prog}: error: memory ran out{f' ({error})' if str(error) else ''}.", 2)
    except KeyboardInterrupt as stop:
        return _say(f"{prog}: interrupted: {str(stop) or kept}.", 143 if isinstance(stop, _Ended) else 130)
    return 0


def command(prog: str, body: Callable[[], object]) -> int:
    """Run a command that takes no argument.

    ``--help`` shows the text of the module it is, anything else is refused before ``body()``.
    """
    about = sys.modules["__main__"].__doc__
    argparse.ArgumentParser(
        f"python -m {prog}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    return run(prog, body)


@contextlib.contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does.

    By themselves they would leave its worker processes behind.
    """
    owner = os.getpid()

    def end(number: int, _: object) -> None:
        if os.getpid() == owner:
            raise _Ended
        signal.signal(number, signal.SIG_DFL)  # a forked worker ends as it always would
        os.kill(os.getpid(), number)

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    ours = [
        kind
        for kind in kinds
        if threading.current_thread() is threading.main_thread() and signal.getsignal(kind) == signal.SIG_DFL
    ]
    for kind in ours:
        signal.signal(kind, end)
    try:
        yield
    finally:
        for kind in ours:
            signal.signal(kind, signal.SIG_DFL)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings as ``warning: <sentence>``, without the line of code that gave them."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
        yield


def _say(text: str, status: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return status
