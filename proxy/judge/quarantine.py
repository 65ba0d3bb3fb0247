"""What this judge does not compare, because earlier ones died of it three times."""

from collections.abc import Sequence
from hashlib import blake2b

from comparators import BUILT_IN, Ask, Context, Finding, Guard, OverBudget, Reason, Rule, Tree
from proxy.config.models import Endpoint, Service, Settings, Table
from proxy.config.models import Rule as ConfiguredRule
from proxy.core.families import ENDPOINT_QUARANTINED, PAIRS_KILLED, RULE_QUARANTINED
from proxy.core.quarantine import Kill, Suspect, quarantined
from proxy.core.routing import OTHER
from proxy.core.tally import Tally
from proxy.ipc.whereabouts import mark
from proxy.judge.watchdog import Watchdog

_GAUGES = {"rule": RULE_QUARANTINED, "endpoint": ENDPOINT_QUARANTINED}


class Quarantine:
    """The suspects in it, by what `kills` are blamed on."""

    def __init__(self, kills: Sequence[Kill] = ()) -> None:
        self._kills = kills
        self._suspects = quarantined(kills)
        self._in_force = frozenset[Suspect]()

    def __contains__(self, suspect: Suspect) -> bool:
        return suspect in self._suspects

    def adopt(self, settings: Settings) -> None:
        """These settings are the newest: what is in them as it was is shown, and nothing else."""
        if self._suspects:
            self._in_force = self._suspects & frozenset(_suspects(settings))

    def guard(self, name: str, service: Service, stall: float, watchdog: Watchdog) -> Guard:
        """Before the rules of a service: the watchdog hears of those whose cost has no bound; none here is applied."""
        suspects = {rule.id: rule_suspect(name, rule, stall) for rule in service.rules}

        def guard(rule: Rule, ask: Ask) -> Ask:
            if rule.use in BUILT_IN:  # the budgets bound what these do
                return ask
            suspect = suspects[rule.id]
            return _refuse if suspect in self else _noted(ask, mark(suspect), watchdog)

        return guard

    def dump(self, tally: Tally) -> None:
        """Write into a tally what is in quarantine, and which pairs the judges before did not survive."""
        for suspect in self._in_force:
            tally.gauge(_GAUGES[suspect.kind], (suspect.service, suspect.name), 1.0)
        for kill in self._kills:
            tally.count(PAIRS_KILLED, (kill.suspect.service, kill.worker, kill.judge))


def rule_suspect(service: str, rule: ConfiguredRule, stall: float) -> Suspect:
    """A rule as it is configured."""
    return Suspect("rule", service, rule.id, _version(stall, rule))


def endpoint_suspect(name: str, service: Service, endpoint: Endpoint | None, stall: float) -> Suspect:
    """An endpoint as it is configured, with the rules that apply there; None is `other`."""
    scope = OTHER if endpoint is None else endpoint.name
    rules = [rule for rule in service.rules if rule.endpoint in {scope, "*"}]
    own = [] if endpoint is None else [endpoint]
    return Suspect("endpoint", name, scope, _version(stall, *own, *rules))


def _suspects(settings: Settings) -> list[Suspect]:
    """All there can be under these settings."""
    stall = settings.judge.stall
    return [
        suspect
        for name, service in settings.services.items()
        for suspect in (
            *(rule_suspect(name, rule, stall) for rule in service.rules),
            *(endpoint_suspect(name, service, endpoint, stall) for endpoint in (*service.endpoints, None)),
        )
    ]


def _version(stall: float, *parts: Table) -> str:
    written = "\n".join((str(stall), *(part.model_dump_json() for part in parts)))
    return blake2b(written.encode(), digest_size=8).hexdigest()


def _noted(ask: Ask, mark: bytes, watchdog: Watchdog) -> Ask:
    """The question, while the watchdog knows in whose name it is asked."""

    def noted(primary: Tree, candidate: Tree, settings: object, at: Context) -> Finding:
        before = watchdog.applies(mark)
        try:
            return ask(primary, candidate, settings, at)
        finally:
            watchdog.applies(before)

    return noted


def _refuse(_primary: Tree, _candidate: Tree, _settings: object, _at: Context) -> Finding:
    raise OverBudget(Reason.QUARANTINED)
