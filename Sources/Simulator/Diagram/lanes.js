// The picture itself: one canvas with a lane for each node, and a small one for the whole run.

const AXIS = 24, MARKS = 20, FAULT_ROW = 19, ARROW_LIMIT = 2500, LABEL_LIMIT = 26;
let colors = {};
let patterns = {};

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "panel", "ink", "soft", "line", "grid", "accent", "alarm", "good", "lane", "fault",
    "fault-page", "candidate", "vote", "heartbeat", "placement", "gossip", "beacon", "unreadable", "stream",
    "m0", "m1", "m2", "m3", "m4", "m5"]) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
  }
  patterns = {
    candidate: hatch(colors.candidate, colors.page, 3), "pre-vote": hatch(colors.candidate, colors.page, 1), stalled: hatch(colors.soft, colors.page, 2.2),
  };
}

function hatch(color, back, width) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const context = tile.getContext("2d");
  context.fillStyle = back;
  context.fillRect(0, 0, 8, 8);
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  for (const shift of [-8, 0, 8]) { context.moveTo(shift - 1, 9); context.lineTo(shift + 9, -1); }
  context.stroke();
  return context.createPattern(tile, "repeat");
}

// White or black, whichever is read more easily on a colour written #rrggbb (WCAG 2, contrast).
function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => (parseInt(color.slice(at, at + 2), 16) / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.22 ? "#0b0e12" : "#ffffff";
}

function hueOf(run, node) {
  return colors[`m${run.hues.get(node) ?? 0}`];
}

function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio)), h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Where things are; everything that draws or picks asks this.
function layoutOf(panel) {
  const { run } = panel;
  const width = panel.lanes.clientWidth;
  const shown = run.nodes.map((_, index) => index).filter((index) => !page.hiddenNodes.has(index));
  const top = AXIS + MARKS + run.faultRows * FAULT_ROW + 6;
  const room = Math.max(300, window.innerHeight - 330) - top;
  const lane = Math.max(15, Math.min(74, Math.floor(room / Math.max(1, shown.length))));
  const gutter = width < 500 ? 34 : 44;
  const places = new Map(shown.map((node, place) => [node, top + lane * (place + 0.5)]));
  const scale = (width - gutter) / (page.t1 - page.t0);
  return {
    width, height: top + lane * shown.length + 8, top, lane, gutter, shown, places, scale,
    x: (t) => gutter + (t - page.t0) * scale, t: (x) => page.t0 + (x - gutter) / scale,
  };
}

function bandHeight(layout, role) {
  const full = Math.min(layout.lane * 0.66, 30);
  switch (role) {
    case "master": return full;
    case "candidate": return full * 0.8;
    case "pre-vote": return full * 0.66;
    case "stalled": return full * 0.66;
    case "down": return 2;
    default: return Math.max(5, full * 0.58);
  }
}

function drawBand(context, run, band, x0, x1, y, layout) {
  const height = bandHeight(layout, band.role);
  const width = Math.max(1, x1 - x0);
  switch (band.role) {
    case "master":
      context.fillStyle = hueOf(run, band.obeys);
      context.fillRect(x0, y - height / 2, width, height);
      break;
    case "follower":
      context.globalAlpha = 0.36;
      context.fillStyle = hueOf(run, band.obeys);
      context.fillRect(x0, y - height / 2, width, height);
      context.globalAlpha = 1;
      context.fillRect(x0, y + height / 2 - 1.5, width, 1.5);
      break;
    case "candidate": case "pre-vote":
      context.fillStyle = patterns[band.role];
      context.fillRect(x0, y - height / 2, width, height);
      if (band.role === "candidate") {
        context.fillStyle = colors.candidate;
        context.fillRect(x0, y - height / 2, width, 2);
        context.fillRect(x0, y + height / 2 - 2, width, 2);
      }
      break;
    case "stalled":
      context.fillStyle = patterns.stalled;
      context.fillRect(x0, y - height / 2, width, height);
      break;
    case "down":
      context.strokeStyle = colors.lane;
      context.setLineDash([2, 4]);
      context.beginPath();
      context.moveTo(x0, y);
      context.lineTo(x0 + width, y);
      context.stroke();
      context.setLineDash([]);
      break;
    default:
      context.strokeStyle = colors.soft;
      context.lineWidth = 1;
      context.setLineDash([4, 3]);
      if (width > 3) context.strokeRect(x0 + 0.5, y - height / 2, width - 1, height);
      context.setLineDash([]);
  }
  return height;
}

function bandWords(band) {
  switch (band.role) {
    case "master": return [`master, ballot ${band.ballot}`, `master ${band.ballot}`, "master"];
    case "follower": return [`obeys ${band.obeys}, ballot ${band.ballot}`, `obeys ${band.obeys}`, band.obeys];
    case "candidate": return [`stands for master, ${band.ballot}`, "stands"];
    case "pre-vote": return [`asks whether it would be elected, ${band.ballot}`, "asks"];
    case "stalled": return ["stalled: does not run, keeps its connections", "stalled"];
    case "down": return ["does not run", "down"];
    default: return ["knows no master", "no master"];
  }
}

