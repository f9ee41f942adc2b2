// ---- 6. Where does the noise of a picture go? (recorded runs) ----------------------------------------------------------
lesson({
  id: "picture", question: "Where does the noise of a picture go?", minutes: 10,
  sentence: "A network draws one noisy photograph. It learns the photograph first, then the noise, unless something else takes it.",
  thumbnail: `<svg viewBox="0 0 200 84"><rect x="20" y="12" width="60" height="60" rx="4" fill="var(--blue)" fill-opacity=".35"/><g fill="var(--ink)"><rect x="30" y="22" width="5" height="5"/><rect x="52" y="34" width="5" height="5"/><rect x="40" y="56" width="5" height="5"/><rect x="66" y="50" width="5" height="5"/></g><path d="M88 42h18m-6-6l6 6-6 6" stroke="var(--ink)" fill="none" stroke-width="2"/><rect x="116" y="12" width="60" height="60" rx="4" fill="var(--blue)" fill-opacity=".35"/></svg>`,
  controls: [{ name: "frame", label: "iteration", spoken: "iteration", min: 0, max: DATA.picture.at.length - 1, step: 1, value: DATA.picture.at.length - 1, whole: true, show: v => DATA.picture.at[v] }],
  play: "frame", seconds: 7,
  steps: [
    { text: "30 % of the pixels of a photograph are replaced by black or white. A network that has seen nothing else learns to draw it. Play: on top without <i>s</i>, below with <i>s</i> = <i>g</i>∘<i>g</i> − <i>h</i>∘<i>h</i> beside it.", set: { frame: 0 }, play: true },
    { text: "Without <i>s</i> (absolute loss), when is the picture at its best?", ask: ["at the end", "somewhere on the way"], answer: 1, because: "The red curve rises and falls: the network learns the photograph first and the noise afterwards. Who would know when to stop?", set: { frame: 6 }, then: {} },
    { text: "With <i>s</i>, some noise creeps into the picture at first; then <i>s</i> wakes up and takes it, also out of the picture (right, last image). The end is as good as the best moment.", set: { frame: 12 } },
    { text: "The three are the three of lesson 1: a model that learns the simple part first, an <i>s</i> that starts small and grows late, and two learning rates whose ratio says when.", set: {} },
  ],
  compute: ({ frame }) => ({ frame, own: DATA.picture.double, other: DATA.picture.absolute }),
  panels: [
    { draw(box, { frame, own, other }) {
      const images = [["noisy", DATA.picture.y], [`without s: ${other.psnr[frame].toFixed(1)} dB`, other.f[frame]], [`with s: ${own.psnr[frame].toFixed(1)} dB`, own.f[frame]], ["s (grey is 0)", own.s[frame]]];
      if (!box.querySelector("img")) box.innerHTML = `<div style="display:grid;grid-template-columns:1fr 1fr;gap:.4rem;height:100%;align-content:start">${images.map(() => `<figure style="margin:0;min-width:0"><figcaption style="font-size:13px"></figcaption><img style="width:100%;max-height:calc(46vh - 60px);object-fit:contain;image-rendering:pixelated;display:block" alt=""></figure>`).join("")}</div>`;
      box.querySelectorAll("figure").forEach((one, i) => { one.firstChild.textContent = images[i][0]; one.lastChild.alt = images[i][0]; one.lastChild.src = `data:image/jpeg;base64,${images[i][1]}`; });
    } },
    { draw(box, { frame, own, other }) {
      const all = [...own.psnr, ...other.psnr], chart = new Chart(box, { title: "quality of the picture over iterations", right: 70, x: { low: 0, high: DATA.picture.at[DATA.picture.at.length - 1], label: "iteration" }, y: { low: Math.floor(Math.min(...all)), high: Math.ceil(Math.max(...all)) + 1, label: "quality of the picture: PSNR (dB), higher is better" } });
      const over = list => list.map((v, i) => [DATA.picture.at[i], v]);
      chart.line(over(other.psnr), "red", { dash: "7 4", name: "without s" }).line(over(own.psnr), "blue", { width: 2.6, name: "with s" }).upright(DATA.picture.at[frame], "ink").show();
    } },
  ],
  tell({ frame, own, other }) {
    const best = Math.max(...other.psnr), when = DATA.picture.at[other.psnr.indexOf(best)];
    return `Iteration ${DATA.picture.at[frame]}: with <i>s</i> ${own.psnr[frame].toFixed(1)} dB, without ${other.psnr[frame].toFixed(1)} dB (at its best ${best.toFixed(1)} dB, at iteration ${when}). ${percent(Math.max(0, own.noise[frame]))} of the noise is in the picture drawn with <i>s</i>, ${percent(Math.max(0, own.noise_in_s[frame]))} in <i>s</i>.`;
  },
});
