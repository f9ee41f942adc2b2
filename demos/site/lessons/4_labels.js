// ---- 4. What does a network do with wrong labels? (recorded runs) -----------------------------------------------------
const digit = (canvas, hex) => picture(canvas, 8, 8, i => parseInt(hex[i], 16) / 15);
const dark = () => document.documentElement.dataset.theme === "dark";
lesson({
  id: "labels", question: "What does a network do with wrong labels?", minutes: 15,
  sentence: "It learns the digits, and then it learns the mistakes. With s for every image it keeps the mistakes apart.",
  thumbnail: `<svg viewBox="0 0 200 84"><path d="M8 76C20 10 60 8 80 10 120 14 150 40 192 52" fill="none" stroke="var(--red)" stroke-width="3" stroke-dasharray="7 4"/><path d="M8 76C20 10 60 6 80 6H192" fill="none" stroke="var(--blue)" stroke-width="3"/></svg>`,
  controls: [
    { name: "epoch", label: "epoch", spoken: "epoch", min: 1, max: DATA.labels.epochs, step: 1, value: DATA.labels.epochs, whole: true, show: v => `${v} of ${DATA.labels.epochs}` },
    { name: "rate", label: "share of labels replaced at random", spoken: "share of replaced labels", min: 0, max: DATA.labels.runs.length - 1, step: 1, value: 2, whole: true, show: v => `${100 * DATA.labels.runs[v].rate} %` },
  ],
  play: "epoch", seconds: 8,
  steps: [
    { text: "1,347 handwritten digits; for 40 % of them the label was replaced by a random one. A network trains with cross-entropy (CE, dashed). Play, and watch its accuracy on new digits.", set: { epoch: 1 }, play: true },
    { text: "After a few epochs CE is nearly as good as with clean labels. And then?", ask: ["it stays there", "it gets worse"], answer: 1, because: "It learns the wrong labels one by one (lower curve), and its accuracy on new digits falls. Had one stopped in time … but when?", set: { epoch: 6 }, then: { epoch: 40 } },
    { text: "SOP gives each image an <i>s</i> of its own, as in lessons 1 and 2. The digits on the right: a red bar says how much of the given label <i>s</i> has taken over. Move the epoch: which digits does it flag, and what does it propose instead?", set: { epoch: 20 } },
    { text: "With no wrong labels at all, what should <i>s</i> do?", ask: ["flag the hardest digits", "next to nothing"], answer: 1, because: "It flags next to nothing, and costs nothing.", set: { rate: 0 }, then: { rate: 0, epoch: 40 } },
    { text: "And with 60 % replaced? These are recorded runs: every curve is one training of a network, not a drawing.", set: { rate: 3 } },
  ],
  compute: values => ({ run: DATA.labels.runs[values.rate], at: values.epoch - 1 }),
  panels: [
    { draw(box, { run, at }) {
      const chart = new Chart(box, { title: "accuracy on new digits and wrong labels learned, over epochs", right: 132, x: { low: 1, high: DATA.labels.epochs, label: "epoch" }, y: { low: 0, high: 102, label: "%" } });
      const over = list => list.map((v, i) => [i + 1, v]).filter(([, v]) => Number.isFinite(v));
      if (run.rate) chart.line(over(run.CE.memorised), "yellow", { dash: "2 3", name: "CE: wrong learned" }).line(over(run.SOP.memorised), "green", { dash: "2 3", name: "SOP: wrong learned" });
      chart.line(over(run.CE.test), "red", { dash: "7 4", name: "CE: new digits" }).line(over(run.SOP.test), "blue", { width: 2.6, name: "SOP: new digits" });
      chart.upright(at + 1, "ink").show();
    } },
    { draw(box, { run, at }) {
      if (box.dataset.rate !== String(run.rate)) {
        box.dataset.rate = run.rate;
        box.innerHTML = `<div class="sheet" style="grid-template-columns:repeat(auto-fill,minmax(58px,1fr))" role="group" aria-label="some of the digits, with the label given and the label proposed">${run.samples.map(() => `<div><canvas></canvas><svg viewBox="0 0 60 20"></svg></div>`).join("")}</div>`;
        box.querySelectorAll("canvas").forEach((canvas, i) => digit(canvas, run.samples[i].image));
      }
      const order = run.samples.map((_, i) => i).sort((a, b) => run.samples[b].score[at] - run.samples[a].score[at] || a - b), cells = [...box.querySelectorAll(".sheet > div")];
      cells.forEach((cell, i) => {
        const { given, true: truth, score, proposed } = run.samples[i], flagged = score[at] > 50, say = flagged && proposed[at] !== given ? `${given} → ${proposed[at]}` : `${given}`;
        cell.style.order = order.indexOf(i);
        cell.lastChild.innerHTML = `<rect x="0" y="0" width="60" height="4" fill="var(--line)"/><rect x="0" y="0" width="${0.6 * score[at]}" height="4" fill="var(--red)"/><text x="30" y="18" text-anchor="middle" style="fill:var(--${given === truth ? "soft" : "red"})">${say}</text>`;
      });
    } },
  ],
  tell({ run, at }) {
    const [wrong, right] = run.flagged[at];
    return `After epoch ${at + 1} CE is right on ${run.CE.test[at]} % of new digits${run.rate ? `, having learned ${run.CE.memorised[at]} % of the wrong labels` : ""}; SOP on ${run.SOP.test[at]} %${run.rate ? ` and ${run.SOP.memorised[at]} %` : ""}. <i>s</i> flags ${wrong === null ? "" : `${percent(wrong)} of the wrong labels and `}${percent(right)} of the right ones.`;
  },
});
