// A click: what lies there, its fields, and what led to it.

function distance(x, y, x0, y0, x1, y1) {
  const length = (x1 - x0) ** 2 + (y1 - y0) ** 2 || 1;
  const share = Math.min(1, Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length));
  return Math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0));
}

function pick(panel, x, y) {
  const { layout, run } = panel;
  let best = null, least = 7;
  for (const message of panel.arrows ?? []) {
    const far = distance(x, y, ...endsOf(message, layout));
    if (far < least) { least = far; best = message; }
  }
  if (best) { choose(run, best.taken ?? best.sent); return; }
  const t = layout.t(x);
  const fault = run.faults.find((fault) => {
    const top = AXIS + MARKS + fault.row * FAULT_ROW;
    return y >= top && y < top + FAULT_ROW && t >= fault.t0 && t <= fault.t1;
  });
  if (fault) { choose(run, fault.line); return; }
  const node = layout.shown.find((node) => Math.abs(layout.places.get(node) - y) <= layout.lane / 2);
  const state = node === undefined ? null : stateAt(run, node, t);
  choose(state ? run : null, state ? run.lines.find((line) => line.kind === "state" && line.i === state.i && line.node === state.node) : null);
}

function wordsOf(line) {
  switch (line.kind) {
    case "send": return `${line.from} sends to ${line.to}: ${line.message}`;
    case "deliver": return `${line.to} takes from ${line.from}: ${line.message}`;
    case "lost": return line.why === UNDER_WAY ? `under way from ${line.from} to ${line.to}: ${line.message}` : `lost between ${line.from} and ${line.to}: ${line.message}`;
    case "fault": case "violation": return line.message;
    case "start": return `${line.node} starts, ${line.message}`;
    case "stop": return `${line.node} stops: ${line.message}`;
    default: return `${line.node ?? ""}: ${line.message}`;
  }
}

function choose(run, line) {
  const box = element("detail");
  box.replaceChildren();
  box.hidden = !line;
  page.chain = null;
  redraw();
  if (!line) return;
  const chain = chainOf(run, line);
  page.chain = { run, packets: new Set(chain.map((entry) => entry.packet).filter((packet) => packet !== undefined)) };
  const close = made("button", "close", "×");
  close.setAttribute("aria-label", "Let go");
  close.onclick = () => choose(null);
  const fields = made("dl");
  const message = line.packet === undefined ? null : run.byPacket.get(line.packet);
  const shown = { ...line };
  if (message) {
    shown.sent = seconds(message.t0, 6);
    if (line.kind !== "send" && line.node !== line.from) shown.arrived = `${seconds(line.t, 6)}, after ${((line.t - message.t0) * 1000).toFixed(2)} ms`;
    if (message.lost === "network") shown.fate = "lost by the network";
    if (message.again) shown.fate = "doubled by the network";
  }
  shown.t = seconds(line.t, 6);
  for (const [key, value] of Object.entries(shown)) {
    fields.append(made("dt", "", { i: "event", t: "time" }[key] ?? key), made("dd", "", Array.isArray(value) ? value.join(", ") : `${value}`));
  }
  const heading = made("h2", "", wordsOf(line));
  box.append(close, heading, fields);
  if (chain.length > 1) {
    const list = made("ol");
    for (const entry of chain.slice(1, 40)) {
      const item = made("li"), button = made("button", "", `${seconds(entry.t, 4)} — ${wordsOf(entry)}`);
      button.onclick = () => {
        choose(run, entry);
        const span = page.t1 - page.t0;
        if (entry.t < page.t0 || entry.t > page.t1) show(entry.t - span / 2, entry.t + span / 2);
      };
      item.append(button);
      list.append(item);
    }
    box.append(made("h3", "", "What led to it, the latest first"), list);
    if (chain.length > 40) box.append(made("p", "", `and ${chain.length - 40} more before`));
  }
  if (getComputedStyle(document.querySelector("aside")).position === "sticky") document.querySelector("aside").scrollTop = 0;
}
