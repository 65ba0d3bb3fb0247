"""For processes that tests start with this folder in PYTHONPATH: a comparator that does not come back.

There is no way to load one by configuration, so this puts it where `compile_rules` finds those it is given by default.
It accepts everything, but "python" and "c" never end, in the interpreter and outside of it, "asleep" uses no CPU,
and "stopped" waits until somebody has stopped its process and lets it go on.
"""

import re
import signal
import time
from typing import ClassVar

from comparators import ACCEPTED, Context, Finding, NoSettings, Scope, Tree, compile_rules, with_custom


class Stalls:
    """`use: stalls`."""

    name: ClassVar[str] = "stalls"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, _primary: Tree, candidate: Tree, _settings: NoSettings, _at: Context) -> Finding:
        """Do as the candidate says."""
        match candidate:
            case "python":
                while True:
                    pass
            case "c":
                re.match("(a|aa)+$", "a" * 200 + "b")
            case "asleep":
                time.sleep(3600.0)
            case "stopped":
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
                signal.sigwait({signal.SIGCONT})
        return ACCEPTED


assert compile_rules.__kwdefaults__
compile_rules.__kwdefaults__["comparators"] = with_custom([Stalls()])
