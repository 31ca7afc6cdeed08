"""The durable functions: each does one thing, then puts the calls that follow into the queue.

A function that was interrupted is begun again; a finished step of it is not. What a step returns is plain JSON. None
of them waits for another: an order of calls is a chain, so a campaign of weeks holds no thread.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbos import DBOS
from dbos import error as dbos_error

from lab.campaigns.base import STORAGE, HostServices, Listener, ProgressEvent, ignore_events, never_stop
from lab.campaigns.beside_device import contact as greet
from lab.campaigns.beside_device import left_behind, measure_block
from lab.campaigns.calls import Call, Json, Queue, call_from_json, call_to_json, device_queue
from lab.campaigns.controller import Controller
from lab.campaigns.recovery import error_outcome
from lab.domain.block import BlockManifest
from lab.errors import SharedFilesMissing, StoreError
from lab.store.durable import is_disk_full

from .client import options
from .nudge import wake

_LATER_S = 120.0
_RECOVERIES_MAX = 20
"""A call that ends its process this often is parked, not begun again for ever."""


@dataclass(kw_only=True)
class Runtime:
    """What this process can do; a part it has not is a queue it does not listen to."""

    controller: Controller | None = None
    host: Callable[[Callable[[], bool]], HostServices] | None = None
    compress: Callable[[list[Json]], Json] | None = None
    act: Callable[[str, list[Json]], Json] | None = None
    listener: Listener = ignore_events


class _Count:
    """How many steps are at a device now."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def acquire(self) -> None:
        with self._changed:
            self._count += 1

    def release(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_for_none(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout_s)


_runtime = Runtime()
_deciding = threading.Lock()
_compressing = threading.Lock()
_at_device = _Count()
_held_up = threading.Event()


def wait_for_devices(timeout_s: float) -> bool:
    """Whether no step of this process is at a device any more, after at most so long."""
    return _at_device.wait_for_none(timeout_s)


def serve_with(runtime: Runtime) -> None:
    """Say what the functions of this process work with, before they are begun."""
    global _runtime  # noqa: PLW0603 dbos calls module functions, and one process has one engine
    _runtime = runtime


def _durable(name: str, queue_of: Callable[..., str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A durable function of that name; once it has ended, its queue is looked at for what waits behind it."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @DBOS.workflow(name=name, max_recovery_attempts=_RECOVERIES_MAX)
        @functools.wraps(function)
        def call(*args: Any) -> Any:
            try:
                return function(*args)
            finally:
                wake([queue_of(*args)], DBOS.workflow_id)

        return call

    return decorate


def _in(queue: str) -> Callable[..., str]:
    return lambda *_args: queue


def _beside(position: int) -> Callable[..., str]:
    """The queue of the device whose JSON is that argument."""
    return lambda *args: device_queue(json.loads(args[position])["agent_host"])


def _of_order(_campaign_id: str, _epoch: int, order: Json, _tries: int) -> str:
    return device_queue(json.loads(order["target"])["agent_host"])


def _follow(calls: list[Json]) -> None:
    followed = [call_from_json(data) for data in calls]
    for call in followed:
        DBOS.enqueue_workflow_with_options(options(call), *call.args)
    wake({call.queue_name for call in followed if not call.delay_s})


def tell_why_waiting(error: Exception | None) -> None:
    """Say to whoever watches this process why nothing can be stored; None once something was."""
    if error is not None or _held_up.is_set():
        text = "" if error is None else f"waiting: {error}"
        _runtime.listener(ProgressEvent(stage="analyse", subject=STORAGE, text=text))
    if error is None:
        _held_up.clear()
    else:
        _held_up.set()


def _is_storage(error: BaseException) -> bool:
    """Whether the same call may succeed once there is space, or the shared files are in reach."""
    return isinstance(error, StoreError) or is_disk_full(error)


@DBOS.step(name="decide", retries_allowed=True, max_attempts=9, interval_seconds=0.5, backoff_rate=2.0,
           should_retry=lambda error: _is_storage(error) and not isinstance(error, SharedFilesMissing))
def _decide(name: str, args: list[Json]) -> list[Json]:
    controller = _runtime.controller
    if controller is None:
        raise RuntimeError("this process is no controller")
    try:
        with _deciding:  # a nudge and a poll at once may each start one
            calls = [call_to_json(call) for call in getattr(controller, name)(*args)]
        tell_why_waiting(None)
        return calls
    except Exception as error:
        if _is_storage(error):
            tell_why_waiting(error)
            raise
        if name == "collected":  # of a campaign that may be long over: what came late does not undo its end
            raise
        controller.broke(args[0], error)
    return []


def _decide_and_follow(name: str, args: list[Json], queue: Queue = "control", *,
                       decide: Callable[[str, list[Json]], list[Json]] = _decide,
                       follow: Callable[[list[Json]], None] = _follow) -> list[Json]:
    """What the controller decides, and the calls that follow; these are returned.

    While the disk is full or the shared files are away, the same call is put into the queue for later; this one ends
    as an error, so that nobody takes it for done.
    """
    try:
        calls = decide(name, args)
    except (dbos_error.DBOSMaxStepRetriesExceeded, SharedFilesMissing):
        if name == "collected" and not args[2]:  # its worker calls again once it is told where to share
            raise
        later = Call(name=name, id=f"{DBOS.workflow_id}:later", queue=queue, args=args, delay_s=_LATER_S)
        follow([call_to_json(later)])
        raise
    follow(calls)
    return calls


@_durable("plan", _in("campaigns"))
def plan(*args: Any) -> None:
    """A campaign becomes cells; its devices are asked what they are."""
    _decide_and_follow("plan", list(args), "campaigns")


@_durable("advance", _in("control"))
def advance(*args: Any) -> None:
    """A device goes on."""
    _decide_and_follow("advance", list(args))


@_durable("contact", _beside(2))
def contact(campaign_id: str, epoch: int, target: str, profile: str, number: int) -> None:
    """Beside the device: connect and learn what is there."""
    outcome = {**_contact(target, profile), "number": number}
    name = _name_of(target)
    follow = Call(name="contacted", id=f"{campaign_id}:{epoch}:contacted:{name}:{number}", queue="control",
                  args=[campaign_id, epoch, name, outcome])
    _follow([call_to_json(follow)])


@_durable("contacted", _in("control"))
def contacted(*args: Any) -> None:
    """The device's answer at the controller."""
    _decide_and_follow("contacted", list(args))


@_durable("compress", _in("compress"))
def compress(campaign_id: str, epoch: int, key: str, *args: Any) -> None:
    """On any compress worker: make one artifact."""
    outcome = _compress(list(args))
    follow = Call(name="compressed", id=compressed_id(str(DBOS.workflow_id)), queue="control",
                  args=[campaign_id, epoch, key, outcome])
    _follow([call_to_json(follow)])


@_durable("compressed", _in("control"))
def compressed(*args: Any) -> None:
    """The artifact's record at the controller."""
    _decide_and_follow("compressed", list(args))


@_durable("block", _of_order)
def block(campaign_id: str, epoch: int, order: Json, tries: int) -> None:
    """Beside the device: measure one block, then hand its references over."""
    outcome = _measure(campaign_id, order, tries)
    if outcome is not None:
        _follow([call_to_json(ingest_call(campaign_id, epoch, order, tries, outcome))])
    _follow(_leftovers(str(order["plan"]["block_id"])))


@_durable("ingested", _in("control"))
def ingested(*args: Any) -> None:
    """The block's recordings into the database, by the one who writes it.

    If nothing came to be stored, or it is asked for again, the call ends as an error: a success tells the worker that
    it may forget the block.
    """
    plan, outcome = args[2]["plan"], args[4]
    calls = _decide_and_follow("ingested", list(args))
    again = any(call["name"] == "block" and call["args"][2]["plan"] == plan for call in calls)
    if again or outcome.get("error"):
        raise StoreError(f"Block {plan['block_id']}: nothing was stored by this call.")


@_durable("collected", _in("control"))
def collected(*args: Any) -> None:
    """Recordings of a block that an earlier process began."""
    _decide_and_follow("collected", list(args))


@_durable("action", _beside(1))
def action(verb: str, *args: Any) -> Json:
    """Something a person asked of a device, in its turn between blocks; returns the answer or the error."""
    return _act(verb, list(args))


def compressed_id(compress_id: str) -> str:
    """Of the call that takes what another one made; a second try for the same artifact has another one."""
    return compress_id.replace(":compress:", ":compressed:", 1)


def ingest_call(campaign_id: str, epoch: int, order: Json, tries: int, outcome: Json) -> Call:
    """Hands a block's outcome to the controller; the id keeps its epoch out, so that it is taken once."""
    plan_json = order["plan"]
    return Call(name="ingested", id=f"{campaign_id}:ingest:{plan_json['block_id']}:{plan_json['attempt']}:{tries}",
                queue="control", args=[campaign_id, epoch, order, tries, outcome])


@DBOS.step(name="contact")
def _contact(target: str, profile: str) -> Json:
    return _guarded(lambda host: greet(target, profile, host))


@DBOS.step(name="compress")
def _compress(args: list[Json]) -> Json:
    work = _runtime.compress
    if work is None:
        raise RuntimeError("this process does not compress")
    try:
        with _compressing:
            return {"model": work(args)}
    except Exception as error:  # noqa: BLE001 the technique's defect is written into its cells
        return {"error": error_outcome(error)}


@DBOS.step(name="measure")
def _measure(campaign_id: str, order: Json, tries: int) -> Json:
    """None if the outcome was handed over before this process came back to life."""
    if DBOS.get_workflow_status(ingest_call(campaign_id, 0, order, tries, None).id) is not None:
        return None
    return _guarded(lambda host: measure_block(order, host))


@DBOS.step(name="act")
def _act(verb: str, args: list[Json]) -> Json:
    act = _runtime.act
    if act is None:
        raise RuntimeError("this process has no devices")
    try:
        return {"answer": act(verb, args)}
    except Exception as error:  # noqa: BLE001 the person who asked gets the reason
        return {"error": error_outcome(error)}


@DBOS.step(name="leftovers")
def _leftovers(but: str) -> list[Json]:
    """Calls that hand over what earlier processes fetched and never did."""
    if _runtime.host is None:
        return []
    found = left_behind(_runtime.host(never_stop), _is_taken, but)
    return [call_to_json(collected_call(args)) for args in found]


def collected_call(args: list[Json]) -> Call:
    """Hands over a block that an earlier process began; once it is among the shared files that is another call."""
    campaign_id, manifest, is_shared = args[:3]
    shared = ":shared" if is_shared else ""
    return Call(name="collected", id=_collected_id(campaign_id, manifest["block_id"], manifest["attempt"]) + shared,
                queue="control", args=args)


def _collected_id(campaign_id: str, block_id: str, attempt: int) -> str:
    return f"{campaign_id}:collected:{block_id}:{attempt}"


def _is_taken(campaign_id: str, manifest: BlockManifest) -> bool:
    """Whether the controller has stored the block."""
    collected = _collected_id(campaign_id, manifest.block_id, manifest.attempt)
    prefixes = [f"{campaign_id}:ingest:{manifest.block_id}:{manifest.attempt}:", collected]
    return bool(DBOS.list_workflows(workflow_id_prefix=prefixes, status="SUCCESS", load_input=False, load_output=False))


def _guarded(work: Callable[[HostServices], Json]) -> Json:
    """The work's answer; a defect of ours becomes an error that the controller writes down."""
    if _runtime.host is None:
        raise RuntimeError("this process has no devices")
    workflow_id = DBOS.workflow_id
    _at_device.acquire()
    try:
        return work(_runtime.host(lambda: _is_cancelled(workflow_id)))
    except Exception as error:  # noqa: BLE001 the device's dispatch: other devices go on
        return {"error": error_outcome(error)}
    finally:
        _at_device.release()


def _is_cancelled(workflow_id: str | None) -> bool:
    status = DBOS.get_workflow_status(workflow_id) if workflow_id else None
    return status is not None and status.status == "CANCELLED"


def _name_of(target: str) -> str:
    return str(json.loads(target)["name"])
