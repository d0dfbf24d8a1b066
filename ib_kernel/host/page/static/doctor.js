// The doctor: what the host goes by, and whether its parts are well.

/** @import { Given } from "./table.js" */
/** @import { IconName } from "./parts.js" */

import { ask } from "./api.js";
import { add, el, icon } from "./parts.js";
import { heading } from "./table.js";

/** @type {Record<string, [icon: IconName, look: string, word: string]>} */
const WELL = {
  good: ["check", "good", "well"],
  attention: ["attention", "warn", "look at this"],
  failed: ["failed", "bad", "failed"],
};

/**
 * Return words with the groups of their numbers set apart as everywhere on the page.
 *
 * @param {string} words
 */
const spaced = (words) => words.replace(/(?<=\d),(?=\d{3}(?!\d))/g, "\u202f");

/**
 * Make the doctor's view.
 *
 * @param {HTMLElement} place
 * @param {Given} given
 */
export function makeDoctor(place, given) {
  const body = el("div", { class: "col gap" });
  const again = el("button", { class: "btn", type: "button", text: "Look again", onclick: () => read() });
  const everything = el("a", {
    class: "btn",
    href: "/v1/desk/export",
    download: "interviews.zip",
    text: "Export everything",
    title: "All tables as Parquet files in one zip file",
  });
  const actions = given.me.role === "coordinator" ? [everything, again] : [again];
  add(place, heading("Doctor", "What this host goes by, and whether its parts are well.", actions), body);

  /** @param {{ title: string, lines: { name: string, value: string, state: string }[] }[]} sections */
  function draw(sections) {
    body.replaceChildren(
      ...sections.map(({ title, lines }) => {
        const rows = lines.map((line) => {
          const [name, look, word] = WELL[line.state] ?? [];
          const mark = name ? el("span", { class: `state ${look}` }, icon(name), ` ${word}`) : null;
          return el(
            "tr",
            null,
            el("th", { scope: "row", text: line.name }),
            el("td", { text: spaced(line.value) }),
            el("td", { class: "r" }, mark),
          );
        });
        return el(
          "section",
          { class: "card" },
          el("h2", { text: title }),
          el("table", { class: "t doc" }, el("tbody", null, ...rows)),
        );
      }),
    );
  }
  const read = () => {
    again.disabled = true;
    return ask("/v1/desk/doctor")
      .then((value) => draw(value.sections), given.failed)
      .finally(() => {
        again.disabled = false;
      });
  };
  void read();
  return { hear() {}, tick() {}, close() {} };
}
