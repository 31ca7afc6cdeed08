"""What CLI and board ask of the queue: submit, cancel, resume, look. Nothing here runs a call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.campaigns.base import Progress
from lab.campaigns.calls import Call, Json, plan_call
from lab.campaigns.ids import campaign_id_of
from lab.campaigns.pools import POOL, members
from lab.campaigns.recovery import outcome_from_json
from lab.campaigns.states import CAMPAIGN_ACTIVE
from lab.domain.campaign import Campaign
from lab.errors import LabError
from lab.store.store import Store

from .bell import ring
from .database import VERSION, client, connect
from .nudge import wake
from .roster import WorkerLine, workers

_ASK_POLL_S = 0.2
_LIVE = ["ENQUEUED", "PENDING", "DELAYED"]


class DurableEngine:
    """See `lab.campaigns.base.Engine`. Use as a context manager; it needs no worker to answer."""

    def __init__(self, home: Path, url: str, store: Store) -> None:
        self._home = home
        self._store = store
        self._client = client(url)
        self._database = connect(url)

    def submit(self, campaign: Campaign, source_text: str = "", *, priority: int = 10) -> str:
        """Accept a campaign; the same campaign has the same id, whoever submits it, and is not begun twice."""
        campaign_id = campaign_id_of(campaign)
        for name in campaign.devices:
            if name.startswith(POOL):
                members(name, self._store)
            else:
                self._store.device(name)
        epoch = self._store.open_epoch(campaign_id, campaign, source_text, priority=priority, active=CAMPAIGN_ACTIVE)
        if epoch is not None:
            self._begin(campaign_id, epoch)
        elif not self.live(campaign_id):
            self._revive(campaign_id)
        return campaign_id

    def cancel(self, campaign_id: str) -> None:
        """Stop it: what waits is dropped, a running block ends on its device, what was measured stays."""
        self._store.set_campaign_state(campaign_id, "cancelled")
        self._drop(campaign_id)

    def resume(self, campaign_id: str) -> None:
        """Go on with what is not done, failed cells too; one that goes on already is left alone."""
        if self._store.head(campaign_id).state in CAMPAIGN_ACTIVE and self.live(campaign_id):
            return
        self._begin(campaign_id, None)

    def drop_rest(self, campaign_id: str) -> None:
        """Calls of a campaign that is over, as a block queued in advance, are not needed any more."""
        if self._store.head(campaign_id).state not in CAMPAIGN_ACTIVE:
            self._drop(campaign_id)

    def restart(self, campaign_id: str) -> None:
        """Begin the campaign's chain again, whatever is under way; nothing that is measured is measured again."""
        self._begin(campaign_id, None)

    def progress(self, campaign_id: str) -> Progress:
        """Where it stands, from the store."""
        summary = self._store.campaign(campaign_id)
        return Progress(campaign_id=summary.id, state=summary.state, cells_total=summary.cells_total,
                        cells_done=summary.cells_done, cells_failed=summary.cells_failed)

    def state(self, campaign_id: str) -> str:
        """The campaign's state alone, which is quick to ask however many cells it has."""
        return self._store.head(campaign_id).state

    def live(self, campaign_id: str) -> tuple[tuple[str, str, str], ...]:
        """(id, name, status) of the campaign's calls that wait or are being carried out."""
        found = self._client.list_workflows(workflow_id_prefix=f"{campaign_id}:", status=_LIVE, load_input=False,
                                            load_output=False)
        return tuple((each.workflow_id, each.name, each.status) for each in found)

    def workers(self) -> tuple[WorkerLine, ...]:
        """Who works."""
        return workers(self._database)

    def ask(self, call: Call, timeout_s: float) -> Json:
        """Enqueue a device action and wait for its answer; raises LabError with the reason, also after `timeout_s`."""
        self.enqueue([call])
        handle: Any = self._client.retrieve_workflow(call.id)
        deadline = time.monotonic() + timeout_s
        while handle.get_status().status in _LIVE:
            if time.monotonic() > deadline:
                self._client.cancel_workflows([call.id])  # nobody waits for it any more
                raise LabError(f"{call.device} did not answer within {timeout_s:.0f} s. Its worker is asked when the "
                               f"block that runs has ended; is `lab worker --agent-host {call.agent_host}` running?")
            time.sleep(_ASK_POLL_S)
        answer = handle.get_result(polling_interval_sec=_ASK_POLL_S)
        if answer.get("error"):
            raise outcome_from_json(answer["error"]).as_error()
        return answer["answer"]

    def enqueue(self, calls: Sequence[Call]) -> None:
        """Put calls into the queue; one that is there already is left alone."""
        for call in calls:
            self._client.enqueue(options(call), *call.args)
        queues = {call.queue_name for call in calls if not call.delay_s}
        wake(queues)
        ring(self._database, queues)

    def prune(self, campaign_id: str) -> int:
        """Forget the finished calls of a campaign that is over; returns how many."""
        if self._store.head(campaign_id).state in CAMPAIGN_ACTIVE:
            return 0
        found = self._client.list_workflows(workflow_id_prefix=f"{campaign_id}:", load_input=False, load_output=False,
                                            status=["SUCCESS", "ERROR", "CANCELLED"])
        self._client.delete_workflows([each.workflow_id for each in found])
        return len(found)

    def take_over(self, executor_ids: Sequence[str]) -> int:
        """Compressions that a dead worker left go back into the queue for the living; returns how many."""
        found = [each for executor_id in executor_ids for each in self._client.list_workflows(
            executor_id=executor_id, status="PENDING", queue_name="compress", load_input=False, load_output=False)]
        if found:
            self._client.resume_workflows([each.workflow_id for each in found], queue_name="compress")
        return len(found)

    def close(self) -> None:
        """Close the connections."""
        self._client.destroy()
        self._database.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def _begin(self, campaign_id: str, epoch: int | None) -> None:
        """From the start of the chain; calls of an earlier epoch are dropped, and would do nothing."""
        if epoch is None:
            self._drop(campaign_id)
            epoch = self._store.next_epoch(campaign_id)
        self._store.set_campaign_state(campaign_id, "queued")
        self.enqueue([plan_call(campaign_id, epoch)])

    def _revive(self, campaign_id: str) -> None:
        """A campaign that should go on, of which no call is left: its first call, or, if that was done, a new epoch."""
        first = plan_call(campaign_id, self._store.head(campaign_id).epoch)
        found = self._client.list_workflows(workflow_ids=[first.id], load_input=False, load_output=False)
        if found and found[0].status in _LIVE:
            return  # whoever submitted it came to that just now
        if found:
            self._begin(campaign_id, None)
        else:  # whoever submitted it has not come to that yet, or the queue was lost; twice it is the same call
            self.enqueue([first])

    def _drop(self, campaign_id: str) -> None:
        """Cancel what waits or runs, except the storing of what was measured."""
        ids = [call_id for call_id, name, _ in self.live(campaign_id) if name not in {"ingested", "collected"}]
        if ids:
            self._client.cancel_workflows(ids)
        for attempt in self._store.attempts(campaign_id):
            if attempt.state == "queued":
                self._store.end_attempt(attempt.block_id, attempt.attempt, "cancelled")


def options(call: Call) -> Any:
    """A call as dbos wants it; the priority is always set, since none at all would go before every other."""
    found: dict[str, Any] = {"workflow_name": call.name, "workflow_id": call.id, "queue_name": call.queue_name,
                               "app_version": VERSION, "priority": call.priority}
    if call.queue == "device":
        found["queue_partition_key"] = call.device
    if call.delay_s:
        found["delay_seconds"] = call.delay_s
    return found
