// ---- 5. Can a network correct the labels it learns from? --------------------------------------------------------------
const SPEED = { effective: 400, frames: 60 };
/** Both runs from the same data and weights; a frame at about sixty steps, equally spaced in effective time's logarithm. */
function* refineryRuns(values) {
  const data = refineryData(values), first = refineryNetwork(values), eta = largestStep(first, data.X), copy = W => W.map(row => row.slice());
  const longer = values.another ? 1 / (1 - values.alpha) : 1, runs = { descent: { W: copy(first.W), v: first.v }, refinery: { W: copy(first.W), v: first.v } };
  const random = generator(values.seed + 77), wanted = [...new Set(Array.from({ length: SPEED.frames }, (_, i) => Math.round(SPEED.effective ** (i / (SPEED.frames - 1)))))];
  const frames = [], score = (W, v) => { const f = outputs(hidden(W, data.test), v); return f.filter((value, i) => Math.sign(value) === data.testStar[i]).length / f.length; };
  const wrong = data.y.map((v, i) => v !== data.star[i] ? i : -1).filter(i => i >= 0);
  for (let t = 0; t <= SPEED.effective; t++) {
    const a = refine(runs.descent, data, { alpha: 0, eta, positive: "self" }, random), b = refine(runs.refinery, data, { alpha: values.alpha, eta: eta * longer, positive: values.another ? "cluster" : "self" }, random);
    if (wanted.includes(t) || t === 0) frames.push({ t, descent: a.f, refinery: b.f, refined: b.refined, test: [score(runs.descent.W, first.v), score(runs.refinery.W, first.v)],
      fitted: [a.f, b.f].map(f => wrong.length ? wrong.filter(i => Math.sign(f[i]) === data.y[i]).length / wrong.length : 0) });
    if (t % 5 === 4) yield { data, first, eta, frames, done: t / SPEED.effective };
  }
  yield { data, first, eta, frames, done: 1 };
}
lesson({
  id: "refinery", question: "Can a network correct the labels it learns from?", minutes: 10, seed: 1,
  sentence: "Contrastive learning draws wrong positives. Let the network's opinion of another crop into the label, and watch it clean up.",
  thumbnail: `<svg viewBox="0 0 200 84"><g fill="var(--blue)"><rect x="20" y="10" width="14" height="14"/><rect x="38" y="10" width="14" height="14"/><rect x="74" y="10" width="14" height="14"/><rect x="20" y="28" width="14" height="14"/></g><g fill="var(--red)"><rect x="56" y="10" width="14" height="14"/><rect x="38" y="28" width="14" height="14"/></g><path d="M100 26h20m-6-6l6 6-6 6" stroke="var(--ink)" fill="none" stroke-width="2"/><g fill="var(--blue)"><rect x="130" y="10" width="14" height="14"/><rect x="148" y="10" width="14" height="14"/><rect x="166" y="10" width="14" height="14"/><rect x="130" y="28" width="14" height="14"/><rect x="148" y="28" width="14" height="14"/></g></svg>`,
  controls: [
    { name: "time", label: "training", spoken: "training time", min: 0, max: 1, step: 0.01, value: 1, show: v => `${Math.round(400 ** v)} steps` },
    { name: "rho", label: "share of wrong labels <i>ρ</i>", spoken: "share of wrong labels", min: 0, max: 0.46, step: 0.02, value: 0.3, show: v => `${Math.round(100 * v)} %` },
    { name: "alpha", label: "weight of the network's opinion <i>α</i>", spoken: "weight of the opinion", min: 0, max: 0.96, step: 0.02, value: 0.9, show: v => v.toFixed(2) },
    { name: "eps", label: "how different crops of one image are, <i>ε</i>", spoken: "radius of the crops", min: 0.05, max: 0.6, step: 0.05, value: 0.5, show: v => v.toFixed(2) },
  ],
  toggles: [{ name: "another", label: "ask another crop", value: true }],
  play: "time", another: "other data", seconds: 5,
  steps: [
    { text: "Ten images (rows), 24 crops of each. A crop's label says which of two classes it shows; 30 % are wrong (odd colours on the left). A network trains on them. Play.", set: { time: 0 }, play: true },
    { text: "Plain descent (middle) is right for a while. What will it do with the wrong labels in the end?", ask: ["ignore them", "learn them too"], answer: 1, because: "It fits them one by one: the odd squares reappear in the middle block, and the test accuracy falls.", set: { time: 0.45 }, then: { time: 1 } },
    { text: "The refinery mixes the label with the network's own opinion <b>of another crop of the same image</b>: <i>ȳ</i> = (1 − <i>α</i>) <i>y</i> + <i>α</i> <i>f</i>(<i>x̃</i>). It ends with every square right, and needs no stopping time.", set: {} },
    { text: "The paper's proofs take the <b>same</b> crop, <i>x̃</i> = <i>x</i>. Untick the box. Does it still help?", ask: ["yes", "it only slows descent down"], answer: 1, because: "Then the pull of label and opinion cancel: it is descent with a smaller step, on the same road to the wrong labels. See docs/errata.", set: {}, then: { another: false } },
    { text: "How strong must the opinion be? Linear theory says <i>α</i> &gt; 1/(2 − 2<i>ρ</i>): 0.71 at 30 %. Move <i>α</i> across it.", set: { alpha: 0.6 } },
  ],
  compute(values) {
    const key = ["rho", "alpha", "eps", "another", "seed"].map(name => values[name]).join();
    if (this.kept?.key !== key) this.kept = { key, run: refineryRuns(values), shown: null };
    const began = performance.now(), { run } = this.kept;
    while ((!this.kept.shown || this.kept.shown.done < 1) && performance.now() - began < 10) this.kept.shown = run.next().value || this.kept.shown;
    if (this.kept.shown.done < 1) soon();  // the rest in the next frames: the picture never waits
    const { frames } = this.kept.shown, t = Math.round(SPEED.effective ** values.time) - (values.time === 0 ? 1 : 0);
    let at = frames.length - 1; while (at > 0 && frames[at].t > t) at--;
    return { ...this.kept.shown, at, frame: frames[at], threshold: 1 / (2 - 2 * values.rho) };
  },
  panels: [
    { draw(box, { data, frame }) {
      const width = box.clientWidth, height = box.clientHeight, columns = data.crops, tall = height > 0.7 * width, gap = 14;
      const side = tall ? Math.min(width / columns, (height - 20) / 3 / 10 - 2.6) : Math.min((width - 2 * gap) / 3 / columns, (height - 44) / 10);
      const blocks = [["the labels as given", data.y], ["gradient descent says", frame.descent], ["the refinery says", frame.refinery]];
      if (!box.querySelector("canvas")) box.innerHTML = `<canvas role="img" aria-label="the labels, and what both networks say, a square a crop; wrong ones have a red edge" style="width:100%;height:100%;image-rendering:auto"></canvas>`;
      const canvas = box.firstChild, ratio = devicePixelRatio || 1, context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
      canvas.width = width * ratio; canvas.height = height * ratio; context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const ink = name => style.getPropertyValue(`--${name}`).trim(), fills = { 1: ink("blue"), "-1": ink("yellow") }, red = ink("red");
      context.font = "12px system-ui, sans-serif"; context.strokeStyle = red; context.lineWidth = 1.8;
      blocks.forEach(([title, f], b) => {
        const x0 = tall ? 0 : b * (columns * side + gap), y0 = tall ? b * (10 * side + 26) : 0;
        context.globalAlpha = 1; context.fillStyle = ink("ink"); context.fillText(title, x0, y0 + 14);
        for (let i = 0; i < f.length; i++) {
          const sign = Math.sign(f[i]) || 1, x = x0 + (i % columns) * side, y = y0 + 20 + Math.floor(i / columns) * side;
          context.globalAlpha = 0.2 + 0.8 * Math.min(1, Math.abs(f[i])); context.fillStyle = fills[sign]; context.fillRect(x, y, side - 1, side - 1);
          if (sign !== data.star[i]) { context.globalAlpha = 1; context.strokeRect(x + 1, y + 1, side - 3, side - 3); }
        }
      });
      context.globalAlpha = 1; context.fillStyle = ink("soft"); context.fillText("a row: one image; a square: one crop; red edge: wrong", 0, height - 4);
    } },
    { draw(box, { frames, frame }) {
      const chart = new Chart(box, { title: "test accuracy and wrong labels learned, over training", right: 96, x: { low: 1, high: 400, log: true, label: "effective steps", ticks: [1, 10, 100] }, y: { low: 0, high: 1.02, label: "share" } });
      const of = (name, which) => frames.filter(one => one.t > 0).map(one => [one.t, one[name][which]]);
      chart.line(of("fitted", 0), "yellow", { dash: "5 4", name: "descent: learned" }).line(of("fitted", 1), "green", { dash: "5 4", name: "refinery: learned" });
      chart.line(of("test", 0), "red", { name: "descent: test" }).line(of("test", 1), "blue", { name: "refinery: test" });
      if (frame.t > 0) chart.upright(frame.t, "ink");
      chart.show();
    } },
  ],
  tell({ frame, frames, done, threshold }, values) {
    if (done < 1) return "Training …";
    const [a, b] = frame.test, learned = frame.fitted;
    const need = values.another ? `Needed by linear theory: <i>α</i> &gt; ${threshold.toFixed(2)}${values.alpha > threshold ? ", which it is" : ", which it is not"}.` : "With the same crop the opinion adds nothing.";
    return `After ${frame.t} steps descent is right on ${percent(a)} of new crops${values.rho ? ` and has learned ${percent(Math.max(learned[0], 0))} of the wrong labels` : ""}; the refinery on ${percent(b)}${values.rho ? ` and ${percent(learned[1])}` : ""}. ${need}`;
  },
});
