import assert from "node:assert/strict";
import { test } from "node:test";
import "./page.js";
import { safeNodes } from "../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/safe.js";

/** @param {string} html */
function shown(html) {
  const box = document.createElement("div");
  box.append(...safeNodes(html));
  return box.innerHTML;
}

const DROPPED = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg onload=alert(1)></svg>",
  '<iframe src="https://example.org"></iframe>',
  "<form><input></form>",
  "<style>body { display: none }</style>",
  '<object data="x"></object>',
  "<math><mtext></mtext></math>",
];
for (const html of DROPPED)
  test(`${html} does not reach the page`, () => {
    assert.equal(shown(`<p>before</p>${html}<p>after</p>`), "<p>before</p><p>after</p>");
  });

test("only attributes of the list stay", () => {
  assert.equal(shown('<p onclick="alert(1)" id="x" class="y">a</p>'), "<p>a</p>");
  assert.equal(shown('<ol start="3" type="a"><li>a</li></ol>'), '<ol start="3"><li>a</li></ol>');
});

for (const href of ["javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "//example.org", "x"])
  test(`a link to ${href} leads nowhere`, () => {
    assert.doesNotMatch(shown(`<a href="${href}">a</a>`), /href/);
  });

test("a link to a page opens apart and tells it nothing", () => {
  const html = shown('<a href="https://example.org/" target="_self" rel="opener">a</a>');
  assert.match(html, /href="https:\/\/example.org\/"/);
  assert.match(html, /target="_blank"/);
  assert.match(html, /rel="noopener noreferrer nofollow"/);
});

test("a style fetches nothing", () => {
  assert.equal(shown('<span style="background: url(https://example.org/x)">a</span>'), "<span>a</span>");
  assert.match(shown('<span style="color: red">a</span>'), /color/);
});

test("a reply's headings are no headings of the page", () => {
  const html = shown("<h1>Plan <em>now</em></h1><h6>End</h6>");
  const line = '<div class="ib-heading">';
  assert.equal(html, `${line}Plan <em>now</em></div>${line}End</div>`);
});
