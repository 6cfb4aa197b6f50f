// What HTML and htmx do not do: say when the connection is lost, count down, and tell times in the reader's own zone.
// The page works without any of it.
(() => {
  "use strict";
  const ZONE = "iirp-zone";
  const notice = () => document.getElementById("connection");

  // Why what is shown may be old; several things can be wrong at once.
  const troubles = new Map();

  function trouble(kind, why) {
    if (why) troubles.set(kind, why);
    else troubles.delete(kind);
    const box = notice();
    if (!box) return;
    box.textContent = [...troubles.values()].join(" ");
    box.hidden = troubles.size === 0;
  }

  // Ask for the page's content again, as if the server had told of a change.
  const refresh = () => document.getElementById("main")?.dispatchEvent(new CustomEvent("changed"));

  // A refresh that failed was about a change that nobody will tell again: it is tried until it succeeds. Where the stream
  // itself cannot be opened, the page asks every ten seconds instead.
  let retry = 0;
  let polling = 0;

  function failed(event) {
    if (event.target?.id === "content") {
      trouble("refresh", "What you see may be old; trying again.");
      window.clearTimeout(retry);
      retry = window.setTimeout(refresh, 2000);
    } else if (event.target?.id === "main" && !polling) {
      polling = window.setInterval(refresh, 10000);
    }
  }

  function local() {
    return localStorage.getItem(ZONE) === "local";
  }

  // <time datetime="…Z" data-form="clock|stamp">: UTC as the server wrote it, or the reader's zone.
  function tellTimes() {
    const mine = local();
    document.querySelectorAll("time[datetime]").forEach((element) => {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) return;
      if (!element.dataset.utc) element.dataset.utc = element.textContent;
      const form = element.dataset.form === "clock" ? { timeStyle: "medium" } : { dateStyle: "short", timeStyle: "long" };
      element.textContent = mine ? new Intl.DateTimeFormat([], { hour12: false, ...form }).format(at) : element.dataset.utc;
    });
    const toggle = document.getElementById("zone");
    if (toggle) {
      toggle.hidden = false;
      toggle.textContent = mine ? "Show times in UTC" : "Show times in my zone";
    }
  }

  // <span data-until="…Z">: what is left, by this machine's clock; the server decides, not this number.
  function countDown() {
    document.querySelectorAll("[data-until]").forEach((element) => {
      const left = Math.floor((Date.parse(element.dataset.until) - Date.now()) / 1000);
      if (Number.isNaN(left)) return;
      const minutes = Math.floor(left / 60);
      const text = left <= 0 ? "expired" : minutes >= 60 ? `in ${Math.floor(minutes / 60)} h ${minutes % 60} min` : `in ${minutes} min ${left % 60} s`;
      if (element.textContent !== text) element.textContent = text;
    });
  }

  document.addEventListener("htmx:sse:after:connection", () => trouble("stream"));
  document.addEventListener("htmx:sse:error", () => trouble("stream", "Connection lost. What you see may be old; trying again."));
  document.addEventListener("stale", () => trouble("source", "The API server does not answer. What you see may be old."));
  document.addEventListener("fresh", () => trouble("source"));
  document.addEventListener("signin", () => window.location.reload());
  document.addEventListener("htmx:error", failed);
  document.addEventListener("htmx:response:error", failed);
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail?.ctx?.response?.status < 400) trouble("refresh");
    tellTimes();
    countDown();
  });
  window.addEventListener("offline", () => trouble("network", "You are offline. What you see may be old."));
  window.addEventListener("online", () => {
    trouble("network");
    refresh();
  });
  document.addEventListener("click", (event) => {
    if (event.target?.id !== "zone") return;
    localStorage.setItem(ZONE, local() ? "utc" : "local");
    tellTimes();
  });
  document.addEventListener("DOMContentLoaded", () => {
    tellTimes();
    countDown();
    window.setInterval(countDown, 1000);
  });
})();
