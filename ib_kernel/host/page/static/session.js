// One session, live: where it stands, its course, the conversation, and what an interviewer does to it.

/** @import { Course, Detail, Me } from "./api.js" */
/** @import { Control } from "./head.js" */
/** @import { News } from "./live.js" */

import { ask, at, Refused } from "./api.js";
import { askFirst } from "./dialog.js";
import { doubtNote } from "./doubt.js";
import { makeHead, questionFor } from "./head.js";
import { invitationCard } from "./invitation.js";
import { oneAtATime } from "./once.js";
import { add, el, note, wholeNumber } from "./parts.js";
import { makePhase } from "./phase.js";
import { makeReplayCard } from "./replay.js";
import { makeReportCard } from "./report.js";
import { safeNodes } from "./safe.js";
import { makeNotes, makeSayForm } from "./say.js";
import { isBlind, makeScorecard } from "./scorecard.js";
import { makeStats } from "./stats.js";
import { makeTalk, momentWords } from "./talk.js";
import { makeTimeline } from "./timeline.js";

/** @typedef {{ now: () => number, announce: (text: string) => void, failed: (error: unknown) => void, me: Me, id: string, go?: (path: string) => void }} Given */

/** Part of the page that is made anew only when what it shows has changed. */
function makeSlot(/** @type {string} */ name) {
  const node = el("div", { class: name });
  let shown = "";
  /**
   * @param {unknown} value
   * @param {() => Node[]} make
   */
  function draw(value, make) {
    const key = JSON.stringify(value);
    if (key === shown) return;
    shown = key;
    node.replaceChildren(...make());
  }
  return { node, draw };
}

/** The task as the candidate sees it, folded. */
function makeTask() {
  const words = "The task, as the candidate sees it";
  const node = el("details", { class: "card", hidden: true }, el("summary", { text: words }));
  /** @param {string} html "" when the page has it already, or there is none */
  function draw(html) {
    if (!html || !node.hidden) return;
    node.hidden = false;
    add(node, el("div", { class: "words task" }, ...safeNodes(html, "Code of the task")));
  }
  return { node, draw };
}

/**
 * A card with a heading.
 *
 * @param {string} id
 * @param {string} title
 */
const card = (id, title) =>
  el("section", { class: "card", "aria-labelledby": id }, el("h2", { id, text: title }));

/**
 * Make the view of one session under *place*.
 *
 * @param {HTMLElement} place
 * @param {Given} given
 */
export function makeSession(place, given) {
  const path = at(given.id);
  /** @type {Detail | null} */
  let shown = null;
  let closed = false;

  const head = makeHead(press);
  const doubts = makeSlot("doubts");
  const adapted = makeSlot("adapted");
  const invitation = makeSlot("invitation");
  const stats = makeStats();
  const courseCard = card("course", "Course of the interview");
  const line = makeTimeline(courseCard, (course) => tableRows(course, shown));
  const talkCard = card("talk", "Conversation");
  const talk = makeTalk(talkCard);
  const say = makeSayForm(send);
  const notes = makeNotes(send);
  const phase = makePhase(send);
  const again = () => given.go?.(location.pathname);
  const { id, announce, failed } = given;
  const scorecard = makeScorecard({ id, announce, failed, again });
  const report = makeReportCard({ id, announce, failed });
  const task = makeTask();
  const replay = makeReplayCard(path);
  const left = el("div", { class: "col gap" }, talkCard, replay.node, task.node);
  const cards = [say.node, phase.node, scorecard.node, report.node, notes.node];
  const right = el("div", { class: "col gap" }, ...cards);
  const columns = el("div", { class: "cols" }, left, right);
  const parts = [head.node, doubts.node, adapted.node, invitation.node, stats.node, courseCard, columns];
  const whole = el("div", { hidden: true }, ...parts);
  add(place, whole);

  /**
   * @param {string} action
   * @param {object} body
   */
  async function send(action, body) {
    await ask(`${path}/${action}`, body);
    await refresh();
  }

  /** @param {Control} what */
  function press(what) {
    if (!shown) return;
    const row = shown.session;
    if (what === "resume" && !row.locked) {
      send("resume", {}).then(() => given.announce("Resumed."), head.fail);
      return;
    }
    const question = questionFor(what, row);
    askFirst(question, async ({ amount, passphrase }) => {
      const key = passphrase ? { passphrase } : {};
      if (question.amount) await send("extend", { [what]: wholeNumber(amount), ...key });
      else await send(what, key);
      given.announce(`${question.done}.`);
    });
  }

  /** @param {Detail} detail */
  function draw(detail) {
    shown = detail;
    const row = detail.session;
    whole.hidden = false;
    head.draw(detail);
    doubts.draw(row.doubts, () => row.doubts.map((doubt) => doubtNote(doubt, row, send)));
    const last = row.status === "created" ? (detail.invitations[0] ?? null) : undefined;
    invitation.draw(last, () =>
      last === undefined ? [] : [invitationCard(row, last, { refresh, announce: given.announce })],
    );
    stats.draw(detail, given.now());
    courseCard.hidden = row.status === "created";
    replay.node.hidden = courseCard.hidden;
    line.draw(detail.course, row);
    talk.draw(detail);
    notes.draw(detail.notes);
    adapted.draw(detail.accommodation, () =>
      detail.accommodation
        ? [note("", "Accommodation:", `${detail.accommodation}. Coordinators see it.`)]
        : [],
    );
    say.node.hidden = row.group === "ended" && row.status !== "expired";
    phase.draw(detail);
    report.show(row.group === "ended");
    task.draw(detail.task);
    document.title = `${row.candidate || "Session"} – Interview Buddy`;
  }

  const refresh = oneAtATime(async () => {
    try {
      const blind = isBlind() ? "&blind=1" : "";
      const detail = await ask(`${path}?known=${talk.known()}${blind}`);
      if (closed) return;
      draw(detail);
      replay.changed();
    } catch (error) {
      if (error instanceof Refused && error.status === 404 && !shown) missing(place);
      else given.failed(error);
    }
  });
  const pen = oneAtATime(async () => {
    try {
      const news = await ask(`${path}/writing`);
      if (!closed && shown) talk.write(news.writing);
    } catch (error) {
      given.failed(error);
    }
  });

  const refreshCard = oneAtATime(scorecard.refresh);
  void refresh();
  void refreshCard();
  return {
    /** @param {News} news */
    hear(news) {
      if (news.changed?.some((one) => one === given.id || one === "*")) {
        void refresh();
        void refreshCard();
      } else if (news.writing?.includes(given.id)) void pen();
    },
    tick: () => shown && stats.draw(shown, given.now()),
    close() {
      closed = true;
      line.close();
      report.close();
    },
  };
}

/** @param {HTMLElement} place */
function missing(place) {
  const link = el("a", { href: "/", text: "All sessions" });
  const words = "It may have been erased, or the address is not whole. ";
  place.replaceChildren(note("bad", "There is no such session.", words, link));
}

/**
 * Return the lines of the table that says what the timeline shows.
 *
 * @param {Course} course
 * @param {Detail | null} detail
 */
function tableRows(course, detail) {
  /** @type {[number, string][]} */
  const rows = course.questions.map((q) => [
    q.at_s,
    `Question of turn ${q.turn}, ${q.state.replace("_", " ")}`,
  ]);
  for (const moment of detail?.moments ?? []) rows.push([moment.at_s, momentWords(moment)[1]]);
  return rows.sort((a, b) => a[0] - b[0]);
}
