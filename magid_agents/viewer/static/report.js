// The filters of a report: everything they look at is in this file.
"use strict";

const samples = [...document.querySelectorAll(".sample")];
const search = document.querySelector("#search");
const outcome = document.querySelector("#outcome");
const texts = new Map(samples.map((sample) => [sample, sample.textContent.toLowerCase()]));

const filter = () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const sample of samples) {
    const marks = sample.dataset.marks.split(" ");
    const wanted = (!outcome.value || marks.includes(outcome.value)) && words.every((word) => texts.get(sample).includes(word));
    sample.hidden = !wanted;
    shown += wanted;
  }
  document.querySelector("#count").textContent = `${shown} of ${samples.length} shown`;
};
search.addEventListener("input", filter);
outcome.addEventListener("change", filter);
filter();
