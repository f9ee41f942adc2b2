// ---- 7. Which of my labels are wrong? (recorded: python -m sparseop.inspect's own digits) -----------------------------
lesson({
  id: "inspector", question: "Which of my labels are wrong?", minutes: 10,
  sentence: "A list of all samples, the most suspicious first, and an honest estimate of how far down it pays to look.",
  thumbnail: `<svg viewBox="0 0 200 84"><g fill="none" stroke="var(--line)" stroke-width="2"><rect x="24" y="8" width="30" height="30"/><rect x="64" y="8" width="30" height="30"/><rect x="104" y="8" width="30" height="30" stroke="var(--red)"/><rect x="144" y="8" width="30" height="30"/></g><text x="39" y="30" text-anchor="middle" style="font-size:18px">4</text><text x="79" y="30" text-anchor="middle" style="font-size:18px">7</text><text x="119" y="30" text-anchor="middle" style="font-size:18px">1</text><text x="159" y="30" text-anchor="middle" style="font-size:18px">9</text><text x="119" y="60" text-anchor="middle" style="fill:var(--red);font-size:14px">“7”?</text></svg>`,
  controls: [{ name: "n", label: "look at the first <i>n</i> of the list", spoken: "length of the list", min: 1, max: DATA.inspector.list.length, step: 1, value: 40, whole: true, show: v => `${v} of ${DATA.inspector.samples}` }],
  toggles: [{ name: "truth", label: "show the truth", value: false }],
  steps: [
    { text: `${DATA.inspector.samples.toLocaleString("en")} digits; the label under each is what a careless annotator wrote. These are the most suspicious ones. Would you agree with what is proposed instead (after the arrow)? Tick <b>show the truth</b>: green is really wrong, grey is right after all.`, set: { n: 60 } },
    { text: "How far down the list does it pay to look? The dots count, place by place, the labels that really are wrong. Where the curve turns flat the list has said what it can.", set: { n: 120, truth: true } },
    { text: "With your own data nobody draws that curve. So the inspector plants errors that it knows, on a copy, and sees how many it finds again. How well does it guess the number of wrong labels?", ask: ["to within a tenth or so", "not even roughly"], answer: 0, because: `It says ${DATA.inspector.number} (between ${DATA.inspector.interval[0]} and ${DATA.inspector.interval[1]}); in truth there are ${DATA.inspector.wrong}. The dashed line is that guess.`, set: { n: 120 }, then: { n: 120, truth: true } },
    { text: "Look at the last ones you can bring up: even an expert cannot say what some of these are. A list is a proposal, and the last word is yours. <b>python -m sparseop.inspect</b> writes it for your own pictures, tables or features.", set: { n: DATA.inspector.list.length } },
    { text: "Behind it stands the program of lessons 1 to 3 with one change: a wrong label costs a whole <b>row</b> of <i>S</i>, one norm for each sample: min ½|<i>Θ</i>|² + <i>λ</i> Σ|<i>S<sub>i</sub></i>|. Why by rows? A column of one-hot labels is itself mostly zeros, so entry by entry “all is corruption” would be cheap.", set: { n: 60 } },
  ],
  compute: ({ n, truth }) => ({ n, truth, found: DATA.inspector.list.slice(0, n).filter(one => one.true !== one.given).length }),
  panels: [
    { draw(box, { n, truth }) {
      const size = 60, from = Math.max(0, n - size), shown = DATA.inspector.list.slice(from, n);
      if (!box.querySelector(".sheet")) {
        box.innerHTML = `<div class="sheet" style="grid-template-columns:repeat(auto-fill,minmax(50px,1fr))" role="group" aria-label="the most suspicious digits, with the label given and the one proposed">${Array.from({ length: size }, () => `<div><canvas></canvas><svg viewBox="0 0 60 22"></svg></div>`).join("")}</div>`;
      }
      [...box.querySelectorAll(".sheet > div")].forEach((cell, i) => {
        const one = shown[i];
        cell.style.visibility = one ? "visible" : "hidden";
        if (!one) return;
        if (cell.dataset.rank !== String(from + i)) { digit(cell.firstChild, one.image); cell.dataset.rank = from + i; }
        const wrong = one.true !== one.given, ink = !truth ? "ink" : wrong ? "green" : "soft";
        cell.lastChild.innerHTML = `<rect width="60" height="3" fill="var(--line)"/><rect width="${(60 * one.suspicion).toFixed(0)}" height="3" fill="var(--red)"/><text x="30" y="19" text-anchor="middle" style="font-size:15px;fill:var(--${ink})">${one.given} → ${one.proposed}</text>`;
      });
    } },
    { draw(box, { n, truth, found }) {
      const { list, number, wrong } = DATA.inspector, most = Math.max(wrong, number) * 1.15;
      const chart = new Chart(box, { title: "wrong labels found against how many were looked at", right: 20, x: { low: 0, high: list.length, label: "looked at" }, y: { low: 0, high: most, label: "wrong labels found" } });
      let sum = 0;
      const all = list.map((one, i) => [i + 1, sum += one.true !== one.given ? 1 : 0]);
      chart.line([[0, 0], [most, most]], "grey", { width: 1.5, name: "if all were wrong", at: [0.72 * most, 0.8 * most] });
      if (truth) chart.line(all, "green", { width: 2.4, name: "in truth", at: all[Math.floor(0.8 * all.length)] }).dot(n, found, "green", 6);
      let expected = 0;
      const guessed = list.map((one, i) => [i + 1, expected += one.suspicion]);
      chart.line(guessed, "blue", { width: 2, name: "as estimated", at: guessed[Math.floor(0.55 * guessed.length)] }).upright(n, "ink");
      chart.line([[0, number], [list.length, number]], "grey", { dash: "5 4", width: 1.3, name: "estimated number", at: [0.02 * list.length, number] });
      chart.show();
    } },
  ],
  tell({ n, truth, found }) {
    const expected = DATA.inspector.list.slice(0, n).reduce((sum, one) => sum + one.suspicion, 0);
    return `Of the first ${n}, about ${expected.toFixed(0)} are estimated to be wrong${truth ? `; in truth ${found} are` : ""}. ${DATA.inspector.number} wrong labels are estimated in all, between ${DATA.inspector.interval[0]} and ${DATA.inspector.interval[1]}.`;
  },
});
