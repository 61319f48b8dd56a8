"""The rollout: its steps, the return, and what is done with a rollout that a lost runner left half-done."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .aws import Alarms, Function, Request, Routing, Target, client
from .errors import DeliveryError, RefusedError, StoppedError, UnknownError
from .journal import Entry, Journal, RunningError, store
from .plans import Plan
from .report import Progress
from .terraform import Names, Terraform

RETURN_ATTEMPTS = 3
UNREADABLE_SECONDS = 60.0
"""How long alarms or the alias may be unreadable before the rollout returns."""


@dataclass
class Settings:
    """What a rollout does. `minutes` is how long each step is watched, `poll` the seconds between two looks at the alarms."""

    steps: Sequence[int] = (10, 50, 100)
    minutes: float = 5.0
    poll: float = 10.0
    alarms: Sequence[str] = ()
    requests: Sequence[Request] = ()
    journal: str | None = None
    plan: Path | None = None
    without_alarms: bool = False
    allow_dirty: bool = False
    again: bool = False

    def check(self) -> None:
        """RefusedError for settings that cannot work."""
        given = " ".join(map(str, self.steps))
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1 or self.steps[-1] != 100:
            raise RefusedError(
                f"--steps {given} must ascend from 1 or more to 100, the percentages that the new version gets"
            )
        if self.minutes < 0:
            raise RefusedError(f"--minutes {self.minutes:g} must not be negative: it is how long each step is watched")
        if self.poll <= 0:
            raise RefusedError(f"--poll {self.poll:g} must be above 0, the seconds between two looks at the alarms")
        if self.plan is not None and not self.plan.is_file():
            raise RefusedError(f"the saved plan {self.plan} does not exist")


@dataclass
class Rollout:
    """Rollouts and rollbacks of the API in one root.

    `stop` is set to ask for a return; `progress` shows what happens; `clients` makes boto3's client of a service in a region.
    RefusedError when nothing was changed. `begun` says whether something may have been changed.
    """

    terraform: Terraform
    settings: Settings = field(default_factory=Settings)
    names: Names = field(default_factory=Names)
    progress: Progress = field(default_factory=Progress)
    stop: threading.Event = field(default_factory=threading.Event)
    clients: Callable[[str, str], Any] = client
    function: Function = field(init=False)
    alarms: Alarms = field(init=False)
    journal: Journal = field(init=False)
    begun: bool = field(default=False, init=False)
    resumed: bool = field(default=False, init=False)

    # --- Commands ---

    def run(self) -> Entry:
        """Roll out what the root deploys, or finish or return a rollout that was left half-done."""
        self.settings.check()
        self.terraform.check()
        self._connect()
        try:
            self._require_clean()
            self._require_alarms()
            with self.journal.locked():
                if (half_done := self._half_done()) is not None:
                    entry = self._resume(half_done)
                    if entry is not None:
                        return entry
                return self._start()
        except DeliveryError as error:
            if self.begun or isinstance(error, RunningError):
                raise
            raise RefusedError(f"{error}{self._half_done_note()}") from error

    def ask_to_stop(self) -> None:
        """Return as soon as possible. A deployment, which takes no traffic, is interrupted; a step's short apply is not."""
        self.stop.set()
        current = self.journal.document.current if hasattr(self, "journal") else None
        if current is not None and current.state == "deploying":
            self.terraform.interrupt()

    def roll_back(self, to: str | None = None) -> Entry:
        """Pin a version: `to`, or the one that served before the last rollout. Watches until no alarm is in ALARM."""
        self.settings.check()
        self.terraform.check()
        self._connect()
        with self.journal.locked():
            routing = self.function.routing()
            version = to or self._previous(routing)
            self.function.require(version)
            current = self.journal.document.current
            if current is None and routing.canary is not None:
                current = self.journal.begin(self._adopt(routing))
            self.resumed = current is not None
            if current is not None and current.kind == "rollout" and version == current.old:
                return self._return("rollback", current)
            if routing == Routing(version):
                raise RefusedError(f"version {version} already serves {self.function.target}, alone")
            with self.terraform.plan(self.names.pins(version)) as plan:
                self._require_step(plan, Routing(version), refusal=True)
                if current is not None:
                    self.journal.end("superseded", f"rolled back to version {version}")
                return self._pin(version, routing, plan)

    def _pin(self, version: str, routing: Routing, plan: Plan) -> Entry:
        """Apply a rollback's plan."""
        entry = Entry(routing.version, version, [100], self.settings.minutes, self.alarms.names, kind="rollback")
        entry.add(f"roll back from {routing} to version {version}", routing)
        self._begin(entry)
        try:
            self._shift(entry, plan, Routing(version), 100)
        except DeliveryError as error:
            now = self._routing_or_none()
            if now != routing:
                return self._end("unknown", self._how_to_go_on(str(error), now))
            return self._end("returned", f"the rollback failed, and {routing} serve as before: {error}")
        return self._end("live", f"version {version} serves all requests; {self._recovered(entry)}")

    def variables(self) -> dict[str, int]:
        """Return the variables that keep what serves; empty before the first apply."""
        self.terraform.check()
        if not self.terraform.outputs():
            return {}
        self._connect()
        routing = self.function.routing()
        return self.names.pins(routing.version, routing.percent)

    def status(self) -> tuple[Routing, Entry | None, list[Entry]]:
        """Return what serves, the rollout that is half-done or running, and those that ended."""
        self.terraform.check()
        self._connect()
        document = self.journal.load()
        routing = self.function.routing()
        return routing, document.current or (self._adopt(routing) if routing.canary else None), document.ended

    # --- Before anything changes ---

    def _connect(self) -> None:
        """Read from the root's outputs which alias and alarms it has."""
        outputs = self.terraform.outputs()
        where = self.settings.journal or str(self.terraform.data_dir / "delivery.json")
        if not outputs and Path(where).exists():
            raise RefusedError(
                f"the state of {self.terraform.root} is empty, but the journal {where} knows rollouts: a Terraform that is killed "
                "may leave a local state file cut short, and terraform.tfstate.backup is the one before; restore it first"
            )
        if not outputs:
            raise RefusedError(
                f"nothing is deployed from {self.terraform.root} yet: the first release is `{self.terraform.binary} apply`"
            )
        if self.names.alias_output not in outputs:
            raise RefusedError(
                f"the root has no output {self.names.alias_output}: add one with module.….alias_arn, and apply it, "
                "or name yours with --alias-output"
            )
        target = Target.of(outputs[self.names.alias_output])
        own = outputs.get(self.names.alarms_output) or {}
        listed = own.values() if isinstance(own, dict) else own
        self.function = Function(target, self.clients("lambda", target.region))
        self.alarms = Alarms([*listed, *self.settings.alarms], target.region, self.clients)
        self.journal = Journal(store(where, lambda: self.clients("s3", target.region)), str(target))

    def _require_clean(self) -> None:
        """RefusedError when the checkout has changes: nobody could say afterwards what was released."""
        if self.settings.allow_dirty:
            return
        changed = [line[3:] for line in (self._git("status", "--porcelain") or "").splitlines()]
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise RefusedError(
                f"the checkout has changes that no commit contains ({', '.join(changed[:3])}{more}): commit them, or add "
                "--allow-dirty"
            )

    def _git(self, *arguments: str) -> str | None:
        """Return what git prints for the root's repository; None without git or a repository."""
        try:
            command = ["git", "-C", str(self.terraform.root), *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()
        except (OSError, subprocess.CalledProcessError):
            return None

    def _require_alarms(self) -> None:
        """RefusedError when there is no alarm, or one does not exist. A note about one that is slower than a step."""
        names = self.alarms.names
        if not names and not self.settings.without_alarms:
            raise RefusedError(
                f"there is no alarm to watch: the root's output {self.names.alarms_output} lists none. "
                "Give some with --alarm, or add --without-alarms"
            )
        states = self.alarms.states()
        if missing := [name for name in names if name not in states]:
            raise RefusedError(f"the alarm {missing[0]} does not exist in {self.function.target.region}")
        slow = max(states.values(), key=lambda alarm: alarm.seconds, default=None)
        if slow is not None and slow.seconds > self.settings.minutes * 60:
            self.progress.line(
                f"note: the alarm {slow.name} looks at {slow.seconds / 60:g} minutes, and each step is watched for "
                f"{self.settings.minutes:g}: it may fire after its step"
            )

    def _require_quiet(self) -> None:
        if firing := self.alarms.firing():
            alarm = firing[0]
            raise RefusedError(
                f"the alarm {alarm.name} is in ALARM already ({alarm.reason[:200]}): a rollout could not tell what it breaks"
            )

    def _require_docker(self, plan: Plan) -> None:
        """RefusedError when an image has to be built and no Docker daemon is reachable."""
        configured = plan.raw.get("configuration", {}).get("provider_config", {})
        providers = [c.get("expressions") or {} for n, c in configured.items() if "docker" in n]
        # With a Docker context, as job.sh sets it for a daemon with TLS, the address is in the context.
        elsewhere = os.environ.get("DOCKER_CONTEXT") or any({"host", "context"} & p.keys() for p in providers)
        if not plan.builds() or elsewhere:
            return
        if (problem := _docker_problem(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")) is not None:
            raise RefusedError(f"no Docker daemon is reachable, and the plan builds an image: {problem}")

    def _require_step(self, plan: Plan, expected: Routing, *, refusal: bool = False) -> None:
        """Raise an error when a plan does anything else than to send the requests where the step wants them."""
        error = RefusedError if refusal else DeliveryError
        target = self.function.target
        if others := plan.others(target):
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            raise error(
                f"the plan changes more than the alias {target}: {', '.join(others[:3])}{more}. Check out the commit that is "
                "deployed, or apply these changes first with the variables that `delivery variables` prints"
            )
        if (planned := plan.routing(target)) != expected:
            raise error(
                f"the plan sends requests to {planned}, not to {expected}: does the root pass "
                f"{self.names.version_variable} and {self.names.canary_variable} to the module's release?"
            )

    # --- The rollout ---

    def _start(self) -> Entry:
        self._require_quiet()
        routing = self.function.routing()
        if routing.version == "$LATEST":
            raise RefusedError(
                f"the alias {self.function.target} serves $LATEST, which changes and cannot be returned to"
            )
        self.function.require(routing.version)
        entry = Entry(routing.version, None, list(self.settings.steps), self.settings.minutes, self.alarms.names)
        entry.commit = self._git("rev-parse", "HEAD") or ""
        if self.settings.plan is not None:
            self._deploy(entry, self.terraform.read(self.settings.plan))
        else:
            with self.terraform.plan(self.names.pins(routing.version)) as plan:
                self._deploy(entry, plan)
        return self._take_steps(entry, self.settings.steps) if entry.result is None else entry

    def _deploy(self, entry: Entry, plan: Plan) -> None:
        """Apply a plan that leaves the alias as it is; it may publish a version."""
        target, routing = self.function.target, Routing(entry.old)
        if (planned := plan.routing(target)) != routing:
            raise RefusedError(
                f"the plan sends requests to {planned}, but {routing} serve now: plan with the variables that "
                "`delivery variables` prints, and pass them to the module's release"
            )
        self._require_docker(plan)
        changes = sum(1 for _ in plan.changes())
        if self.stop.is_set():
            raise RefusedError("stopped before anything was changed")
        entry.add(f"deploy without traffic: {changes} changes", routing)
        self._begin(entry)
        try:
            if changes:
                self.terraform.apply(plan)
            entry.new = str(self.terraform.outputs().get(self.names.newest_output) or self.function.versions()[-1])
        except DeliveryError as error:
            stopped = "stopped by a signal during the deployment" if self.stop.is_set() else None
            self._return(stopped or f"the deployment failed: {error}", entry)
            return
        if entry.new == entry.old:
            self._end("live", f"version {entry.old} is the newest one and serves: there is no new version to roll out")
            return
        self._note(entry, f"version {entry.new} is deployed and takes no traffic")

    def _take_steps(self, entry: Entry, steps: Sequence[int]) -> Entry:
        """Raise the share by steps, and return on any failure."""
        try:
            if entry.percent == 0:
                self._require_untried(entry)
                for request in self.settings.requests:
                    self._continue()
                    self.function.send(str(entry.new), request)
                    self._note(entry, f"version {entry.new}: {request}: passed")
            for percent in steps:
                self._continue()
                expected = self._expected(entry, percent)
                if self.function.routing() != expected:
                    pins = self._pins(entry, percent)
                    # The rollout's first plan refreshed the state. Later drift must not stop a step, and is not its to mend.
                    with self.terraform.plan(pins, refresh=False) as plan:
                        self._require_step(plan, expected)
                        self._continue()
                        self._shift(entry, plan, expected, percent)
                self._watch(entry, expected)
        except UnknownError as error:
            return self._end("unknown", self._how_to_go_on(str(error), self._routing_or_none()))
        except DeliveryError as error:
            return self._return(str(error), entry)
        return self._end("live", f"version {entry.new} serves all requests")

    def _require_untried(self, entry: Entry) -> None:
        tried = [e for e in self.journal.document.ended if e.new == entry.new and e.result == "returned" and e.percent]
        if tried and not self.settings.again:
            raise DeliveryError(
                f"version {entry.new} was returned before ({tried[0].reason}), and the root deploys nothing newer: "
                "deploy a fix, or add --again"
            )

    def _expected(self, entry: Entry, percent: int) -> Routing:
        return Routing(str(entry.new)) if percent == 100 else Routing(entry.old, entry.new, percent)

    def _pins(self, entry: Entry, percent: int) -> dict[str, int]:
        return self.names.pins(str(entry.new)) if percent == 100 else self.names.pins(entry.old, percent)

    def _shift(self, entry: Entry, plan: Plan, expected: Routing, percent: int) -> None:
        """Apply a saved plan that changes the alias, and check what AWS says."""
        entry.state, entry.percent = "shifting", percent
        self._note(entry, f"apply: {expected}")
        self.terraform.apply(plan)
        if (routing := self.function.routing()) != expected:
            raise UnknownError(f"after the apply the alias sends requests to {routing}, not to {expected}")
        entry.state = "watching"
        self._note(entry, str(expected), expected)

    def _watch(self, entry: Entry, expected: Routing) -> None:
        """Watch the alarms and the alias for the minutes of a step. DeliveryError when it has to return."""
        entry.state = "watching"
        self.journal.save()
        end = time.monotonic() + entry.minutes * 60
        readable = time.monotonic()
        while True:
            try:
                if firing := self.alarms.firing():
                    raise _AlarmError(f"the alarm {firing[0].name} is in ALARM: {firing[0].reason[:300]}")
                if (routing := self.function.routing()) != expected:
                    raise UnknownError(
                        f"somebody else changed the alias: it sends requests to {routing}, not to {expected}"
                    )
                readable = time.monotonic()
            except (_AlarmError, UnknownError):
                raise
            except DeliveryError:
                if time.monotonic() - readable > UNREADABLE_SECONDS:
                    raise
            left = end - time.monotonic()
            self.progress.watching(entry, max(left, 0))
            if left <= 0:
                return
            if self.stop.wait(min(self.settings.poll, left)):
                raise StoppedError("stopped by a signal")

    def _continue(self) -> None:
        if self.stop.is_set():
            raise StoppedError("stopped by a signal")

    # --- The return ---

    def _return(self, reason: str, entry: Entry) -> Entry:
        """Send all requests to the version that served before, and end the entry."""
        back = Routing(entry.old)
        self.begun = True
        entry.state = "returning"
        entry.reason = reason
        self._note(entry, f"return to version {entry.old}: {reason}")
        problem = ""
        for attempt in range(RETURN_ATTEMPTS):
            try:
                routing = self.function.routing()
                if routing == back:
                    if attempt == 0:
                        entry.add(f"{routing}", routing)
                    return self._end("returned", reason)
                if routing.shares.keys() - {entry.old, str(entry.new)}:
                    problem = "somebody else changed the alias"
                    break
                # This run's own state is fresh; a lost runner's may not be. Neither drift nor a newer checkout than the lost
                # runner's may keep a bad version serving.
                refresh = (self.resumed, not self.resumed, False)[attempt]
                with self.terraform.plan(self.names.pins(entry.old), refresh=refresh) as plan:
                    others = plan.others(self.function.target)
                    if attempt == RETURN_ATTEMPTS - 1 and others and plan.routing(self.function.target) == back:
                        self._note(entry, f"the return also applies what the checkout changes: {', '.join(others)}")
                    else:
                        self._require_step(plan, back)
                    self.terraform.apply(plan)
                if (routing := self.function.routing()) == back:
                    self._note(entry, str(back), back)
                    return self._end("returned", reason)
                problem = f"the alias sends requests to {routing} after the apply"
            except DeliveryError as error:
                problem = str(error)
            self._note(entry, f"the return failed: {problem}")
            time.sleep(min(self.settings.poll, 2.0))
        return self._end(
            "unknown", self._how_to_go_on(f"{reason}; the return failed: {problem}", self._routing_or_none())
        )

    def _how_to_go_on(self, problem: str, routing: Routing | None) -> str:
        """Return the sentences that a rollout ends with when it ends between two versions."""
        entry = self.journal.document.current
        serves = str(routing) if routing else "unknown"
        old = entry.old if entry else "VERSION"
        root = self.terraform.root
        return (
            f"{problem}. Served now: {serves}. To go on: `delivery status --root {root}`, then "
            f"`delivery rollback --root {root} --to {old}`"
        )

    def _routing_or_none(self) -> Routing | None:
        with suppress(DeliveryError):
            return self.function.routing()
        return None

    def _recovered(self, entry: Entry) -> str:
        """Wait until no alarm is in ALARM, for at most the minutes of a step, and return what to say."""
        end = time.monotonic() + entry.minutes * 60
        try:
            while firing := self.alarms.firing():
                left = end - time.monotonic()
                self.progress.watching(entry, max(left, 0))
                if left <= 0 or self.stop.wait(min(self.settings.poll, left)):
                    return f"still in ALARM: {', '.join(alarm.name for alarm in firing)}"
        except DeliveryError as error:
            return f"its alarms cannot be watched: {error}"
        return "no alarm is in ALARM"

    # --- Half-done rollouts ---

    def _adopt(self, routing: Routing) -> Entry:
        """Return the rollout that the alias shows, for which the journal has no entry."""
        steps = [step for step in self.settings.steps if step >= routing.percent]
        entry = Entry(
            routing.version, routing.canary, steps, self.settings.minutes, self.alarms.names, state="watching"
        )
        entry.percent = routing.percent
        entry.add(f"found on the alias, without a journal: {routing}", routing)
        return entry

    def _half_done_note(self) -> str:
        """Return what a refusal adds when a rollout is half-done."""
        with suppress(DeliveryError):
            current, routing = self.journal.load().current, self.function.routing()
            if current is not None or routing.canary is not None:
                root = self.terraform.root
                return f". A rollout is half-done, {routing} serve: `delivery status --root {root}` says how to go on"
        return ""

    def _half_done(self) -> Entry | None:
        routing = self.function.routing()
        current = self.journal.document.current
        if current is None and routing.canary is not None:
            current = self.journal.begin(self._adopt(routing))
        return current

    def _resume(self, entry: Entry) -> Entry | None:
        """Finish or return a half-done rollout; None when it took no traffic, so that a new one can start."""
        routing = self.function.routing()
        reason = entry.reason
        entry.result, entry.reason, entry.ended = None, "", None
        self.begun = self.resumed = True
        self.progress.begin(entry)
        self._note(
            entry, f"found half-done ({entry.state}, {entry.percent} %), started {entry.started}: {routing}", routing
        )
        if entry.kind == "rollback":
            done = routing == Routing(str(entry.new))
            self._end("live" if done else "returned", "its runner was lost")
            self.begun = False
            return self._resume(self.journal.begin(self._adopt(routing))) if routing.canary else None
        if entry.state == "returning":
            return self._return(reason or "its runner was lost", entry)
        if not routing.shares.keys() <= {entry.old, entry.new}:
            self.journal.end("superseded", f"somebody else changed the alias: it sends requests to {routing}")
            if routing.canary is None:
                self.begun = False
                return None
            raise RefusedError(
                f"the alias sends requests to {routing}, which is neither all from version {entry.old} nor from this journal's "
                f"rollout of {entry.new}: run `delivery rollback --root {self.terraform.root} --to VERSION` first"
            )
        if routing == Routing(entry.old):
            self._end("returned", "its runner was lost before it took traffic")
            self.begun = False
            return None
        if firing := self.alarms.firing():
            return self._return(f"the alarm {firing[0].name} is in ALARM: {firing[0].reason[:300]}", entry)
        percent = routing.percent if routing.canary else 100
        try:
            with self.terraform.plan(self._pins(entry, percent)) as plan:
                self._require_step(plan, self._expected(entry, percent))
        except DeliveryError as error:
            return self._return(f"the half-done rollout cannot be finished from this checkout: {error}", entry)
        entry.percent = percent
        self._note(entry, f"go on at {percent} %")
        return self._take_steps(entry, [percent, *(step for step in entry.steps if step > percent)])

    def _previous(self, routing: Routing) -> str:
        """Return the version to roll back to."""
        document = self.journal.document
        if (current := document.current) is not None:
            return str(current.new) if current.kind == "rollback" else current.old
        if routing.canary is not None:
            return routing.version
        for entry in document.ended:
            if entry.new == routing.version and entry.result == "live" and entry.old != entry.new:
                return entry.old
        older = [version for version in self.function.versions() if int(version) < int(routing.version)]
        if not older:
            raise RefusedError(f"there is no version older than {routing.version}, which serves {self.function.target}")
        return older[-1]

    # --- Journal and progress ---

    def _begin(self, entry: Entry) -> None:
        self.journal.begin(entry)
        self.begun = True
        self.progress.begin(entry)

    def _note(self, entry: Entry, text: str, routing: Routing | None = None) -> None:
        entry.add(text, routing)
        try:
            self.journal.save()
        except UnknownError:
            raise
        except DeliveryError as error:
            # A return goes on without a journal.
            if entry.state != "returning":
                raise
            self.progress.line(f"the journal cannot be written: {error}")
        self.progress.event(entry, text)

    def _end(self, result: str, reason: str) -> Entry:
        entry = self.journal.current()
        try:
            self.journal.end(result, reason)
        except UnknownError:
            raise
        except DeliveryError as error:
            self.progress.line(f"the journal cannot be written: {error}")
        self.progress.end(entry)
        return entry


class _AlarmError(DeliveryError):
    """An alarm is in ALARM."""


def _docker_problem(host: str) -> str | None:
    """Return why the Docker daemon at this address does not answer, or None when it does, or when it cannot be asked here."""
    address = urlsplit(host)
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(address.path)
        elif address.scheme in {"tcp", "http", "https"} and address.hostname:
            socket.create_connection((address.hostname, address.port or 2375), timeout=5).close()
    except OSError as error:
        return f"{host}: {error.strerror or error}"
    return None
