"""The newest minutes of the metrics that somebody reads: filled by remote_write, by pulls, and once from the store.

Nothing has to be configured: a metric that is asked for is *wanted* from then on, its series are kept as they arrive,
and ``missing`` says what has to be read once from the metrics store to be complete. A metric that nobody has asked for
in ten minutes is given up. Series that nobody wants cost a place in a hash table.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from analysis.telemetry import wire
from analysis.telemetry.labels import encode, metric_of
from analysis.telemetry.query import RateSum, Select
from analysis.telemetry.remote_write import Decoder, Written
from analysis.telemetry.views import Log, View
from analysis.windows.block import Block, Bool, Float64, Int64, Labels, Samples
from analysis.windows.rates import Rates, rate, summed
from analysis.windows.ring import NEVER, Counts, Ring

FORGOTTEN_AFTER = 600.0
"""Seconds without a question after which a metric is given up."""
SLACK = 10.0
"""Seconds beyond two scrape intervals after which a metric is not fresh, and after which something may be missing."""
SKEW = 60.0
"""Seconds that a sender's clock may be ahead of ours."""
LOOKBACK = 300.0
"""Seconds that an instant value is valid, as in PromQL."""
MARGIN = 2 * SKEW
"""Seconds more that are read: the newest column may lie ahead of our clock."""
FIRST_ROWS = 1024
MAX_VIEWS = 64


@dataclass(slots=True)
class Metric:
    """One metric that is read. Times are Unix seconds."""

    name: str
    number: int
    """Tells metrics apart in arrays."""
    exact: bool
    """Counters and times, kept in float64."""
    seconds: float
    """How far back somebody looks."""
    asked: float
    log: Log = field(default_factory=Log)
    complete_from: float | None = None
    """Since when nothing is missing; None until it has been read once."""
    arrived: float = float("-inf")
    """When samples last came by themselves."""
    newest: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one request's samples."""

    kept: int
    ignored: int
    refused: int
    """Series for which there is no room."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What has to be read once: ``metric[seconds]``."""

    metric: str
    seconds: float


