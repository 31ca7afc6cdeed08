"""The durable queue with everything it needs: submit, work, watch."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.campaigns.base import HostServices, Listener, Progress, ProgressEvent, Services, ignore_events
from lab.campaigns.calls import CONTROLLER
from lab.campaigns.states import CAMPAIGN_ACTIVE, CAMPAIGN_OVER
from lab.domain.campaign import Campaign
from lab.domain.device import Device, DeviceProfile
from lab.domain.flags import Verdict
from lab.errors import SharedFilesMissing
from lab.wiring import build_transport, compressor, load_workload_for, open_services, owner_of, shared_files

if TYPE_CHECKING:
    from lab.campaigns.dry_run import DryRun
    from lab.campaigns.engine.client import DurableEngine
    from lab.campaigns.engine.guard import Hold
    from lab.campaigns.engine.roster import Beating
    from lab.campaigns.engine.workflows import Runtime
    from lab.campaigns.standing import Standing
    from lab.store.artifacts import ArtifactStore
    from lab.store.store import Store

LOCAL_ROLES = ("controller", "compress", f"devices:{CONTROLLER}")
"""What the process of `lab run` does: everything, for the devices that this machine reaches."""

_LOOK_S = 0.2


@contextmanager
def open_engine(services: Services) -> Iterator[DurableEngine]:
    """A client of the queue for this LAB_HOME."""
    from lab.campaigns.engine.client import DurableEngine
    from lab.campaigns.engine.database import engine_url

    with DurableEngine(services.home, engine_url(services.home), services.store) as engine:
        yield engine


def run_campaign(services: Services, campaign: Campaign, source_text: str, *, priority: int = 10) -> Progress:
    """Submit a campaign, work on it in this process unless another one does, and return when it has ended.

    It has ended too when all that is left waits for a quarantined device. Finished cells are not measured again.
    """
    done = _already_done(services, campaign, source_text)
    if done is not None:
        return done
    with open_engine(services) as engine:
        campaign_id = engine.submit(campaign, source_text, priority=priority)
        see_through(services, engine, campaign_id)
        return engine.progress(campaign_id)


def see_through(services: Services, engine: DurableEngine, campaign_id: str) -> None:
    """Return when the campaign has ended; takes the work over as soon as no other process does it.

    Raises ExecutorTaken when the queue's server was away and another process has the work since.
    """
    with ExitStack() as stack:
        hold: Hold | None = None
        while not has_ended(engine, campaign_id):
            if hold is not None:
                hold.check()
            else:
                hold = _try_to_work(services, stack)
                if hold is None:
                    _relay(engine, services.listener)
            time.sleep(_LOOK_S)
        engine.drop_rest(campaign_id)


def has_ended(engine: DurableEngine, campaign_id: str) -> bool:
    """Whether nothing more will happen by itself."""
    state = engine.state(campaign_id)
    return state in CAMPAIGN_OVER or (state == "waiting" and not engine.live(campaign_id))


@contextmanager
def work(services: Services, roles: Sequence[str] = LOCAL_ROLES) -> Iterator[Hold]:
    """Work for these roles, in the background, for the time of the `with`. Raises ExecutorTaken."""
    from lab.campaigns.engine.database import engine_url
    from lab.campaigns.engine.worker import working

    url = engine_url(services.home)
    with open_engine(services) as engine:
        chores = _chores(engine, services) if "controller" in roles else _nothing
        with working(services.home, url, "controller", roles, lambda beating: _runtime(services, beating),
                     chores) as hold:
            if "controller" in roles:
                revive(services, engine)
            yield hold


@contextmanager
def work_apart(home: Path, executor_id: str, roles: Sequence[str], listener: Listener = ignore_events
               ) -> Iterator[Hold]:
    """Work beside devices or on compressions, without a database of results. Raises ExecutorTaken, StoreError."""
    from lab.campaigns.engine.database import engine_url
    from lab.campaigns.engine.worker import working

    with working(home, engine_url(home), executor_id, roles,
                 lambda beating: _runtime_apart(home, beating, listener)) as hold:
        yield hold


@contextmanager
def work_as_controller(listener: Listener = ignore_events) -> Iterator[Hold]:
    """All roles, with services of its own."""
    with open_services(listener) as services, work(services) as hold:
        yield hold


def until_interrupted(hold: Hold) -> None:
    """Sleep until Ctrl-C or SIGTERM; raises ExecutorTaken once another process does this one's work."""
    with suppress(KeyboardInterrupt):
        while True:
            hold.check()
            time.sleep(0.5)


def look(services: Services, campaign: str) -> Standing:
    """Where a campaign (id, name or beginning of an id) stands."""
    from lab.campaigns.standing import WorkerSeen, standing

    campaign_id = services.store.campaign(campaign).id
    with open_engine(services) as engine:
        seen = [WorkerSeen(roles=line.roles, is_alive=line.is_alive, doing=line.doing) for line in engine.workers()]
    return standing(campaign_id, seen, services)


