"""Ctrl-C and SIGTERM ask a run to save and stop."""

import signal
import threading


class StopRequest:
    """Within the `with` block, the first Ctrl-C or SIGTERM sets `requested`; a second one acts.

    Outside the main thread signals cannot be caught; then nothing is ever requested.

    Args:
        patient: later signals do not act either: torchrun passes on the Ctrl-C that the terminal
            has sent to every rank already, and kills those that do not end.
    """

    def __init__(self, *, patient: bool = False):
        self.patient = patient
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether the run shall stop at the next step."""
        return self.signal is not None

    def _ask(self, number: int, _frame: object) -> None:
        self.signal = number
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
