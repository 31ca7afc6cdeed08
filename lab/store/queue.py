"""Attempts at blocks, the health of devices, reservations and the audit of who held what."""

from __future__ import annotations

from dataclasses import asdict, fields

from lab.domain.queue import AttemptState, BlockAttempt, DeviceHealth, Grant, GrantEvent, Reservation
from lab.errors import StoreError

from .connection import Row
from .devices import DeviceRecords
from .instants import CampaignClock, before


class QueueRecords(DeviceRecords, CampaignClock):
    """What the queue's decisions rest on; the queue itself keeps only what should happen next."""

    def queue_attempt(self, attempt: BlockAttempt) -> bool:
        """Note an attempt; False, and nothing changed, if it is noted already."""
        with self._transaction():
            if self._attempt_row(attempt.block_id, attempt.attempt) is not None:
                return False
            self._insert("block_attempts", asdict(attempt))
        return True

    def end_attempt(self, block_id: str, attempt: int, state: AttemptState, *, error: str | None = None,
                    error_kind: str | None = None, transient: bool | None = None, took_ns: int | None = None) -> None:
        """Note how an attempt ended; one that is not known, as after a restored backup, is left alone.

        `took_ns` says when it began: that long before its end, which is now.
        """
        with self._transaction():
            known = self._attempt_row(block_id, attempt)
            if known is None:
                return
            ended_utc = self._instant(known["campaign_id"])
            started_utc = None if took_ns is None else before(ended_utc, took_ns)
            self._write("UPDATE block_attempts SET state = ?, error = ?, error_kind = ?, transient = ?, "
                        "started_utc = coalesce(?, started_utc), ended_utc = ? WHERE block_id = ? AND attempt = ?",
                        (state, error, error_kind, None if transient is None else int(transient), started_utc,
                         ended_utc, block_id, attempt))

    def attempts(self, campaign_id: str | None = None, device: str | None = None) -> tuple[BlockAttempt, ...]:
        """Attempts in the order in which they were queued."""
        rows = self._rows("SELECT * FROM block_attempts WHERE (:campaign IS NULL OR campaign_id = :campaign) "
                          "AND (:device IS NULL OR device = :device) ORDER BY queued_utc, block_id, attempt",
                          {"campaign": campaign_id, "device": device})
        return tuple(map(_attempt, rows))

    def next_attempt(self, block_id: str) -> int:
        """The attempt to make: one that is queued already, or the next number; 1 for a block never tried."""
        row = self._row("SELECT attempt, state FROM block_attempts WHERE block_id = ? ORDER BY attempt DESC LIMIT 1",
                        (block_id,))
        if row is None:
            return 1
        return int(row["attempt"]) + int(row["state"] != "queued")

    def note_failure(self, device: str, reason: str) -> DeviceHealth:
        """One more failure in a row; the reason of a quarantine stays what it is. Raises NotFound."""
        with self._transaction():
            self.device(device)
            self._write("INSERT INTO device_health (device, failures, reason) VALUES (?, 1, ?) ON CONFLICT (device) "
                        "DO UPDATE SET failures = failures + 1, reason = CASE WHEN quarantined_utc IS NULL "
                        "THEN excluded.reason ELSE reason END", (device, reason))
        return self.health(device)

    def note_success(self, device: str) -> None:
        """The device works; a quarantine stays until it is lifted."""
        with self._transaction():
            self._write("UPDATE device_health SET failures = 0, reason = CASE WHEN quarantined_utc IS NULL THEN NULL "
                        "ELSE reason END WHERE device = ? AND failures > 0", (device,))

    def quarantine(self, device: str, reason: str) -> None:
        """Set a device aside; one that is aside already stays so since then, for the new reason. Raises NotFound."""
        with self._transaction():
            self.device(device)
            self._write("INSERT INTO device_health (device, failures, quarantined_utc, reason) VALUES (?, 0, ?, ?) "
                        "ON CONFLICT (device) DO UPDATE SET reason = excluded.reason, "
                        "quarantined_utc = coalesce(quarantined_utc, excluded.quarantined_utc)",
                        (device, self._clock(), reason))

    def lift_quarantine(self, device: str) -> None:
        """The device may be used again, its failures forgotten."""
        with self._transaction():
            self._write("DELETE FROM device_health WHERE device = ?", (device,))

    def health(self, device: str) -> DeviceHealth:
        """Failures in a row and quarantine; a device nobody complained about has neither."""
        row = self._row("SELECT * FROM device_health WHERE device = ?", (device,))
        return DeviceHealth(device=device) if row is None else DeviceHealth(**row)

    def reserve(self, device: str, holder: str, reason: str, until_utc: str | None) -> None:
        """Keep a device for a person, also for longer than before; raises StoreError naming who has it, NotFound.

        `until_utc` is written as `utc_now` writes it, since ends are compared as texts; None is until it is freed.
        """
        with self._transaction():
            self.device(device)
            held = self.reservation(device)
            if held is not None and held.holder != holder:
                raise StoreError(f"{device} is reserved by {held.holder} ({held.reason}) until "
                                 f"{held.until_utc or 'it is released'}. Ask them, or take it with "
                                 f"`lab devices release --kick {device}`.")
            self._write("INSERT OR REPLACE INTO reservations (device, holder, reason, until_utc, since_utc) "
                        "VALUES (?, ?, ?, ?, ?)", (device, holder, reason, until_utc, self._clock()))
            self.note_grant(device, "reserved", holder, None, reason)

    def free(self, device: str, holder: str, *, kick: bool = False) -> None:
        """End a reservation; somebody else's only with `kick`. Raises StoreError."""
        with self._transaction():
            held = self.reservation(device)
            if held is not None and held.holder != holder and not kick:
                raise StoreError(f"{device} is reserved by {held.holder} ({held.reason}), not by {holder}. Ask them, "
                                 f"or take it with `lab devices release --kick {device}`.")
            self._write("DELETE FROM reservations WHERE device = ?", (device,))
            if held is not None:
                self.note_grant(device, "freed" if held.holder == holder else "kicked", holder, None, held.holder)

    def reservation(self, device: str, now_utc: str | None = None) -> Reservation | None:
        """Who keeps the device now; one whose end has passed counts as none."""
        row = self._row("SELECT * FROM reservations WHERE device = ? AND (until_utc IS NULL OR until_utc > ?)",
                        (device, now_utc or self._clock()))
        return None if row is None else Reservation(**row)

    def note_grant(self, device: str, event: GrantEvent, holder: str, fence: int | None, detail: str,
                   utc: str | None = None) -> None:
        """A line of the audit, of now or of `utc`; none is ever changed. What a lease (`fence`) did is noted once."""
        with self._transaction():
            if fence is not None and self._row(
                    "SELECT id FROM grants WHERE device = ? AND event = ? AND holder = ? AND fence = ? AND detail = ?",
                    (device, event, holder, fence, detail)):
                return
            self._insert("grants", {"device": device, "event": event, "holder": holder, "fence": fence,
                                    "detail": detail, "utc": utc or self._clock()})

    def grants(self, device: str | None = None, limit: int = 200) -> tuple[Grant, ...]:
        """The latest lines of the audit, newest first."""
        rows = self._rows("SELECT * FROM grants WHERE (:device IS NULL OR device = :device) ORDER BY id DESC LIMIT "
                          ":limit", {"device": device, "limit": limit})
        return tuple(Grant(**row) for row in rows)

    def _attempt_row(self, block_id: str, attempt: int) -> Row | None:
        return self._row("SELECT * FROM block_attempts WHERE block_id = ? AND attempt = ?", (block_id, attempt))


def _attempt(row: Row) -> BlockAttempt:
    values = {field.name: row[field.name] for field in fields(BlockAttempt)}
    values["transient"] = None if row["transient"] is None else bool(row["transient"])
    return BlockAttempt(**values)
