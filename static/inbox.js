/**
 * Shows captured mail as it arrives.
 *
 * The page asks again and again and holds no connection open: a worker of the web server has four threads, and four
 * streams of server-sent events would keep the API waiting. Nothing of a mail becomes markup: values go into copies
 * of a <template> as text.
 */

const EVERY_MS = 300;
const SLOWEST_MS = 30000;
const WORDS_EVERY_MS = 20000;

const inbox = document.querySelector(".inbox");
const list = inbox.querySelector(".inbox-lines");
const state = inbox.querySelector(".inbox-state");
const limit = Number(inbox.dataset.limit);
const known = new Set(Array.from(list.children, (line) => line.dataset.id));
let failures = 0;
let timer = null;
let isAsking = false;
let hasEnded = false;
// The server's time when it was last asked, in milliseconds, and how far this computer's clock is ahead of it.
let since = Number(inbox.dataset.now);
let ahead = Date.now() - since;

/** Asks once, and plans the next question. */
async function ask() {
  timer = null;
  isAsking = true;
  try {
    const answer = await fetch(feedUrl(), { redirect: "manual", headers: { Accept: "application/json" } });
    // The console sends whoever is not signed in to another page.
    if (answer.type === "opaqueredirect" || answer.status === 403) {
      sayEnded();
      return;
    }
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    show(await answer.json());
    failures = 0;
  } catch {
    failures += 1;
    say("Contact lost; trying again.", "lost");
  } finally {
    isAsking = false;
  }
  plan();
}

function plan() {
  if (!document.hidden) {
    timer = setTimeout(ask, Math.min(EVERY_MS * 2 ** failures, SLOWEST_MS));
  }
}

function feedUrl() {
  const url = new URL(inbox.dataset.feed, location.href);
  url.searchParams.set("since", since);
  return url;
}

function show({ now, lines }) {
  since = now;
  ahead = Date.now() - now;
  const arrived = lines.filter(isNew);
  for (const line of lines) known.add(line.id);
  for (const line of arrived) place(line);
  trim();
  if (arrived.length > 0) {
    inbox.querySelector(".inbox-empty").hidden = true;
    say(arrived.length === 1 ? `New mail: ${arrived[0].subject}` : `${arrived.length} new mails`, "live");
  } else if (state.dataset.state !== "live") {
    say("Live", "live");
  }
}

/** Each answer overlaps with those before it, and reaches below a full page; both are no news. */
function isNew(line) {
  const isBelow = list.children.length >= limit && line.id < list.lastElementChild.dataset.id;
  return !known.has(line.id) && !isBelow;
}

/** Puts the line where its id belongs: ids sort by time, and a late commit may come in behind others. */
function place(line) {
  const element = filled(line);
  const later = Array.from(list.children).find((other) => other.dataset.id < line.id);
  list.insertBefore(element, later ?? null);
  count(line.inbox);
}

function filled(line) {
  const element = inbox.querySelector(".inbox-line-template").content.firstElementChild.cloneNode(true);
  element.dataset.id = line.id;
  element.classList.add("arrived");
  element.querySelector("a").href = line.url;
  for (const slot of element.querySelectorAll("[data-slot]")) slot.textContent = line[slot.dataset.slot];
  const time = element.querySelector("time");
  time.dateTime = time.title = line.received_at;
  element.querySelector(".line-clip").hidden = !line.has_attachments;
  return element;
}

/** Keeps one page, as the server would show it, and lets "Older mail" begin behind it. */
function trim() {
  if (list.children.length <= limit) return;
  while (list.children.length > limit) list.lastElementChild.remove();
  const older = inbox.querySelector(".inbox-older");
  const link = older.querySelector("a");
  const query = new URL(inbox.dataset.feed, location.href).searchParams;
  query.set("before", list.lastElementChild.dataset.id);
  link.href = `?${query}`;
  older.hidden = false;
}

/** Counts one more mail of an inbox and moves it up, below "All mail". */
function count(name) {
  const names = inbox.querySelector(".inbox-names ul");
  const found = Array.from(names.querySelectorAll("a")).find((link) => link.dataset.inbox === name);
  const item = found?.parentElement ?? named(name);
  const number = item.querySelector(".inbox-count");
  number.textContent = String(Number(number.textContent) + 1);
  names.firstElementChild.after(item);
}

function named(name) {
  const item = inbox.querySelector(".inbox-name-template").content.firstElementChild.cloneNode(true);
  const link = item.querySelector("a");
  const query = new URL(inbox.dataset.feed, location.href).searchParams;
  query.set("inbox", name);
  link.href = `?${query}`;
  link.dataset.inbox = name;
  link.querySelector("bdi").textContent = name;
  return item;
}

function say(text, name) {
  if (state.textContent === text) return;
  state.textContent = text;
  state.dataset.state = name;
}

function sayEnded() {
  hasEnded = true;
  say("Your session has ended. ", "lost");
  const link = document.createElement("a");
  link.href = inbox.dataset.login;
  link.textContent = "Sign in again";
  state.append(link);
}

/** The same words as the server's (apps/delivery/inbox/listing.py). */
function ago(moment) {
  const seconds = (Date.now() - ahead - Date.parse(moment)) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function renewWords() {
  for (const time of list.querySelectorAll("time")) time.textContent = ago(time.dateTime);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    timer = null;
  } else if (timer === null && !isAsking && !hasEnded) {
    ask();
  }
});
setInterval(renewWords, WORDS_EVERY_MS);
ask();
