// The page around the picture: what is shown, what is chosen, and how one moves.

const page = {
  runs: [], panels: [], t0: 0, t1: 1, end: 1, home: [0, 1], hiddenKinds: new Set(), hiddenNodes: new Set(),
  chain: null, events: [], difference: null, current: -1,
};
const element = (id) => document.getElementById(id);

function made(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

let isAsked = false;
function redraw() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    for (const panel of page.panels) { drawLanes(panel); drawOverview(panel); }
  });
}

// MARK: - Moving

function show(t0, t1) {
  const span = Math.min(page.end * 1.02, Math.max(0.0005, t1 - t0));
  const start = Math.min(Math.max(-0.01 * page.end, t0), page.end * 1.01 - span);
  page.t0 = span >= page.end ? -0.01 * page.end : start;
  page.t1 = page.t0 + span;
  redraw();
}

function showAll() {
  show(-0.01 * page.end, 1.01 * page.end);
}

function zoom(factor, at = (page.t0 + page.t1) / 2) {
  show(at - (at - page.t0) * factor, at + (page.t1 - at) * factor);
}

function move(share) {
  const step = (page.t1 - page.t0) * share;
  show(page.t0 + step, page.t1 + step);
}

function goTo(place) {
  const event = page.events[place];
  if (!event) return;
  page.current = place;
  const span = Math.min(page.t1 - page.t0, 8);
  show(event.t - span * 0.4, event.t + span * 0.6);
  for (const button of element("events").querySelectorAll("button")) button.classList.remove("current");
  const button = element("events").children[place]?.firstChild;
  button?.classList.add("current");
  if (getComputedStyle(document.querySelector("aside")).position === "sticky") button?.scrollIntoView({ block: "nearest" });
}

function step(direction) {
  const list = page.events;
  const middle = page.t0 + (page.t1 - page.t0) * 0.4;
  let place = page.current;
  if (place < 0) place = placeAt(list, middle, "t") + (direction > 0 ? 0 : 1);
  goTo(Math.min(list.length - 1, Math.max(0, place + direction)));
}

