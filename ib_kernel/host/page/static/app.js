// The page: who is signed in, which view an address means, and the one line that says whether the host is there.

/** @import { Me } from "./api.js" */
/** @import { News } from "./live.js" */

import { ask, Refused, signIn } from "./api.js";
import { makeCompare } from "./compare.js";
import { makeCreate } from "./create.js";
import { makeDoctor } from "./doctor.js";
import { makeInvitations } from "./invitations.js";
import { follow } from "./live.js";
import { add, el, exactTime, icon, note, setText } from "./parts.js";
import { makePeople } from "./people.js";
import { isBlind } from "./scorecard.js";
import { makeSession } from "./session.js";
import { makeSessions } from "./sessions.js";

/** @typedef {{ hear: (news: News) => void, tick: () => void, close: () => void }} View */

const SLOW_MS = 500;
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const top = /** @type {HTMLElement} */ (document.getElementById("top"));
const announcer = /** @type {HTMLElement} */ (document.getElementById("announce"));
const contact = el("div", { class: "wrap contact", hidden: true });
const wish = { words: "", shown: "all", sort: "last" };

/** How far this machine's clock is from the host's, in seconds. */
let ahead = 0;
const now = () => Date.now() / 1000 - ahead;
/** @type {Me | null} */
let me = null;
/** @type {View | null} */
let view = null;

/** @param {string} text */
function announce(text) {
  announcer.textContent = "";
  announcer.textContent = text;
}

/** @type {[path: string, label: string][]} */
const NAV = [
  ["/", "Sessions"],
  ["/compare", "Compare"],
  ["/invitations", "Invitations"],
  ["/people", "People"],
  ["/doctor", "Doctor"],
];

function drawTop() {
  const nav = el("nav", { "aria-label": "Main" });
  const path = location.pathname;
  const here = path.startsWith("/sessions/") ? "/" : path.startsWith("/compare/") ? "/compare" : path;
  for (const [path, label] of NAV) {
    const current =
      path === here ? { "aria-current": location.pathname === "/" || path !== "/" ? "page" : "true" } : {};
    add(nav, el("a", { href: path, text: label, ...current }));
  }
  const who = el("span", { class: "s m me", text: me?.name ?? "" });
  const out = el("button", { class: "btn q sm", type: "button", text: "Sign out", onclick: leave });
  const fresh = el("a", { class: "btn pri", href: "/new" }, icon("plus"), " New interview");
  const quiet = location.pathname === "/new" ? null : fresh;
  top.replaceChildren(
    el("a", { class: "brand", href: "/", text: "Interview Buddy" }),
    nav,
    el("span", { class: "sp" }),
    who,
    out,
  );
  add(top, quiet);
  top.hidden = false;
}

async function leave() {
  await ask("/v1/logout", {}).catch(() => {});
  location.assign("/");
}

function signedOut() {
  view?.close();
  view = null;
  top.hidden = true;
  const words =
    "Type “ib link” on the machine of the host, or ask a coordinator for a new link; each opens once.";
  const again = el("button", {
    class: "btn",
    type: "button",
    text: "Try again",
    onclick: () => location.reload(),
  });
  main.replaceChildren(
    el(
      "div",
      { class: "card lone" },
      el("h1", { text: "You are not signed in" }),
      el("p", { class: "m", text: words }),
      again,
    ),
  );
}

/** @param {News} news */
function drawContact(news) {
  if (news.contact === undefined) return;
  contact.hidden = news.contact;
  if (news.contact) return;
  const since = news.since ? ` since ${exactTime(news.since)}` : "";
  const words = "The figures below are from then. Trying again; interviews go on without this page.";
  contact.replaceChildren(note("bad", `No contact with the host${since}.`, words));
}

/** @param {unknown} error */
function failed(error) {
  if (error instanceof Refused && error.status === 401) signedOut();
  else if (error instanceof Refused && error.status === 0)
    drawContact({ contact: false, since: Date.now() / 1000 });
  else announce(error instanceof Error ? error.message : String(error));
}

