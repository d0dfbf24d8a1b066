import assert from "node:assert/strict";
import { test } from "node:test";
import {
  makeLink,
  timeLeft,
} from "../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/link.js";
import { context, Kernel, STATE, settle } from "./lab.js";

test("a kernel that has loaded the package is greeted, and what it says is known", async () => {
  const kernel = new Kernel();
  let changes = 0;
  const link = makeLink(context(kernel), () => {
    changes += 1;
  });
  await settle();
  assert.equal(kernel.comms.length, 0, "nothing is sent to a kernel that has no comm");
  kernel.runs("1 + 1");
  assert.equal(kernel.asked, 1, "a cell that loads nothing is no reason to look again");
  const comm = await kernel.loads();
  assert.deepEqual(comm.sent, [{ do: "hello" }]);
  comm.says({ type: "state", state: STATE });
  comm.says({ type: "task", task: { title: "Rate limiter", html: "<p>x</p>", checks: false, hints: false } });
  assert.equal(link.known.state?.left, 9_201);
  assert.equal(link.known.task?.title, "Rate limiter");
  assert.ok(changes >= 2);
});

test("a page that comes later finds the comm that is open", async () => {
  const kernel = new Kernel(["early"]);
  makeLink(context(kernel), () => {});
  await settle();
  assert.deepEqual(
    kernel.comms.map((comm) => [comm.commId, comm.sent]),
    [["early", [{ do: "hello" }]]],
  );
});

test("messages of another version are left alone", async () => {
  const kernel = new Kernel();
  const link = makeLink(context(kernel), () => {});
  const comm = await kernel.loads();
  comm.says({ version: 2, type: "state", state: STATE });
  comm.says({ version: 1, type: "news" });
  assert.equal(link.known.state, null);
});

test("no session is no state, and another session takes task and estimate away", async () => {
  const kernel = new Kernel();
  const link = makeLink(context(kernel), () => {});
  const comm = await kernel.loads();
  comm.says({ type: "state", state: { session_id: "" } });
  assert.equal(link.known.state, null);
  comm.says({ type: "state", state: STATE });
  comm.says({ type: "task", task: { title: "t", html: "", checks: false, hints: false } });
  comm.says({ type: "state", state: { ...STATE, session_id: "other" } });
  assert.equal(link.known.task, null);
});

test("one estimate is asked for at a time, and the newest text after it", async () => {
  const kernel = new Kernel();
  const link = makeLink(context(kernel), () => {});
  const comm = await kernel.loads();
  comm.sent.length = 0;
  for (const cell of ["a", "ab", "abc", "abc"]) link.estimate(cell);
  assert.deepEqual(
    comm.sent.map(({ cell }) => cell),
    ["a"],
  );
  comm.says({ type: "estimate", n: comm.sent[0].n + 1, estimate: { total: 1 } });
  const estimate = () => link.known.estimate;
  assert.equal(estimate(), null, "another page's answer");
  assert.equal(link.known.counting, true);
  comm.says({ type: "estimate", n: comm.sent[0].n, estimate: { problem: "", total: 7 } });
  assert.equal(estimate()?.total, 7);
  assert.deepEqual(
    comm.sent.map(({ cell }) => cell),
    ["a", "abc"],
  );
  comm.says({ type: "estimate", n: comm.sent[1].n, estimate: { problem: "", total: 9 } });
  link.estimate("abc");
  assert.equal(comm.sent.length, 2, "what was just counted is not counted again");
  link.estimate("abc", true);
  assert.equal(comm.sent.length, 3, "unless another turn goes along by now");
});

test("a cell that is no question has no estimate, and an answer that comes late gives it none", async () => {
  const kernel = new Kernel();
  const link = makeLink(context(kernel), () => {});
  const comm = await kernel.loads();
  link.estimate("a");
  link.dropEstimate();
  comm.says({ type: "estimate", n: comm.sent.at(-1).n, estimate: { problem: "", total: 7 } });
  assert.deepEqual([link.known.estimate, link.known.counting], [null, false]);
  link.estimate("a");
  assert.equal(comm.sent.at(-1).cell, "a", "it is asked for again when somebody comes back to it");
});

test("a restart takes everything away, says so, and the next kernel is greeted", async () => {
  const kernel = new Kernel();
  const link = makeLink(context(kernel), () => {});
  (await kernel.loads()).says({ type: "state", state: STATE });
  kernel.becomes("restarting");
  assert.deepEqual([link.known.state, link.known.restarted], [null, true]);
  kernel.open = [];
  kernel.becomes("idle");
  await settle();
  assert.equal(link.known.restarted, true);
  (await kernel.loads()).says({ type: "state", state: STATE });
  assert.deepEqual([link.known.state?.left, link.known.restarted], [9_201, false]);
});

test("the package that is unloaded leaves no figures behind", async () => {
  const kernel = new Kernel();
  const link = makeLink(context(kernel), () => {});
  const comm = await kernel.loads();
  comm.says({ type: "state", state: STATE });
  comm.onClose();
  assert.equal(link.known.state, null);
});

test("a lost connection keeps the last figures and says so", async () => {
  const kernel = new Kernel();
  const link = makeLink(context(kernel), () => {});
  (await kernel.loads()).says({ type: "state", state: STATE });
  kernel.connectionStatusChanged.emit(kernel, "connecting");
  assert.deepEqual([link.known.lost, link.known.state?.left], [true, 9_201]);
  kernel.connectionStatusChanged.emit(kernel, "connected");
  assert.equal(link.known.lost, false);
});

test("another kernel of the same notebook is followed instead", async () => {
  const [first, second] = [new Kernel(), new Kernel()];
  const session = context(first);
  const link = makeLink(session, () => {});
  (await first.loads()).says({ type: "state", state: STATE });
  session.session = { kernel: second };
  session.kernelChanged.emit(session);
  await settle();
  assert.equal(link.known.state, null);
  assert.equal(first.statusChanged.slots.size, 0);
  session.session = null;
  session.kernelChanged.emit(session);
  link.dispose();
  assert.equal(session.kernelChanged.slots.size, 0);
  assert.equal(second.statusChanged.slots.size, 0);
});

test("the clock goes on between two messages only while it runs", () => {
  const known = { state: STATE, received: 1_000 };
  assert.equal(timeLeft(known, 11_000), 1290);
  assert.equal(timeLeft({ ...known, state: { ...STATE, running: false } }, 11_000), 1300);
  assert.equal(timeLeft({ ...known, state: { ...STATE, time_left_s: 3 } }, 11_000), 0);
  assert.equal(timeLeft({ ...known, state: { ...STATE, time_left_s: null } }, 11_000), null);
  assert.equal(timeLeft({ ...known, state: null }, 11_000), null);
});
