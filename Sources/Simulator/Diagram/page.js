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
  const open = run.faults.filter((fault) => fault.t0 <= t && fault.t1 >= t && !fault.caption.endsWith("switched on"));
  const last = run.faults.filter((fault) => fault.t1 < t).sort((a, b) => b.t1 - a.t1)[0];
  if (open.length) sentences.push(`Still on then: ${open.slice(-3).map((fault) => fault.caption).join("; ")}.`);
  else if (last) sentences.push(`The last fault had ended ${seconds(t - last.t1, 2)} before: ${last.caption}.`);
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
      const { t, invariant } = facts.violation;
      const sentences = [...(invariant === "S1" ? twoElections(run, t) : []), ...situation(run, t)];
      for (const sentence of sentences) box.append(document.createElement("br"), sentence);
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
    element("nodes-title").textContent = page.hiddenNodes.size ? `Nodes: ${count - page.hiddenNodes.size} of ${count} ▾` : count > 1 ? `All ${count} nodes ▾` : "One node ▾";
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
  for (const [isGiven, text] of [[true, "voted for the node elected then"], [false, "had a vote, and did not give it"]]) {
    const span = made("span"), canvas = made("canvas");
    drawVote(prepare(canvas, 46, 22), colors.m0, isGiven, 23, 11, 6.5);
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

// The violation, and the last three key moments of the seconds before it; events at once are one.
function lastMoments(run) {
  const { t } = run.violation;
  const near = run.events.filter((event) => event.t < t - 0.01 && event.t > t - 8);
  const moments = [...new Set(near.map((event) => Math.round(event.t * 20) / 20))].slice(-3);
  const span = Math.max(0.5, (t - (moments[0] ?? t - 6)) * 1.15);
  return [t - span, t + span * 0.15];
}

function firstView() {
  const [first] = page.runs;
  const broken = page.runs.find((run) => run.violation);
  const moment = page.difference ? [page.difference.t - 1, page.difference.t + 4]
    : broken ? lastMoments(broken)
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
    // It stands below the page's head at first, and ends below the window's edge.
    const room = Math.max(120, window.innerHeight - aside.getBoundingClientRect().top);
    if (item && getComputedStyle(aside).position === "sticky") {
      const wanted = item.offsetTop + item.offsetHeight - room * 0.8, most = aside.scrollHeight - aside.clientHeight;
      if (wanted > most && wanted > 0) element("events").style.paddingBottom = `${Math.ceil(wanted - Math.max(0, most))}px`;
      aside.scrollTop = wanted;
    }
  }
}

build();