/** @returns {View} */
function makeList() {
  const list = makeSessions(main, { wish, now });
  /** @type {Set<string>} */
  let wanted = new Set();
  let busy = false;
  let closed = false;

  /** @param {string[]} ids */
  async function read(ids) {
    for (const id of ids) wanted.add(id);
    if (busy) return;
    busy = true;
    while (wanted.size && !closed) {
      const all = wanted.has("*") || wanted.size > 60;
      const query = all ? [] : [`ids=${[...wanted].map(encodeURIComponent).join(",")}`];
      if (isBlind()) query.push("blind=1");
      wanted = new Set();
      try {
        const news = await ask(`/v1/desk/sessions${query.length ? `?${query.join("&")}` : ""}`);
        ahead = Date.now() / 1000 - news.as_of;
        if (!closed) list.take(news, all);
      } catch (error) {
        failed(error);
        break;
      }
    }
    busy = false;
  }
  void read(["*"]);
  return {
    hear: (news) => news.changed && void read(news.changed),
    tick: () => list.tick(),
    close: () => {
      closed = true;
    },
  };
}

/** @returns {View | null} */
function makeView() {
  const path = location.pathname;
  const given = { now, announce, failed, me: /** @type {Me} */ (me), go };
  const session = /^\/sessions\/([^/]+)$/.exec(path)?.[1];
  if (session) return makeSession(main, { ...given, id: decodeURIComponent(session) });
  const compared = /^\/compare(?:\/([^/]+))?$/.exec(path);
  if (compared) return makeCompare(main, given, decodeURIComponent(compared[1] ?? ""));
  if (path === "/new") return makeCreate(main, given);
  if (path === "/invitations") return makeInvitations(main, given);
  if (path === "/people") return makePeople(main, given);
  if (path === "/doctor") return makeDoctor(main, given);
  return makeList();
}

/** Show what the address means. */
function show() {
  view?.close();
  main.replaceChildren();
  main.classList.toggle("slim", location.pathname === "/new");
  document.title = `${document.title && NAV.find(([path]) => path === location.pathname)?.[1] ? `${NAV.find(([path]) => path === location.pathname)?.[1]} – ` : ""}Interview Buddy`;
  drawTop();
  view = makeView();
}

/** @param {string} path */
function go(path) {
  history.pushState(null, "", path);
  show();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

/** @param {MouseEvent} event */
function followLink(event) {
  const target = event.target instanceof Element ? event.target.closest("a") : null;
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (
    !target ||
    !plain ||
    target.origin !== location.origin ||
    target.target ||
    target.hash ||
    target.download
  )
    return;
  event.preventDefault();
  go(target.pathname);
}

async function begin() {
  const waiting = setTimeout(() => {
    main.replaceChildren(el("p", { class: "m", text: "Asking the host…" }));
  }, SLOW_MS);
  const link = /^#(?:link=)?(ib_l_[\w-]+)$/.exec(location.hash)?.[1] ?? "";
  if (link) history.replaceState(null, "", location.pathname); // out of the address before anything else
  try {
    me = await signIn(link);
  } catch (error) {
    clearTimeout(waiting);
    const line = error instanceof Error ? error.message : String(error);
    const again = el("button", {
      class: "btn",
      type: "button",
      text: "Try again",
      onclick: () => location.reload(),
    });
    main.replaceChildren(note("bad", "The page cannot begin.", line), el("p", null, again));
    return;
  }
  clearTimeout(waiting);
  if (!me) {
    signedOut();
    return;
  }
  top.after(contact);
  document.addEventListener("click", followLink);
  addEventListener("popstate", show);
  show();
  follow((news) => {
    drawContact(news);
    if (news.signed_out) signedOut();
    else view?.hear(news);
  });
  setInterval(() => view?.tick(), 1000);
  setText(announcer, "");
}

void begin();
