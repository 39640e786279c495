// Keys, filters that apply at once, thresholds that move. The page works without any of it.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// Keys
const typing = (target) => target.matches("input:not([type=range]), select, textarea") || target.isContentEditable;
const items = () => $$("[data-list] > li").map((li) => $("a", li)).filter(Boolean);
const step = (by) => {
  const all = items();
  if (!all.length) return false;
  const now = all.findIndex((a) => a.closest("li") === document.activeElement?.closest("li"));
  const next = all[Math.max(0, Math.min(all.length - 1, now < 0 ? (by > 0 ? 0 : all.length - 1) : now + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
};
const follow = (selector, place = "") => {
  const link = $(selector);
  if (link) location.assign(link.href + place);
  return Boolean(link);
};
const keys = {
  j: () => step(1) || follow("[data-next]"),
  k: () => step(-1) || follow("[data-prev]"),
  g: () => follow(".forms a:not([aria-current])"),
  "/": () => {
    const search = $("[data-search]");
    if (!search) return follow(".tabs a[href$='/dialogues']", "#search");
    search.focus();
    search.select();
    return true;
  },
  "?": () => { $("#help")?.showModal(); return true; },
  Escape: () => {
    if ($("#help")?.open) return false;
    if (typing(document.activeElement)) { document.activeElement.blur(); return true; }
    return follow("[data-up]");
  },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target) && event.key !== "Escape") return;
  if (keys[event.key]?.()) event.preventDefault();
});
// Back from a dialogue, its row has the focus again.
const left = new URLSearchParams(`id=${location.hash.slice(1)}`).get("id");
items().find((a) => a.closest("li").dataset.dialogue === left)?.focus();
$("[data-help]")?.addEventListener("click", () => $("#help").showModal());

// Filters apply at once; empty fields stay out of the address.
const filters = $(".filters");
if (filters) {
  filters.addEventListener("change", (event) => { if (event.target.matches("select:not([name=score])")) filters.requestSubmit(); });
  filters.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) {
      if (!value || (name === "order" && value === "input")) event.formData.delete(name);
    }
  });
}

// An image that failed safety is shown when it is asked for.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-unveil]");
  if (!button) return;
  event.preventDefault();
  $("img", button.parentElement).classList.remove("blurred");
  button.remove();
});

// The messages of a call are fetched when it is opened.
document.addEventListener("toggle", async (event) => {
  const call = event.target;
  if (!call.open || !call.dataset.call || $(".texts", call)) return;
  const page = await (await fetch(call.dataset.call)).text();
  const texts = $(".texts", new DOMParser().parseFromString(page, "text/html"));
  if (texts) $("p", call).replaceWith(texts);
}, true);

// A threshold that moves: the server decides every verdict again and says which images would flip.
const panel = $("#flips");
if (panel) {
  const charts = $$(".chart").filter((chart) => $(".drag", chart));
  const shown = (value) => String(Number(value.toPrecision(3)));
  const moved = () => charts.filter((chart) => Number($(".drag", chart).value) !== Number($(".drag", chart).defaultValue));
  const setting = (check) => (check === "critique" ? "critic.threshold" : `scorers.${check}.threshold`);
  let asked = 0;

  const draw = (chart) => {
    const slider = $(".drag", chart);
    const [low, high, value] = [slider.min, slider.max, slider.value].map(Number);
    $(".line", chart).setAttribute("x", (320 * (value - low)) / (high - low) - 0.75);
    $("output b", chart).textContent = shown(value);
    chart.classList.toggle("moved", moved().includes(chart));
  };

  const sentence = ({ counts, decided_otherwise: otherwise }) => {
    if (otherwise) return `${sentence({ counts })} ${otherwise} ${otherwise === 1 ? "moment was" : "moments were"} decided by the graph in its own way, which cannot be foretold.`;
    const parts = [];
    if (counts.gained) parts.push(`${counts.gained} gained`);
    if (counts.lost) parts.push(`${counts.lost} lost`);
    if (counts.replaced) parts.push(`${counts.replaced} replaced`);
    const known = parts.length ? `Images: ${parts.join(", ")}.` : "No image flips.";
    const moments = counts.unknown === 1 ? "moment" : "moments";
    return counts.unknown ? `${known} ${counts.unknown} ${moments} would need attempts that were never made.` : known;
  };

  const list = (flips) => {
    $("ol", panel).replaceChildren(...flips.map((flip) => {
      const classes = { gained: "accept", lost: "give_up", replaced: "rewrite", unknown: "" };
      const address = `${panel.dataset.dialogue}?${new URLSearchParams({ id: flip.dialogue })}#u${flip.utterance}`;
      const name = element("a", { href: address }, element("bdi", { textContent: `${flip.dialogue}: ${flip.description}`.slice(0, 200) }));
      const about = element("span", {}, name);
      if (flip.why) about.append(element("span", { className: "why", textContent: ` ${flip.why}` }));
      else if (!flip.exact) about.append(element("span", { className: "why", textContent: " assuming the same rewrites" }));
      const row = element("li", {}, element("span", {}, element("span", { className: `verdict ${classes[flip.change]}`, textContent: flip.change })), about);
      const src = `${panel.dataset.image}${flip.image}.png`;
      if (flip.image) row.append(element("img", { src, className: flip.blurred ? "blurred" : "", alt: "", loading: "lazy" }));
      return row;
    }));
  };

  const ask = async () => {
    const changed = moved();
    panel.hidden = !changed.length;
    if (!changed.length) return;
    const number = ++asked;
    const values = changed.map((chart) => [chart.dataset.check, shown(Number($(".drag", chart).value))]);
    $(".sets code", panel).textContent = values.map(([check, value]) => `--set ${setting(check)}=${value}`).join(" ");
    $(".tally", panel).textContent = "Deciding again…";
    const answer = await fetch(`${panel.dataset.url}?${new URLSearchParams(values)}`);
    const told = await answer.json();
    if (number !== asked) return; // the threshold has moved on
    $(".tally", panel).textContent = told.error || sentence(told);
    list(told.error ? [] : told.flips);
  };

  let waiting;
  for (const chart of charts) {
    $(".drag", chart).addEventListener("input", () => {
      draw(chart);
      clearTimeout(waiting);
      waiting = setTimeout(ask, 120);
    });
  }
  $("[data-reset]", panel).addEventListener("click", () => {
    for (const chart of charts) { $(".drag", chart).value = $(".drag", chart).defaultValue; draw(chart); }
    ask();
  });
  $("[data-copy]", panel).addEventListener("click", async (event) => {
    await navigator.clipboard.writeText($(".sets code", panel).textContent);
    event.target.textContent = "Copied";
    setTimeout(() => { event.target.textContent = "Copy"; }, 1500);
  });
}

// A run that goes on is looked at again, unless someone is in the middle of something.
const follow_s = Number($("main").dataset.follow);
if (follow_s) {
  document.querySelectorAll("details[open]").forEach((details) => details.toggleAttribute("data-opened"));
  setInterval(() => {
    const begun = "details[open]:not([data-opened]), dialog[open], #flips:not([hidden]), :focus:not(body, main)";
    if (!document.hidden && !$(begun)) location.reload();
  }, 1000 * follow_s);
}