def dry_run(services: Services, campaign: Campaign) -> DryRun:
    """What a campaign would do, without touching a device or making an artifact."""
    from lab.campaigns.dry_run import look_ahead

    return look_ahead(campaign, services)


def cancel_here(services: Services, campaign_id: str) -> None:
    """Cancel, and see to it that a block which this machine's agents run for the campaign ends now."""
    from lab.campaigns.block import host_spool, open_session
    from lab.errors import LabError

    with open_engine(services) as engine:
        engine.cancel(campaign_id)
    for device in services.store.devices():
        for order in host_spool(services).promised(device.name):
            if order.campaign_id != campaign_id:
                continue
            with suppress(LabError), open_session(order.target, order.profile, services) as session:
                fence = session.acquire_lease(services.owner, 60.0)
                session.cancel_block(order.plan.block_id, fence)
                session.release_lease(fence)


def ask_device(services: Services, name: str, verb: str, settings: dict[str, Any], timeout_s: float = 600.0) -> Any:
    """A device action, carried out by whoever has the device: here and now, or in its turn by its worker."""
    device = services.store.device(name)
    profile, _ = services.profile(device.profile)
    return ask(services, device, profile, verb, settings, timeout_s)


def ask(services: Services, device: Device, profile: DeviceProfile, verb: str, settings: dict[str, Any],
        timeout_s: float = 600.0) -> Any:
    """The same for a device that need not be registered yet."""
    from lab.campaigns.actions import act
    from lab.campaigns.calls import Call
    from lab.store.codec import to_text

    args = [to_text(device), to_text(profile), settings]
    if device.agent_host == CONTROLLER:
        return act(verb, args, services.host)
    call = Call(name="action", id=f"action:{verb}:{device.name}:{uuid.uuid4()}", queue="device", args=[verb, *args],
                device=device.name, agent_host=device.agent_host, priority=1)
    with open_engine(services) as engine:
        return engine.ask(call, timeout_s)


def release_device(services: Services, name: str, *, kick: bool) -> str:
    """End a reservation and a quarantine; campaigns that were held by it go on.

    With `kick` somebody else's reservation too, and the lease that another lab holds on the device itself; what was
    found there is returned in words.
    """
    from .by_hand import kick_lease

    store = services.store
    store.free(name, services.owner, kick=kick)
    if store.health(name).quarantined_utc:
        store.lift_quarantine(name)
        store.note_grant(name, "recovered", services.owner, None, "quarantine lifted by a person")
    with open_engine(services) as engine:
        for summary in store.campaigns():
            states = store.cell_states(summary.id) if summary.state not in CAMPAIGN_OVER else {}
            if any(state == "held" for state, _ in states.values()):
                engine.restart(summary.id)
    return kick_lease(services, name) if kick else ""


def revive(services: Services, engine: DurableEngine) -> None:
    """Campaigns that should go on but of which the queue knows nothing, as when its file was lost, begin again."""
    for summary in services.store.campaigns():
        held = summary.state == "waiting" and summary.failure
        if summary.state in CAMPAIGN_ACTIVE and not held and not engine.live(summary.id):
            engine.resume(summary.id)


def _try_to_work(services: Services, stack: ExitStack) -> Hold | None:
    from lab.errors import ExecutorTaken

    try:
        return stack.enter_context(work(services))
    except ExecutorTaken:
        return None


def _relay(engine: DurableEngine, listener: Listener) -> None:
    """What other processes do, for those who watch here."""
    for line in engine.workers():
        for subject, text in line.doing.items():
            listener(ProgressEvent(stage="measure", subject=subject, text=text))


def _already_done(services: Services, campaign: Campaign, source_text: str) -> Progress | None:
    """A finished campaign submitted again: its results once more, without opening the queue.

    Of a pool the device that measured is looked at, though another one may have less to do now; and a time budget that
    was spent is no reason to measure: whoever wants more resumes the campaign.
    """
    from lab.campaigns.controller import Controller
    from lab.campaigns.ids import campaign_id_of

    store, campaign_id = services.store, campaign_id_of(campaign)
    known = next((each for each in store.campaigns() if each.id == campaign_id), None)
    devices = tuple(dict.fromkeys(cell.device for cell in store.cells(campaign_id)))
    if known is None or known.state != "done" or set(devices) - {device.name for device in store.devices()}:
        return None
    controller = Controller(services)
    services.listener(ProgressEvent(stage="prepare", subject=campaign.workload, text="loading the workload"))
    workload = controller.workload(campaign)
    cells = controller.planned(campaign_id, campaign, workload, source_text, devices)
    unfinished = controller.conclude(campaign_id, campaign, workload, cells)
    if campaign.protocol.budget_ns is not None:
        unfinished = [cell for cell in unfinished if not _has_result(store, cell.id)]
    if unfinished:
        return None
    return Progress(campaign_id=campaign_id, state="done", cells_total=len(cells), cells_done=len(cells),
                    cells_failed=0)