function listen(panel) {
  const canvas = panel.lanes, pointers = new Map();
  let travelled = 0, apart = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event.offsetX);
    travelled = 0;
    apart = 0;
    canvas.classList.add("dragging");
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    pointers.set(event.pointerId, event.offsetX);
    travelled += Math.abs(event.offsetX - before);
    if (pointers.size === 1) {
      if (travelled > 3) { page.current = -1; move((before - event.offsetX) / (panel.layout.width - panel.layout.gutter)); }
      return;
    }
    const [first, second] = [...pointers.values()];
    const distance = Math.max(20, Math.abs(first - second));
    if (apart) zoom(apart / distance, panel.layout.t((first + second) / 2));
    apart = distance;
  });
  const end = (event) => {
    const wasDown = pointers.delete(event.pointerId);
    apart = 0;
    if (!pointers.size) canvas.classList.remove("dragging");
    if (wasDown && event.type === "pointerup" && travelled < 4) pick(panel, event.offsetX, event.offsetY);
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("wheel", (event) => {
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      event.preventDefault();
      move((event.deltaX || event.deltaY) / canvas.clientWidth);
    } else if (event.ctrlKey || event.metaKey || document.activeElement === canvas) {
      event.preventDefault();
      zoom(1.0015 ** event.deltaY, panel.layout.t(event.offsetX));
    }
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(0.4, panel.layout.t(event.offsetX)));
  const drag = (event) => {
    if (!event.buttons) return;
    const middle = event.offsetX / panel.overview.clientWidth * panel.run.end, half = (page.t1 - page.t0) / 2;
    page.current = -1;
    show(middle - half, middle + half);
  };
  panel.overview.addEventListener("pointerdown", (event) => { panel.overview.setPointerCapture(event.pointerId); drag(event); });
  panel.overview.addEventListener("pointermove", drag);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const isOnPicture = event.target.matches("canvas") || event.target === document.body;
  const actions = {
    "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), "0": showAll,
    h: () => show(...page.home), n: () => step(1), p: () => step(-1), Escape: () => choose(null),
    ...(isOnPicture && { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2) }),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// MARK: - Choosing

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
    case "lost": return `lost between ${line.from} and ${line.to}: ${line.message}`;
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

// MARK: - Building

// Who was what at a moment, and what had gone wrong by then, in sentences.
function situation(run, t) {
  const groups = new Map();
  run.nodes.forEach((name, node) => {
    const state = stateAt(run, node, t);
    const key = !state || state.role === "down" ? "down" : state.role === "stalled" ? "stalled" : state.obeys ? `of ${state.obeys}` : "none";
    groups.set(key, [...groups.get(key) ?? [], name]);
  });
  const parts = [];
  for (const [key, names] of groups) {
    if (key.startsWith("of ")) {
      const master = key.slice(3), others = names.filter((name) => name !== master);
      if (names.length > others.length) parts.push(others.length ? `${master} was master, obeyed by ${joined(others)}` : `${master} was master, obeyed by nobody else`);
      else parts.push(`${joined(names)} obeyed ${master}, which was not master any more or out of reach`);
    } else {
      parts.push(`${joined(names)} ${{ down: "did not run", stalled: "stood still", none: "knew no master" }[key]}`);
    }
  }
  const sentences = [`At that moment ${parts.join("; ")}.`];
  const open = run.faults.filter((fault) => fault.t0 <= t && fault.t1 > t);
  const last = run.faults.filter((fault) => fault.t1 <= t).sort((a, b) => b.t1 - a.t1)[0];
  if (open.length) sentences.push(`Still wrong then: ${open.slice(-3).map((fault) => fault.caption).join("; ")}.`);
  else if (last) sentences.push(`The last thing that was wrong had ended ${seconds(t - last.t1, 2)} before: ${last.caption}.`);
  return sentences;
}

function buildStories() {
  for (const run of page.runs) {
    const { facts } = run, story = made("article", page.runs.length > 1 ? "story" : "story alone");
    const verdict = made("span", `verdict ${facts.violation ? "broken" : "held"}`, facts.violation ? `✖ ${facts.violation.invariant} broken` : "✔ all held");
    if (page.runs.length > 1) {
      const heading = made("h3", "", `${facts.title} `);
      heading.append(verdict);
      story.append(heading);
    } else {
      document.querySelector(".headline").append(verdict);
    }
    const words = made("div");
    for (const text of facts.story) words.append(made("p", "", text));
    story.append(words);
    if (facts.violation) {
      const box = made("div", "broken-promise");
      box.append(made("b", "", `Promised (${facts.violation.invariant}): `), facts.violation.promise, document.createElement("br"),
        made("b", "", `Seen at ${seconds(facts.violation.t, 3)}: `), facts.violation.detail);
      for (const sentence of situation(run, facts.violation.t)) box.append(document.createElement("br"), sentence);
      story.append(box);
    }
    element("stories").append(story);
  }
  if (page.runs.length < 2) return;
  const box = made("div", "difference");
  const { difference } = page;
  if (difference) {
    box.append(made("b", "", `The same until ${seconds(difference.t, 6)}. `), "Then: ");
    difference.lines.forEach((line, place) => {
      box.append(`${place ? "; " : ""}${page.runs[place].facts.title}: `, made("i", "", line ? wordsOf(line) : "nothing more"));
    });
  } else {
    box.append(made("b", "", "The two runs are the same from the first line to the last."));
  }
  document.querySelector("header").after(box);
}

function buildKinds() {
  const total = (id) => page.runs.reduce((sum, run) => sum + (id === "stream" ? run.streams.length : run.counts.get(id) ?? 0), 0);
  for (const kind of [...KINDS, { id: "stream", name: "Streams" }]) {
    const count = total(kind.id);
    if (!count) continue;
    if (kind.id === "gossip" && count > 1500 || kind.id === "stream") page.hiddenKinds.add(kind.id);
    const label = made("label", "kind"), box = made("input"), swatch = made("i");
    box.type = "checkbox";
    box.checked = !page.hiddenKinds.has(kind.id);
    box.onchange = () => { page.hiddenKinds[box.checked ? "delete" : "add"](kind.id); redraw(); };
    swatch.style.borderColor = `var(--${kind.id})`;
    label.append(box, swatch, kind.name, made("small", "", count.toLocaleString("en")));
    element("kinds").append(label);
  }
}

function buildNodes() {
  const count = Math.max(...page.runs.map((run) => run.nodes.length));
  const boxes = [], all = made("div", "all");
  const tell = () => {
    element("nodes-title").textContent = page.hiddenNodes.size ? `Nodes: ${count - page.hiddenNodes.size} of ${count} ▾` : `All ${count} nodes ▾`;
    redraw();
  };
  for (const [text, isOn] of [["All", true], ["None", false]]) {
    const button = made("button", "", text);
    button.onclick = () => {
      boxes.forEach((box, node) => { box.checked = isOn; page.hiddenNodes[isOn ? "delete" : "add"](node); });
      tell();
    };
    all.append(button);
  }
  element("nodes").append(all);
  for (let node = 0; node < count; node++) {
    const label = made("label"), box = made("input");
    box.type = "checkbox";
    box.checked = true;
    box.onchange = () => { page.hiddenNodes[box.checked ? "delete" : "add"](node); tell(); };
    label.append(box, `n${node + 1}`);
    element("nodes").append(label);
    boxes.push(box);
  }
  tell();
}

function buildEvents() {
  page.events = page.runs.flatMap((run) => run.events).sort((a, b) => a.t - b.t);
  page.events.forEach((event, place) => {
    const item = made("li"), button = made("button", event.kind);
    button.append(made("span", "time", seconds(event.t, 2)), made("span", "", event.text));
    if (page.runs.length > 1) button.append(made("span", "run", event.run.facts.title));
    button.onclick = () => { choose(event.line ? event.run : null, event.line); goTo(place); };
    item.append(button);
    element("events").append(item);
  });
}

function buildLegend() {
  element("legend").replaceChildren();
  const sample = { hues: new Map([["a", 0], ["b", 1]]) };
  const entries = [
    ["master", "a", "master (each has its colour)"], ["follower", "a", "obeys the master of that colour"],
    ["follower", "b", "obeys another one"], ["candidate", "", "stands for master"], ["pre-vote", "", "asks whether it would win"],
    ["no master", "", "knows no master"], ["stalled", "", "stalled: the process stands still"], ["down", "", "does not run"],
  ];
  for (const [role, obeys, text] of entries) {
    const span = made("span"), canvas = made("canvas");
    drawBand(prepare(canvas, 46, 22), sample, { role, obeys }, 1, 45, 11, { lane: 32 });
    span.append(canvas, text);
    element("legend").append(span);
  }
  const arrows = [["vote", null, "a message, in the colour of its kind"], ["heartbeat", "network", "a message that was lost"]];
  for (const [about, lost, text] of arrows) {
    const span = made("span"), canvas = made("canvas"), context = prepare(canvas, 46, 22);
    const layout = { lane: 0, places: new Map([[0, 3], [1, 19]]), x: (t) => t };
    drawArrow(context, { from: 0, to: 1, t0: 3, t1: 40, about, lost }, layout, true, 1.5);
    span.append(canvas, text);
    element("legend").append(span);
  }
}

function buildPromises() {
  const seen = new Set();
  for (const run of page.runs) {
    for (const promise of run.facts.promises) {
      if (seen.has(promise.name)) continue;
      seen.add(promise.name);
      const isBroken = page.runs.some((other) => other.facts.violation?.invariant === promise.name);
      element("promises").append(made("dt", isBroken ? "broken" : "", promise.name), made("dd", isBroken ? "broken" : "", promise.text));
    }
  }
}

function firstView() {
  const [first] = page.runs;
  const broken = page.runs.find((run) => run.violation);
  const moment = page.difference ? [page.difference.t - 1, page.difference.t + 4]
    : broken ? [broken.violation.t - 6, broken.violation.t + 1]
    : first.elections.length ? [first.elections[0].t - 2.5, first.elections[0].t + 3.5] : [0, Math.min(page.end, 10)];
  return [Math.max(0, moment[0]), Math.min(page.end * 1.01, moment[1])];
}

function build() {
  const facts = JSON.parse(element("facts").textContent);
  page.runs = facts.map((entry, place) => readRun(entry, element(`trace-${place}`).textContent));
  page.end = Math.max(...page.runs.map((run) => run.end));
  if (page.runs.length > 1) page.difference = firstDifference(page.runs[0], page.runs[1]);
  readColors();
  buildStories();
  for (const run of page.runs) {
    const box = made("section", "panel"), panel = {
      run, overview: made("canvas", "overview"), lanes: made("canvas", "lanes"), note: made("div", "note"),
    };
    panel.lanes.tabIndex = 0;
    panel.lanes.setAttribute("role", "img");
    panel.lanes.setAttribute("aria-label", `Lanes of ${run.nodes.length} nodes over time; the same in words is in the list What happened`);
    if (page.runs.length > 1) box.append(made("h3", "", run.facts.title));
    box.append(panel.overview, panel.lanes, panel.note);
    element("panels").append(box);
    page.panels.push(panel);
    listen(panel);
  }
  if (page.runs.length > 1) {
    const button = element("arrange");
    button.hidden = false;
    const arrange = (isBeside) => {
      element("panels").classList.toggle("beside", isBeside);
      button.textContent = isBeside ? "One above the other" : "Side by side";
      redraw();
    };
    button.onclick = () => arrange(!element("panels").classList.contains("beside"));
    arrange(true);
  }
  buildKinds();
  buildNodes();
  buildEvents();
  buildLegend();
  buildPromises();
  page.home = firstView();
  show(...page.home);
  element("zoom-in").onclick = () => zoom(0.6);
  element("zoom-out").onclick = () => zoom(1 / 0.6);
  element("fit").onclick = showAll;
  element("home").onclick = () => show(...page.home);
  element("next").onclick = () => step(1);
  element("previous").onclick = () => step(-1);
  new ResizeObserver(redraw).observe(element("panels"));
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); buildLegend(); redraw(); });
  const near = page.difference?.t ?? page.runs.find((run) => run.violation)?.violation.t;
  if (near !== undefined) {
    const place = page.events.findLastIndex((event) => event.t <= near);
    const aside = document.querySelector("aside"), item = element("events").children[place];
    if (item && getComputedStyle(aside).position === "sticky") aside.scrollTop = item.offsetTop - aside.clientHeight / 2;
  }
}

build();
