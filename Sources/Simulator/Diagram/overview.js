// The strip that shows the whole run at once.

// Who obeys whom over the whole run: shares of the nodes, in their masters' colours.
function drawOverview(panel) {
  const { run } = panel;
  const width = panel.overview.clientWidth, height = 46, bar = 26, top = 14;
  const context = prepare(panel.overview, width, height);
  const marker = `${width}|${run.end}|${colors.page}`;
  if (panel.shares?.marker !== marker) panel.shares = { marker, columns: sharesOf(run, width) };
  panel.shares.columns.forEach((parts, x) => {
    let y = top;
    for (const [hue, share] of parts) {
      context.fillStyle = hue === "none" ? colors.grid : hue === "down" ? colors.page : colors[hue];
      context.fillRect(x, y, 1, share * bar);
      y += share * bar;
    }
  });
  const scale = width / run.end;
  context.fillStyle = colors.fault;
  for (const fault of run.faults) context.fillRect(fault.t0 * scale, top + bar + 2, Math.max(2, (fault.t1 - fault.t0) * scale), 3);
  if (run.violation) {
    context.fillStyle = colors.alarm;
    context.fillRect(Math.min(width - 3, run.violation.t * scale - 1), 0, 3, height);
  }
  const x0 = page.t0 * scale, x1 = Math.max(x0 + 4, page.t1 * scale);
  context.globalAlpha = 0.55;
  context.fillStyle = colors.page;
  context.fillRect(0, top, x0, bar);
  context.fillRect(x1, top, width - x1, bar);
  context.globalAlpha = 1;
  context.strokeStyle = colors.ink;
  context.lineWidth = 1.5;
  context.strokeRect(x0 + 0.75, top - 1, Math.max(3, x1 - x0 - 1.5), bar + 2);
  context.fillStyle = colors.soft;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const text = seconds(run.end, 1), room = width - context.measureText(text).width - 16;
  const title = ["The whole run: who obeys whom (a colour for each master), and when something was wrong", "The whole run: who obeys whom"]
    .find((words) => context.measureText(words).width <= room);
  if (title) context.fillText(title, 0, 6);
  context.fillText(text, width - context.measureText(text).width - (run.violation ? 6 : 0), 6);
}

function sharesOf(run, width) {
  const places = run.nodes.map(() => 0);
  return Array.from({ length: Math.max(1, Math.floor(width)) }, (_, x) => {
    const t = (x + 0.5) * run.end / width, parts = new Map();
    run.states.forEach((list, node) => {
      while (places[node] + 1 < list.length && list[places[node] + 1].t0 <= t) places[node]++;
      const state = list[places[node]];
      const key = !state || state.role === "down" ? "down" : state.obeys ? `m${run.hues.get(state.obeys) ?? 0}` : "none";
      parts.set(key, (parts.get(key) ?? 0) + 1 / run.nodes.length);
    });
    return ["m0", "m1", "m2", "m3", "m4", "m5", "none", "down"].filter((key) => parts.has(key)).map((key) => [key, parts.get(key)]);
  });
}
