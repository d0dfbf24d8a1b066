import assert from "node:assert/strict";
import { test } from "node:test";
import { place } from "./browser.js";

const { safeNodes } = await import("../../../ib_kernel/host/page/static/safe.js");

/** @param {string} html */
function shown(html) {
  const parent = place();
  parent.append(...safeNodes(html, "Code"));
  return parent;
}

test("nothing that runs, fetches or styles passes, even if the host sent it", () => {
  const attacks = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<p style="position:fixed" onclick="x()">x</p>',
    '<iframe src="//evil"></iframe><form action="//evil"><input></form>',
    '<svg><a xlink:href="javascript:x"></a></svg><math></math>',
    '<p class="top card">x</p><base href="//evil"><link rel=stylesheet href=x><style>*{}</style>',
    '<a href="data:text/html,x">x</a><a href="//evil">y</a>',
  ];
  for (const attack of attacks) {
    const page = shown(`<div>${attack}</div>`);
    const names = [...page.querySelectorAll("*")].map((node) => node.tagName);
    assert.deepEqual(
      names.filter((name) => !["DIV", "P", "A"].includes(name)),
      [],
      attack,
    );
    const attributes = [...page.querySelectorAll("*")].flatMap((node) =>
      [...node.attributes].map((a) => a.name),
    );
    assert.deepEqual(
      attributes.filter((name) => !["target", "rel"].includes(name)),
      [],
      attack,
    );
  }
});

test("code keeps its colours, can be reached by keyboard and says what it is", () => {
  const page = shown('<div><pre class="code"><code><span class="t-keyword">def</span></code></pre></div>');
  const pre = page.querySelector("pre");
  assert.equal(pre?.getAttribute("tabindex"), "0");
  assert.equal(pre?.getAttribute("aria-label"), "Code");
  assert.equal(page.querySelector("span")?.className, "t-keyword");
});

test("a reply's headings are no headings of the page", () => {
  assert.equal(shown("<div><h1>Boss</h1></div>").querySelector("h1"), null);
});

test("links open elsewhere and tell the other page nothing", () => {
  const link = shown('<div><a href="https://example.org/x">x</a></div>').querySelector("a");
  assert.equal(link?.getAttribute("target"), "_blank");
  assert.match(link?.getAttribute("rel") ?? "", /noopener noreferrer/);
});