function drawLanes(panel) {
  const { run } = panel;
  const layout = panel.layout = layoutOf(panel);
  const context = prepare(panel.lanes, layout.width, layout.height);
  context.textBaseline = "middle";
  context.save();
  context.beginPath();
  context.rect(layout.gutter, 0, layout.width - layout.gutter, layout.height);
  context.clip();
  drawGrid(context, layout);
  drawFaults(context, run, layout);
  drawStates(context, run, layout);
  drawServers(context, run, layout);
  drawTraffic(context, panel, layout);
  drawMarks(context, panel, layout);
  drawVotes(context, run, layout);
  context.restore();
  drawNames(context, run, layout);
}

function stepFor(span, width) {
  const wanted = span / Math.max(2, width / 110);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= wanted) ?? wanted;
}

function drawGrid(context, layout) {
  const step = stepFor(page.t1 - page.t0, layout.width);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  context.font = "12px system-ui, sans-serif";
  context.strokeStyle = colors.grid;
  context.lineWidth = 1;
  for (let count = Math.ceil(page.t0 / step); count * step <= page.t1; count++) {
    const x = Math.round(layout.x(count * step)) + 0.5;
    context.beginPath();
    context.moveTo(x, AXIS - 4);
    context.lineTo(x, layout.height);
    context.stroke();
    context.fillStyle = colors.soft;
    context.fillText(`${(count * step).toFixed(digits)} s`, x + 4, AXIS / 2);
  }
}

// Text that stays in sight while any of its band is.
function pinnedText(context, words, x0, x1, y, layout) {
  const left = Math.max(x0, layout.gutter) + 5, room = Math.min(x1, layout.width) - left - 3;
  if (room < 14) return;
  const list = Array.isArray(words) ? words : [words];
  const fitting = list.find((text) => context.measureText(text).width <= room);
  if (fitting) { context.fillText(fitting, left, y); return; }
  if (room < 60 || Array.isArray(words)) return;
  let text = list[0];
  while (text.length > 3 && context.measureText(`${text}…`).width > room) text = text.slice(0, -2);
  context.fillText(`${text}…`, left, y);
}

function drawFaults(context, run, layout) {
  for (const fault of run.faults) {
    if (fault.t1 < page.t0 || fault.t0 > page.t1) continue;
    const x0 = layout.x(fault.t0), x1 = Math.max(x0 + 2, layout.x(fault.t1));
    const y = AXIS + MARKS + fault.row * FAULT_ROW;
    context.fillStyle = colors["fault-page"];
    context.globalAlpha = 0.5;
    for (const node of fault.nodes) {
      const place = layout.places.get(node);
      if (place !== undefined) context.fillRect(x0, place - layout.lane / 2, x1 - x0, layout.lane);
    }
    context.globalAlpha = 1;
    context.fillRect(x0, y + 1, x1 - x0, FAULT_ROW - 3);
    context.fillStyle = colors.fault;
    context.fillRect(x0, y + 1, 2, FAULT_ROW - 3);
    context.fillRect(x0, y + FAULT_ROW - 3, x1 - x0, 1);
    if (fault.lasts) context.fillRect(x1 - 2, y + 1, 2, FAULT_ROW - 3);
    context.fillStyle = colors.ink;
    context.font = "12px system-ui, sans-serif";
    pinnedText(context, fault.caption, x0, x1, y + FAULT_ROW / 2, layout);
  }
}

function drawStates(context, run, layout) {
  for (const node of layout.shown) {
    const y = layout.places.get(node), bands = run.bands[node];
    context.fillStyle = colors.lane;
    context.globalAlpha = 0.5;
    context.fillRect(layout.gutter, y - 0.5, layout.width, 1);
    context.globalAlpha = 1;
    for (let place = Math.max(0, placeAt(bands, page.t0)); place < bands.length; place++) {
      const band = bands[place];
      if (band.t0 > page.t1) break;
      const x0 = Math.max(layout.gutter - 2, layout.x(band.t0)), x1 = Math.min(layout.width + 2, layout.x(band.t1));
      const height = drawBand(context, run, band, x0, x1, y, layout);
      if (layout.lane < 24 && band.role !== "master") continue;
      if (band.role === "down" ? layout.lane < 24 : height < 9) continue;
      const size = Math.min(12, Math.max(9, Math.floor(height) - 2));
      context.font = `${band.role === "master" ? "600 " : ""}${band.role === "down" ? 11 : size}px system-ui, sans-serif`;
      const words = bandWords(band);
      context.fillStyle = band.role === "master" ? inkOn(hueOf(run, band.obeys)) : colors.ink;
      if (["candidate", "pre-vote", "stalled", "down"].includes(band.role)) {
        backedText(context, words, x0, x1, y, layout, size);
      } else {
        pinnedText(context, words, x0, x1, y, layout);
      }
    }
  }
}

