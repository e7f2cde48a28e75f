"""Ctrl-C and SIGTERM ask a run to save and stop."""

import signal
import threading
from collections.abc import Callable


class StopRequest:
    """Within the `with` block, the first Ctrl-C or SIGTERM sets `requested`; a second one acts.

    Outside the main thread signals cannot be caught; then nothing is ever requested.

    Args:
        tell: is given a line for people, once; in a thread of its own, for what the signal has
            interrupted may be in the middle of writing a line.
        patient: later signals do not act either: torchrun passes on the Ctrl-C that the terminal
            has sent to every rank already, and kills those that do not end.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _: None, *, patient: bool = False):
        self.tell, self.patient = tell, patient
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether the run shall stop at the next step."""
        return self.signal is not None

    def _ask(self, number: int, _frame: object) -> None:
        first, self.signal = self.signal is None, number
        if first:
            again = "" if self.patient else "; again to stop at once"
            threading.Thread(target=self.tell, args=[f"stopping after this step{again}"]).start()
        if self.patient:
            return
        signal.signal(number, self._before[number])  # ty: ignore[invalid-argument-type]

    def __enter__(self) -> "StopRequest":
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_exception: object) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # ty: ignore[invalid-argument-type]