class Store:
    """All kept series of one analysis server. Not thread-safe: used from the event loop only.

    Args:
        capacity: series at most.
        step: the scrape interval or less; of several samples within a step the newest is kept.
        interval: the longest scrape interval. A metric that has not come for two of them is read by query.
        window: seconds that gauges are kept; exact metrics are kept for ``exact_window``.
    """

    def __init__(
        self, capacity: int, step: float, interval: float = 15.0, window: float = 960.0, exact_window: float = 480.0
    ) -> None:
        self.capacity = capacity
        self.window, self.exact_window = window, exact_window
        self.gap = 2 * interval + SLACK
        first = min(capacity, FIRST_ROWS)
        columns = tuple(math.ceil((kept + MARGIN) / step) for kept in (window, exact_window))
        self._rings = (
            Ring(first, columns[0], step, SKEW, parts=np.uint16),
            Ring(first, columns[1], step, SKEW, values=np.float64, parts=np.uint16),
        )
        self._free: tuple[list[int], list[int]] = ([], [])
        self._used = [0, 0]
        self._metrics: dict[bytes, Metric] = {}
        self._decoder = Decoder(capacity, self._wants)
        self._numbers = 0
        self._metric_of = np.zeros(first, dtype=np.int64)
        self._place = np.zeros(first, dtype=np.int64)
        self._exact = np.zeros(first, dtype=np.bool_)
        self._born = np.zeros(first, dtype=np.int64)
        self._births = 0
        self._views: OrderedDict[tuple[str, object], View] = OrderedDict()
        self.refused_at = float("-inf")

    # --- in ---------------------------------------------------------------------------------------------------------

    def accept(self, body: bytes, now: float) -> Taken:
        """Take one compressed remote_write 1.0 request in.

        Raises:
            Malformed: nothing of it was taken.
        """
        written = self._decoder.decode(body)
        if written.refused and self.evict(now, pressing=True):
            again = self._decoder.decode(body)  # the rows that were given out stay the same
            written = Written(
                again.rows,
                again.millis,
                again.values,
                again.refused,
                np.concatenate([written.new, again.new]),
                again.ignored,
            )
        self._register(written.new)
        self._write(written.rows, written.millis, written.values, now)
        self._note_arrivals(written.rows, written.millis, now)
        if written.refused:
            self.refused_at = now
        return Taken(len(written.rows), written.ignored, written.refused)

    def put(self, metric: str, samples: Samples, now: float) -> int:
        """Take samples in that were read by a query (labels without the name); how many series found no room."""
        rows = np.full(len(samples.labels), wire.EMPTY, dtype=np.int64)
        new: list[int] = []
        for index, labels in enumerate(samples.labels):
            rows[index], is_new = self._decoder.row(encode({**labels, "__name__": metric}))
            if is_new:
                new.append(int(rows[index]))
        self._register(np.array(new, dtype=np.int64))
        kept = (rows >= 0) & (rows < wire.IGNORED)
        of_sample = kept[samples.series] if len(rows) else np.zeros(0, dtype=np.bool_)
        millis = np.rint(samples.times[of_sample] * 1000).astype(np.int64)
        self._write(rows[samples.series[of_sample]], millis, samples.values[of_sample], now)
        refused = int((rows == wire.EMPTY).sum())
        wanted = self._metrics.get(metric.encode())
        if wanted is not None and millis.size:
            wanted.newest = max(wanted.newest, min(float(millis.max()) / 1000, now))
        if refused:
            self.refused_at = now
        return refused

    def arrived(self, metric: str, now: float) -> None:
        """A metric has come again, by itself or because it is read every few seconds."""
        wanted = self._metrics.get(metric.encode())
        if wanted is not None:
            self._arrive(wanted, now)

    def completed(self, metric: str, since: float) -> None:
        """All samples of a metric since then have been put in."""
        wanted = self._metrics.get(metric.encode())
        if wanted is not None:
            wanted.complete_from = since

    def missing(self, now: float, *, arriving: bool = True) -> list[Missing]:
        """What should be read once. With ``arriving``, only what also comes by itself: else it would soon be stale."""
        return [
            Missing(metric.name, metric.seconds)
            for metric in self._metrics.values()
            if metric.complete_from is None and (not arriving or now - metric.arrived <= self.gap)
        ]

    def wanted(self) -> tuple[str, ...]:
        """Metrics that are kept."""
        return tuple(metric.name for metric in self._metrics.values())

    # --- out --------------------------------------------------------------------------------------------------------

    def covers(self, select: Select, seconds: float, now: float, *, exact: bool) -> bool:
        """Whether ``select[seconds]`` can be answered from here, up to now. Asking makes a metric wanted."""
        metric = self._metrics.get(select.metric.encode())
        if seconds > (self.exact_window if exact or (metric and metric.exact) else self.window):
            return False
        if metric is None or (exact and not metric.exact):
            self._want(select.metric, seconds, now, exact=exact)
            return False
        metric.asked = now
        if seconds > metric.seconds:
            metric.seconds, metric.complete_from = seconds, None
        complete = metric.complete_from is not None and metric.complete_from <= now - seconds
        return complete and now - metric.newest <= self.gap and now - self.refused_at > seconds

    def block(self, select: Select, by: tuple[str, ...], seconds: float, now: float, step: float) -> Block:
        """Raw samples on a grid, as ``grid(regroup(samples, by), now, seconds, step)`` makes it of a query's answer."""
        metric, view = self._view(select, by)
        ring = self._rings[metric.exact]
        ring.advance(now)
        times, values = ring.samples(self._place[view.rows], seconds + MARGIN)
        return view.block(times, values, now, seconds, step)

    def rates(self, query: RateSum, lasting: float, step: float, now: float) -> Rates:
        """A summed rate at each step of the last ``lasting`` seconds."""
        metric, view = self._view(query.select, query.by)
        ring = self._rings[metric.exact]
        ring.advance(now)
        times, values = ring.samples(self._place[view.rows], lasting + query.window + MARGIN)
        count = round(lasting / step) + 1
        at = np.rint((now - lasting) * 1000) + np.arange(count) * round(step * 1000)
        found = summed(view.groups, len(view.labels), rate(times, values, at, query.window))
        some: Bool = np.asarray(np.isfinite(found).any(axis=1))
        labels = tuple(one for one, is_there in zip(view.labels, some, strict=True) if is_there)
        return Rates(labels, now - lasting + np.arange(count, dtype=np.float64) * step, found[some])

    def latest(self, select: Select, by: tuple[str, ...], now: float) -> tuple[tuple[Labels, ...], Float64]:
        """``max by (…) (metric)`` now, series that their sender has ended left out."""
        metric, view = self._view(select, by)
        ring = self._rings[metric.exact]
        ring.advance(now)
        place = self._place[view.rows]
        times, values = ring.samples(place, LOOKBACK + MARGIN)
        with np.errstate(invalid="ignore"):
            valid = (times > (now - LOOKBACK) * 1000) & (times <= now * 1000)
        column = times.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)
        last = values[np.arange(len(values)), column]
        last = np.where(ring.ended[place] | ~valid.any(axis=1), np.nan, last)
        highest = np.full(len(view.labels), -np.inf)
        np.maximum.at(highest, view.groups, np.where(np.isnan(last), -np.inf, last))
        some = np.isfinite(highest)
        return tuple(one for one, is_there in zip(view.labels, some, strict=True) if is_there), highest[some]

    # --- upkeep -----------------------------------------------------------------------------------------------------

    def tidy(self, now: float) -> None:
        """Give up what nobody asks for and what is over; notice interruptions. To be called every few seconds."""
        for name, metric in list(self._metrics.items()):
            if now - metric.asked > FORGOTTEN_AFTER:
                del self._metrics[name]
                self._forget(self._rows_of(metric))
            elif now - metric.arrived > self.gap:
                metric.complete_from = None
        self.evict(now)

    def evict(self, now: float, *, pressing: bool = False) -> int:
        """Forget series that have left the window; under pressure also those that are over. How many."""
        gone: list[int] = []
        for exact, ring in enumerate(self._rings):
            ring.advance(now)
            slots = ring.silent(ring.columns * ring.step)
            if pressing:
                quiet = ring.silent(60.0)
                never = np.flatnonzero(ring.newest[: self._used[exact]] == NEVER)
                slots = np.unique(np.concatenate([slots, quiet[ring.ended[quiet]], never]))
            if slots.size:
                here = np.isin(self._place, slots) & (self._exact == bool(exact)) & (self._born > 0)
                gone += np.flatnonzero(here).tolist()
        self._forget(np.array(gone, dtype=np.int64))
        return len(gone)

    @property
    def series(self) -> int:
        """Series that are kept."""
        return len(self._decoder)

    @property
    def size(self) -> int:
        """Memory of the rings' arrays."""
        return sum(ring.bytes for ring in self._rings)

    @property
    def counts(self) -> tuple[Counts, Counts]:
        """What became of samples, gauges and exact metrics apart."""
        return self._rings[0].counts, self._rings[1].counts

    # --- inside -----------------------------------------------------------------------------------------------------

    def _wants(self, raw: bytes) -> bool:
        return metric_of(raw) in self._metrics

    def _want(self, name: str, seconds: float, now: float, *, exact: bool) -> None:
        known = self._metrics.get(name.encode())
        if known is not None:  # asked for as a gauge before: its rows move to the other ring, empty
            self._forget(self._rows_of(known))
            seconds = max(seconds, known.seconds)
        self._numbers += 1
        self._metrics[name.encode()] = Metric(name, self._numbers, exact, seconds, now)
        self._decoder.forget(np.zeros(0, dtype=np.int64))  # ask anew about what was ignored

    def _register(self, new: Int64) -> None:
        for row in new.tolist():
            metric = self._metrics.get(metric_of(self._decoder.raw(row)))
            if metric is None:
                continue
            self._room(row)
            self._births += 1
            self._metric_of[row] = metric.number
            self._exact[row], self._born[row] = metric.exact, self._births
            self._place[row] = self._slot(metric.exact)
            metric.log.add(row, self._births)

    def _room(self, row: int) -> None:
        if row >= len(self._place):
            more = min(self.capacity, max(2 * len(self._place), row + 1)) - len(self._place)
            self._place, self._exact = np.pad(self._place, (0, more)), np.pad(self._exact, (0, more))
            self._born, self._metric_of = np.pad(self._born, (0, more)), np.pad(self._metric_of, (0, more))

    def _rows_of(self, metric: Metric) -> Int64:
        return np.flatnonzero((self._metric_of == metric.number) & (self._born > 0))

    def _slot(self, exact: bool) -> int:
        if self._free[exact]:
            return self._free[exact].pop()
        ring, slot = self._rings[exact], self._used[exact]
        self._used[exact] += 1
        if slot >= ring.capacity:
            ring.grow(min(self.capacity, 2 * ring.capacity))
        return slot

    def _write(self, rows: Int64, millis: Int64, values: Float64, now: float) -> None:
        exact = self._exact[rows]
        for kind, ring in enumerate(self._rings):
            mine = exact == bool(kind)
            ring.write(self._place[rows[mine]], millis[mine], values[mine], now)

    def _note_arrivals(self, rows: Int64, millis: Int64, now: float) -> None:
        numbers = self._metric_of[rows]
        for metric in self._metrics.values():
            mine = millis[numbers == metric.number]
            if mine.size:
                self._arrive(metric, now)
                metric.newest = max(metric.newest, min(float(mine.max()) / 1000, now))

    def _arrive(self, metric: Metric, now: float) -> None:
        if now - metric.arrived > self.gap:
            metric.complete_from = None  # what came in between has to be read
        metric.arrived = now

    def _forget(self, rows: Int64) -> None:
        if not rows.size:
            return
        for kind, ring in enumerate(self._rings):
            slots = self._place[rows[self._exact[rows] == bool(kind)]]
            ring.clear(slots)
            self._free[kind].extend(slots.tolist())
        self._decoder.forget(rows)
        self._born[rows] = 0

    def _view(self, select: Select, by: tuple[str, ...]) -> tuple[Metric, View]:
        metric = self._metrics[select.metric.encode()]
        key = (select.metric, (select.matchers, by))
        view = self._views.get(key)
        if view is None or view.log is not metric.log:
            view = self._views[key] = View(metric.log, select.matchers, by)
        self._views.move_to_end(key)
        while len(self._views) > MAX_VIEWS:
            self._views.popitem(last=False)
        view.refresh(self._born, self._decoder.raw)
        return metric, view