def _has_result(store: Store, cell_id: str) -> bool:
    result = store.result(cell_id)
    return result is not None and result.n_blocks > 0 and result.verdict is not Verdict.VOID


def _runtime(services: Services, beating: Beating) -> Runtime:
    from lab.campaigns.controller import Controller
    from lab.campaigns.engine.workflows import Runtime

    heard = replace(services, listener=_both(services.listener, beating.note))
    host = heard.host
    if services.shared is not None:  # a compress worker on another machine may have made it
        host = replace(host, artifact=lambda sha256: _fetched(heard.home, sha256))
    return Runtime(controller=Controller(heard), compress=_compress(heard.home, heard.listener, heard),
                   host=lambda stop: replace(host, should_stop=stop), act=_act(host), listener=heard.listener)


def _runtime_apart(home: Path, beating: Beating, listener: Listener) -> Runtime:
    from lab.campaigns.engine.workflows import Runtime

    heard = _both(listener, beating.note)
    host = _host_apart(home, heard)
    return Runtime(host=lambda stop: replace(host, should_stop=stop), compress=_compress(home, heard), act=_act(host),
                   listener=heard)


def _host_apart(home: Path, listener: Listener) -> HostServices:
    from lab.devices.bundle import build_bundle

    return HostServices(home=home, bundle=lambda: build_bundle(home / "agent"), owner=owner_of(home),
                        transport=lambda device, profile: build_transport(device, profile, home, None),
                        artifact=lambda sha256: _fetched(home, sha256), listener=listener, shared=shared_files())


def _fetched(home: Path, sha256: str) -> Path:
    """The artifact's file here, from the shared files if this machine has not seen it yet.

    Raises SharedFilesMissing if it is neither here nor there, StoreError while they cannot be reached.
    """
    artifacts = _artifacts(home)
    if artifacts.has(sha256):
        return artifacts.path(sha256)
    shared, here = shared_files(), f"{platform.node()}, LAB_HOME {home}"
    if shared is None:
        raise SharedFilesMissing(
            f"Artifact {sha256[:12]} is not at this worker ({here}), and LAB_SHARED_URL is not set for it, so it "
            "cannot fetch it. Set it there to the controller's address and start the worker again; the campaign then "
            "goes on by itself.")
    if not shared.has("artifacts", sha256):
        raise SharedFilesMissing(
            f"Artifact {sha256[:12]} is not in the shared files {shared.url} of this worker ({here}). Check that "
            "LAB_SHARED_URL is the same address at the controller, at compress workers and here.")
    shared.pull("artifacts", sha256, artifacts.place(sha256))
    return artifacts.path(sha256)


def _artifacts(home: Path) -> ArtifactStore:
    from lab.store.artifacts import ArtifactStore
    from lab.store.store import ARTIFACTS_FOLDER

    return ArtifactStore(home / ARTIFACTS_FOLDER)


def _compress(home: Path, listener: Listener, services: Services | None = None) -> Callable[[list[Any]], str]:
    from lab.campaigns.compressing import Compressing

    artifacts = _artifacts(home)
    return Compressing(
        workload=services.workload if services else lambda spec: load_workload_for(spec, home, listener),
        compress=services.compress if services else compressor(home, artifacts), artifacts=artifacts,
        shared=shared_files(), listener=listener)


def _act(host: HostServices) -> Callable[[str, list[Any]], Any]:
    from lab.campaigns.actions import act

    return lambda verb, args: act(verb, args, host)


def _chores(engine: DurableEngine, services: Services) -> Callable[[], None]:
    """Now and then: calls of finished campaigns are forgotten, compressions of dead workers go back to the living."""
    from lab.campaigns.engine.roster import DeadTwice

    state = {"next": time.monotonic() + 10.0}
    pruned: set[tuple[str, int]] = set()
    dead = DeadTwice()

    def chores() -> None:
        if time.monotonic() < state["next"]:
            return
        state["next"] = time.monotonic() + 10.0
        engine.take_over(dead.among(engine.workers()))
        for summary in services.store.campaigns():
            if summary.state in CAMPAIGN_OVER and (summary.id, summary.epoch) not in pruned:
                engine.prune(summary.id)
                pruned.add((summary.id, summary.epoch))

    return chores


def _nothing() -> None:
    """No chores."""


def _both(first: Listener, second: Listener) -> Listener:
    def listen(event: ProgressEvent) -> None:
        first(event)
        second(event)

    return listen