// The servers of llama.cpp, in the colour of the master for which they were started: the one that
// uses others above the lane, the one that is used below it.
function drawServers(context, run, layout) {
  if (layout.lane < 24) return;
  const full = Math.min(layout.lane * 0.66, 30), hasText = layout.lane >= 60, height = hasText ? 12 : 3;
  context.font = "10.5px system-ui, sans-serif";
  for (const node of layout.shown) {
    for (const { key, ballot, t0, t1 } of run.servers[node]) {
      if (t1 < page.t0 || t0 > page.t1) continue;
      const x0 = Math.max(layout.gutter - 2, layout.x(t0)), x1 = Math.min(layout.width + 2, layout.x(t1));
      const y = layout.places.get(node) + (key === "rpcServer" ? full / 2 + 2 : -full / 2 - 2 - height);
      context.fillStyle = hueOf(run, ballot.split("/")[1]);
      context.globalAlpha = 0.3;
      context.fillRect(x0, y, Math.max(1, x1 - x0), height);
      context.globalAlpha = 1;
      context.fillRect(x0, y, 2, height);
      context.fillStyle = colors.ink;
      const name = key === "rpcServer" ? "rpc-server" : "llama-server";
      if (hasText) pinnedText(context, [`${name} for ${ballot}`, name], x0, x1, y + height / 2 + 0.5, layout);
    }
  }
}

function backedText(context, words, x0, x1, y, layout, size) {
  const left = Math.max(x0, layout.gutter) + 5;
  const room = Math.min(x1, layout.width) - left - 5;
  const text = words.find((word) => context.measureText(word).width <= room);
  if (!text) return;
  const color = context.fillStyle;
  context.fillStyle = colors.page;
  context.fillRect(left - 2, y - size / 2 - 1, context.measureText(text).width + 4, size + 2);
  context.fillStyle = color;
  context.fillText(text, left, y);
}

function drawMarks(context, panel, layout) {
  const { run } = panel;
  let free = -Infinity;
  context.font = "600 12px system-ui, sans-serif";
  const mark = (t, color, text, thickness, dash, isBefore = false) => {
    if (t < page.t0 || t > page.t1) return;
    const x = layout.x(t), width = context.measureText(text).width;
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = thickness;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(x, AXIS - 2);
    context.lineTo(x, layout.height);
    context.stroke();
    context.setLineDash([]);
    const flip = isBefore || x + width + 8 > layout.width;
    const left = flip ? x - width - 5 : x + 5;
    if (left < free) return;
    free = left + width + 8;
    context.fillText(text, left, AXIS + MARKS / 2 - 1);
  };
  const marks = run.elections.map((election) => ({
    t: election.t, color: hueOf(run, election.node), text: `${election.node} elected`, thickness: 1.2, dash: [5, 3],
  }));
  const { liveness } = run.facts;
  if (liveness.at > 0) marks.push({ t: liveness.at, color: colors.soft, text: "quiet from here", thickness: 1, dash: [1, 3] });
  if (!run.violation) marks.push({ t: liveness.at + liveness.within, color: colors.soft, text: "by now all must be well", thickness: 1, dash: [1, 3] });
  if (page.difference) marks.push({ t: page.difference.t, color: colors.accent, text: "first difference", thickness: 2, dash: [] });
  // The violation's label comes before all others; where there is no room, theirs is left out.
  const reserved = run.violation && run.violation.t >= page.t0 && run.violation.t <= page.t1;
  if (reserved) mark(run.violation.t, colors.alarm, `✖ ${run.facts.violation?.invariant ?? ""} broken`, 2.5, []);
  const edge = free;
  const bad = reserved ? layout.x(run.violation.t) : Infinity;
  free = -Infinity;
  for (const entry of marks.sort((a, b) => a.t - b.t)) {
    const x = layout.x(entry.t), width = context.measureText(entry.text).width;
    const clashes = reserved && x < edge && x + width + 14 > bad - (edge > layout.width ? 90 : 0);
    // Who was elected at the violation itself stands before its line.
    const isBefore = clashes && x <= bad && x - width - 8 > layout.gutter;
    mark(entry.t, entry.color, clashes && !isBefore ? "" : entry.text, entry.thickness, entry.dash, isBefore);
  }
}

// At an election, who had a vote: full for whom it was given, empty where it was not.
function drawVotes(context, run, layout) {
  if (layout.lane < 12) return;
  for (const election of run.elections) {
    if (election.t < page.t0 || election.t > page.t1) continue;
    for (const node of layout.shown) {
      const name = run.nodes[node], isGiven = election.votes.includes(name);
      if (!isGiven && !election.voters?.includes(name)) continue;
      drawVote(context, hueOf(run, election.node), isGiven, layout.x(election.t), layout.places.get(node), Math.min(6.5, layout.lane * 0.22));
    }
  }
}

function drawVote(context, color, isGiven, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = 5;
  context.strokeStyle = colors.page;
  context.stroke();
  context.fillStyle = isGiven ? color : colors.page;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = color;
  context.stroke();
}

function drawNames(context, run, layout) {
  context.textAlign = "right";
  context.font = `${layout.lane < 20 ? 11 : 13}px system-ui, sans-serif`;
  for (const node of layout.shown) {
    context.fillStyle = colors.ink;
    context.fillText(run.nodes[node], layout.gutter - 8, layout.places.get(node));
  }
  context.textAlign = "left";
}
