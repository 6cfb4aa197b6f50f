"""The newest minutes of the metrics that somebody reads: filled by remote_write, by pulls, and once from the store.

Nothing has to be configured: a metric that is asked for is *wanted* from then on, its series are kept as they arrive,
and ``missing`` says what has to be read once from the metrics store to be complete. A metric that nobody has asked for
in ten minutes is given up. Series that nobody wants cost a place in a hash table.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from analysis.telemetry import wire
from analysis.telemetry.groups import Groups, Latest
from analysis.telemetry.kept import Metric, Missing
from analysis.telemetry.labels import encode, metric_of
from analysis.telemetry.look import Chosen, Look, by_group, highest
from analysis.telemetry.query import RateSum, Select
from analysis.telemetry.remote_write import Decoder
from analysis.telemetry.rows import Rows
from analysis.telemetry.views import Frame, View
from analysis.windows.block import Block, Bool, Int64, Samples
from analysis.windows.rates import Rates, rate, summed
from analysis.windows.ring import Counts

FORGOTTEN_AFTER = 600.0
"""Seconds without a question after which a metric is given up."""
SLACK = 10.0
"""Seconds beyond two scrape intervals after which a metric is not fresh, and after which something may be missing."""
SILENCE, LEAST_SILENCE = 4.0, 3.0
"""Times the usual distance of requests, and seconds, that a silence lasts that means something."""
LOOKBACK = 300.0
"""Seconds that an instant value is valid, as in PromQL."""
MAX_VIEWS = 256
"""Some thirty for each cluster."""
SPARE_GROUPS = 1024
"""Groups of series that are gone, beyond twice the series that there are, that are kept."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one request's samples."""

    kept: int
    ignored: int
    refused: int
    """Series for which there is no room."""
    samples: int = 0
    """Of the request, looked at, kept or not; those without room left out."""
    histograms: int = 0
    """The same for native histograms."""


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
        self._rows = Rows(capacity, step, (window, exact_window))
        self._metrics: dict[bytes, Metric] = {}
        self._decoder = Decoder(capacity, self._wants)
        self._numbers = 0
        self._last, self._spacing = float("-inf"), interval
        self._views: OrderedDict[tuple[str, object], View] = OrderedDict()
        self._groups: dict[tuple[str, ...], Groups] = {}
        self.refused_at = float("-inf")
        self.ready = True
        """False until compiled loops are loaded: nothing is taken in, everything is read by query."""

    # --- in ---------------------------------------------------------------------------------------------------------

    def accept(self, body: bytes, now: float, version: int = 1) -> Taken:
        """Take one compressed request of remote_write 1.0 or 2.0 in.

        Raises:
            Malformed: nothing of it was taken.
        """
        written = self._decoder.decode(body, version)
        if written.refused and self.evict(now, pressing=True):
            again = self._decoder.decode(body, version)  # the rows that were given out stay the same
            written = replace(again, new=np.concatenate([written.new, again.new]))
        self._register(written.new)
        self._rows.write(written.rows, written.millis, written.values, now)
        self._note_silence(now)
        self._note_arrivals(written.rows, written.millis, now)
        if written.refused:
            self.refused_at = now
        return Taken(len(written.rows), written.ignored, written.refused, written.samples, written.histograms)

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
        self._rows.write(rows[samples.series[of_sample]], millis, samples.values[of_sample], now)
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
            Missing(metric.name, metric.seconds, metric.native)
            for metric in self._metrics.values()
            if metric.complete_from is None and (not arriving or now - metric.arrived <= self.gap)
        ]

    def wanted(self) -> tuple[Metric, ...]:
        """Metrics that are kept."""
        return tuple(self._metrics.values())

    # --- out --------------------------------------------------------------------------------------------------------

    def covers(self, select: Select, seconds: float, now: float, *, exact: bool) -> bool:
        """Whether ``select[seconds]`` can be answered from here, up to now. Asking makes a metric wanted."""
        if not self.ready:
            return False
        metric = self._metrics.get(select.metric.encode())
        if seconds > (self.exact_window if exact or (metric and metric.exact) else self.window):
            return False
        if metric is None or (exact and not metric.exact):
            self._want(select, seconds, now, exact=exact)
            return False
        metric.asked = now
        if seconds > metric.seconds:
            metric.seconds, metric.complete_from = seconds, None
        complete = metric.complete_from is not None and metric.complete_from <= now - seconds
        return complete and now - metric.newest <= self.gap and now - self.refused_at > seconds

    def look(self, select: Select, by: tuple[str, ...], seconds: float, now: float, step: float) -> Look:
        """The first look at what :meth:`block` would show."""
        metric, view = self._view(select, by)
        within = Frame(now, seconds, step).within
        found = self._rows.extremes(view.rows, seconds, now, within, exact=metric.exact)
        return by_group(found, view.numbers, view.groups, alone=view.alone)

    def block(
        self,
        select: Select,
        by: tuple[str, ...],
        seconds: float,
        now: float,
        step: float,
        chosen: Chosen | None = None,
    ) -> Block:
        """Raw samples on a grid, as ``grid(regroup(samples, by), now, seconds, step)`` makes it of a query's answer.

        Of the ``chosen`` groups only; of all without, or when their numbers have been given anew since.
        """
        metric, view = self._view(select, by)
        some = chosen is not None and chosen.groups is view.groups
        places, order = view.chosen(chosen.numbers if chosen is not None and some else None)
        times, values = self._rows.samples(view.rows[places], seconds, now, exact=metric.exact)
        return view.block(places, order, times, values, Frame(now, seconds, step))

    def rates(self, query: RateSum, lasting: float, step: float, now: float) -> Rates:
        """A summed rate at each step of the last ``lasting`` seconds."""
        metric, view = self._view(query.select, query.by)
        times, values = self._rows.samples(view.rows, lasting + query.window, now, exact=metric.exact)
        count = round(lasting / step) + 1
        at = np.rint((now - lasting) * 1000) + np.arange(count) * round(step * 1000)
        found = summed(view.places, len(view.members), rate(times, values, at, query.window))
        some: Bool = np.asarray(np.isfinite(found).any(axis=1))
        labels = tuple(view.groups.labels(number) for number in view.members[some].tolist())
        return Rates(labels, now - lasting + np.arange(count, dtype=np.float64) * step, found[some])

    def latest(self, select: Select, by: tuple[str, ...], now: float) -> Latest:
        """``max by (…) (metric)`` now, series that their sender has ended left out."""
        metric, view = self._view(select, by)
        within = math.floor((now - LOOKBACK) * 1000) + 1, math.floor(now * 1000)
        last = self._rows.last(view.rows, LOOKBACK, now, within, exact=metric.exact)
        last[self._rows.ended(view.rows, exact=metric.exact)] = np.nan
        return Latest(view.groups, highest(last, view.numbers, len(view.groups)))

    # --- upkeep -----------------------------------------------------------------------------------------------------

    def tidy(self, now: float) -> None:
        """Give up what nobody asks for and what is over; notice interruptions. To be called every few seconds."""
        for name, metric in list(self._metrics.items()):
            if now - metric.asked > FORGOTTEN_AFTER:
                del self._metrics[name]
                self._forget(self._rows.of(metric.number))
            elif now - metric.arrived > self.gap:
                metric.complete_from = None
        self.evict(now)

    def evict(self, now: float, *, pressing: bool = False) -> int:
        """Forget series that have left the window; under pressure also those that are over. How many."""
        gone = self._rows.old(now, pressing=pressing)
        self._forget(gone)
        return len(gone)

    @property
    def series(self) -> int:
        """Series that are kept."""
        return len(self._decoder)

    @property
    def size(self) -> int:
        """Memory of the rings' arrays."""
        return self._rows.size

    @property
    def counts(self) -> tuple[Counts, Counts]:
        """What became of samples, gauges and exact metrics apart."""
        return self._rows.counts

    # --- inside -----------------------------------------------------------------------------------------------------

    def _wants(self, raw: bytes) -> bool:
        return metric_of(raw) in self._metrics

    def _want(self, select: Select, seconds: float, now: float, *, exact: bool) -> None:
        known = self._metrics.get(select.metric.encode())
        if known is not None:  # asked for as a gauge before: its rows move to the other ring, empty
            self._forget(self._rows.of(known.number))
            seconds = max(seconds, known.seconds)
        self._numbers += 1
        metric = Metric(select.metric, self._numbers, exact, seconds, now, select.native)
        self._metrics[select.metric.encode()] = metric
        self._decoder.forget(np.zeros(0, dtype=np.int64))  # ask anew about what was ignored

    def _register(self, new: Int64) -> None:
        for row in new.tolist():
            metric = self._metrics.get(metric_of(self._decoder.raw(row)))
            if metric is None:
                continue
            metric.log.add(row, self._rows.add(row, metric.number, exact=metric.exact))

    def _note_silence(self, now: float) -> None:
        """A writer that was silent for much longer than usual may have been restarted, and have lost its queue."""
        silence = now - self._last
        if SILENCE * self._spacing < silence < self.gap and silence > LEAST_SILENCE:
            for metric in self._metrics.values():
                metric.complete_from = None
        self._last = now
        self._spacing += 0.1 * (min(max(silence, 0.0), self.gap) - self._spacing)

    def _note_arrivals(self, rows: Int64, millis: Int64, now: float) -> None:
        numbers = self._rows.metric[rows]
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
        self._rows.drop(rows)
        self._decoder.forget(rows)

    def _view(self, select: Select, by: tuple[str, ...]) -> tuple[Metric, View]:
        metric, groups = self._metrics[select.metric.encode()], self._grouped(by)
        key = (select.metric, (select.matchers, by))
        view = self._views.get(key)
        if view is None or view.log is not metric.log or view.groups is not groups:
            view = self._views[key] = View(metric.log, select.matchers, groups)
        self._views.move_to_end(key)
        while len(self._views) > MAX_VIEWS:
            self._views.popitem(last=False)
        view.refresh(self._rows.born, self._decoder.raw)
        return metric, view

    def _grouped(self, by: tuple[str, ...]) -> Groups:
        """The groups by some labels; numbered anew when most of the numbers can only be of series that are gone."""
        groups = self._groups.get(by)
        if groups is None or len(groups) > 2 * self.series + SPARE_GROUPS:
            groups = self._groups[by] = Groups(by)
        return groups
