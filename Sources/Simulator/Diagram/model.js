// What the lines of a trace say, in the form in which it is drawn.

const KINDS = [
  { id: "vote", name: "Votes" }, { id: "heartbeat", name: "Heartbeats" },
  { id: "placement", name: "Placement" }, { id: "gossip", name: "Gossip" },
  { id: "beacon", name: "Beacons" }, { id: "unreadable", name: "Unreadable" },
];
const MASTER_HUES = 6;
const UNDER_WAY = "still under way when the run ended";
const CHAIN_LIMIT = 300;

function seconds(t, digits = 3) {
  return `${digits ? t.toFixed(digits).replace(/\.?0+$/, "") : t.toFixed(0)}\u00a0s`;
}

function joined(names) {
  if (names.length > 6) return `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function readRun(facts, text) {
  const lines = text.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const run = {
    facts, lines, end: Math.max(facts.end, 0.001),
    nodes: Array.from({ length: facts.nodes }, (_, index) => `n${index + 1}`),
    byEvent: new Map(), messages: [], byPacket: new Map(), states: [], bands: [], faults: [],
    streams: [], servers: [], elections: [], hues: new Map(), events: [], violation: null,
  };
  run.index = new Map(run.nodes.map((name, index) => [name, index]));
  for (const line of lines) {
    const known = run.byEvent.get(line.i);
    if (known) known.push(line); else run.byEvent.set(line.i, [line]);
  }
  readMessages(run);
  readStates(run);
  readFaults(run);
  for (const line of lines) {
    if (line.kind === "stream") run.streams.push(line);
    if (line.kind === "violation") run.violation = line;
    if (line.kind === "log" && line.message.startsWith("election.elected")) {
      const state = stateAt(run, run.index.get(line.node), line.t + 1e-9);
      run.elections.push({
        t: line.t, node: line.node, line, ballot: state?.ballot, voters: state?.voters ?? null, votes: [],
      });
    }
  }
  readVotes(run);
  run.events = keyEvents(run);
  return run;
}

function readMessages(run) {
  for (const line of run.lines) {
    if (line.packet === undefined) continue;
    const isArrival = line.kind === "deliver" || line.node !== line.from;
    if (!isArrival) {
      const message = {
        packet: line.packet, from: run.index.get(line.from), to: run.index.get(line.to), t0: line.t,
        t1: null, lost: line.kind === "lost" ? "network" : null, about: line.about, sent: line, taken: null,
      };
      run.byPacket.set(line.packet, message);
      run.messages.push(message);
      continue;
    }
    let message = run.byPacket.get(line.packet);
    if (!message) continue;
    if (message.taken?.kind === "deliver") {
      // The network doubled it.
      message = { ...message, t1: null, taken: null, lost: null, again: true };
      run.messages.push(message);
    }
    message.taken = line;
    message.t1 = line.t;
    message.lost = line.kind === "lost" ? "there" : null;
    if (line.why === UNDER_WAY) { message.lost = null; message.isUnderWay = true; }
    if (line.about === "unreadable") message.about = "unreadable";
  }
  run.messages.sort((a, b) => a.t0 - b.t0);
  const delays = run.messages.filter((m) => !m.lost && m.t1).map((m) => m.t1 - m.t0).sort((a, b) => a - b);
  const typical = delays[delays.length >> 1] ?? 0.005;
  run.longest = 0;
  for (const message of run.messages) {
    message.t1 ??= message.t0 + typical;
    run.longest = Math.max(run.longest, message.t1 - message.t0);
  }
  run.counts = new Map(KINDS.map((kind) => [kind.id, 0]));
  for (const message of run.messages) run.counts.set(message.about, (run.counts.get(message.about) ?? 0) + 1);
}

// Who voted for whom was elected, itself first.
function readVotes(run) {
  for (const election of run.elections) {
    const word = `vote granted ${election.ballot}`, votes = new Set([election.node]);
    for (const { about, taken, lost } of run.messages) {
      if (about !== "vote" || lost || !taken || taken.t > election.t || taken.to !== election.node) continue;
      if (taken.message.split(", ").includes(word)) votes.add(taken.from);
    }
    election.votes = [...votes].filter((name) => election.voters?.includes(name) ?? true);
  }
}

// Every vote that was given: a candidate's for itself, and what it was answered.
function addVotes(run, add) {
  const candidacies = new Set();
  const stands = (t, node, ballot, line) => {
    if (candidacies.has(ballot)) return;
    candidacies.add(ballot);
    add(t, "vote", `${node} stands in term ${termOf({ ballot })}, and votes for itself`, line);
  };
  const ballotIn = (message, word) => message.split(", ").find((part) => part.startsWith(word))?.slice(word.length);
  for (const { about, sent } of run.messages) {
    if (about !== "vote") continue;
    const asked = ballotIn(sent.message, "vote request "), granted = ballotIn(sent.message, "vote granted ");
    if (asked) stands(sent.t, sent.from, asked, sent);
    if (granted) add(sent.t, "vote", `${sent.from} votes for ${sent.to} in term ${termOf({ ballot: granted })}`, sent);
  }
  // Who is alone asks nobody.
  for (const band of run.bands.flat()) if (band.role === "candidate") stands(band.t0, band.node, band.ballot, band);
}

const termOf = (election) => election.ballot?.split("/")[0];

function electionWords(election) {
  const term = termOf(election), votes = `by ${joined(election.votes)}`;
  return `elected master${term ? ` in term ${term}` : ""}, ${votes}${election.voters ? ` of its voters ${joined(election.voters)}` : ""}`;
}

// How one term came to have two masters.
function twoElections(run, t) {
  const before = run.elections.filter((election) => election.t <= t + 1e-9 && election.ballot);
  const last = before.at(-1);
  const first = last && before.findLast((other) => other.node !== last.node && termOf(other) === termOf(last));
  if (!first) return [];
  const sentences = [first, last].map((election) => `${election.node} was ${electionWords(election)}, at ${seconds(election.t, 2)}.`);
  const both = first.votes.filter((name) => last.votes.includes(name));
  if (both.length) sentences.push(`${joined(both)} voted for both.`);
  else if (first.voters && `${first.voters}` !== `${last.voters}`) sentences.push("Nobody voted for both: the two counted the votes of different nodes.");
  return sentences;
}

function readStates(run) {
  run.states = run.nodes.map(() => []);
  for (const line of run.lines) {
    if (line.kind !== "state") continue;
    const list = run.states[run.index.get(line.node)];
    if (list.length) list.at(-1).t1 = line.t;
    list.push({ ...line, t0: line.t, t1: run.end });
    if (line.role === "master" && !run.hues.has(line.obeys)) run.hues.set(line.obeys, run.hues.size % MASTER_HUES);
  }
  run.servers = run.states.map(readServers);
  // How many are seen and what is launched changes often; the colour does not.
  run.bands = run.states.map((list) => {
    const bands = [];
    for (const state of list) {
      const last = bands.at(-1);
      if (last && last.role === state.role && last.ballot === state.ballot && last.obeys === state.obeys) {
        last.t1 = state.t1;
      } else {
        bands.push({ ...state });
      }
    }
    return bands;
  });
}

// From when to when a node had which server of llama.cpp, and for whose ballot.
function readServers(states) {
  const servers = [];
  for (const key of ["rpcServer", "llamaServer"]) {
    let last = null;
    for (const state of states) {
      if (last && last.ballot === state[key]) { last.t1 = state.t1; continue; }
      last = state[key] ? { key, ballot: state[key], t0: state.t0, t1: state.t1 } : null;
      if (last) servers.push(last);
    }
  }
  return servers;
}

function readFaults(run) {
  const open = new Map();
  for (const line of run.lines) {
    if (line.kind !== "fault") continue;
    if (line.phase === "begins") {
      const fault = {
        t0: line.t, t1: run.end, lasts: false, caption: line.caption, line,
        nodes: line.nodes.map((name) => run.index.get(name)),
      };
      open.set(line.fault, fault);
      run.faults.push(fault);
    } else {
      const fault = open.get(line.fault);
      if (fault) { fault.t1 = line.t; fault.lasts = true; }
    }
  }
  const ends = [];
  for (const fault of run.faults) {
    let row = ends.findIndex((end) => end <= fault.t0);
    if (row < 0) row = ends.length < 6 ? ends.length : ends.indexOf(Math.min(...ends));
    ends[row] = fault.t1;
    fault.row = row;
  }
  run.faultRows = ends.length;
}

// The place of the last element that begins at or before t.
function placeAt(list, t, key = "t0") {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle][key] <= t) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function stateAt(run, node, t) {
  return run.states[node]?.[placeAt(run.states[node], t)];
}

// What led to a line: messages back to their sender, anything else to the event that asked for it.
function chainOf(run, line) {
  const chain = [];
  const seen = new Set();
  let current = line;
  while (current && !seen.has(current) && chain.length < CHAIN_LIMIT) {
    chain.push(current);
    seen.add(current);
    const sent = current.packet === undefined ? null : run.byPacket.get(current.packet)?.sent;
    if (sent && !seen.has(sent)) { current = sent; continue; }
    const trigger = run.byEvent.get(current.i).find((other) => other.kind === "deliver");
    if (trigger && !seen.has(trigger)) { current = trigger; continue; }
    if (!current.cause) {
      // That an election was one too many is found later, by a look from outside.
      const election = current.kind === "violation" && run.elections.findLast(({ t }) => t <= current.t);
      if (!election || !run.facts.violation?.detail.includes("was elected")) break;
      current = election.line;
      continue;
    }
    const before = run.byEvent.get(current.cause) ?? [];
    current = before.find((other) => other.kind === "deliver")
      ?? before.find((other) => ["fault", "state", "log"].includes(other.kind)) ?? before[0];
  }
  return chain;
}

// The story in the order of time: what somebody would tell who had watched.
function keyEvents(run) {
  const events = [];
  const add = (t, kind, text, line) => events.push({ t, kind, text, line, run });
  const starts = run.lines.filter((line) => line.kind === "start");
  const first = starts.filter((line) => line.message === "life 1"), groups = [];
  for (const line of first) {
    if (groups.length && line.t - groups.at(-1)[0].t < 2) groups.at(-1).push(line); else groups.push([line]);
  }
  for (const group of groups) {
    add(group[0].t, "", `${joined(group.map((line) => line.node))} ${group.length === 1 ? "starts" : "start"}`, group[0]);
  }
  for (const line of starts) if (line.message !== "life 1") add(line.t, "", `${line.node} runs again`, line);
  for (const fault of run.faults) {
    add(fault.t0, "fault", fault.caption + (fault.lasts ? `, for ${seconds(fault.t1 - fault.t0, 1)}` : ", to the end of the run"), fault.line);
    if (fault.lasts) add(fault.t1, "fault", `over: ${fault.caption}`, fault.line);
  }
  for (const election of run.elections) {
    add(election.t, "election", `${election.node} is ${electionWords(election)}`, election.line);
  }
  const { liveness } = run.facts;
  if (liveness.at > 0) add(liveness.at, "", `from here on the network is quiet; by ${seconds(liveness.at + liveness.within, 1)} all must be well`);
  if (run.facts.convergedAt !== null) add(run.facts.convergedAt, "good", "all is well", null);
  // In a large cluster the votes of one election are many lines.
  if (run.nodes.length <= 12) addVotes(run, add);
  addLogs(run, add);
  addAgreement(run, add);
  if (run.violation) add(run.violation.t, "bad", `${run.facts.violation?.invariant ?? ""} broken: ${run.facts.violation?.detail ?? run.violation.message}`, run.violation);
  // What the scenario had in mind for later did not happen.
  return events.filter((event) => event.t <= run.end).sort((a, b) => a.t - b.t).slice(0, 3000);
}

function addLogs(run, add) {
  const told = {
    "election.ballotConflict": "bad",
    "placement.failed": "bad", "placement.replacing": "",
    "worker.rpc.gaveUp": "bad", "placement.server.gaveUp": "bad",
  };
  const groups = [], isLarge = run.nodes.length > 12;
  const wanted = new Set(), voters = [];
  for (const line of run.lines) {
    if (line.kind !== "log") continue;
    const cut = line.message.indexOf(": ");
    const id = line.message.slice(0, cut), words = line.message.slice(cut + 2);
    if (id === "election.renewed") {
      const ballot = stateAt(run, run.index.get(line.node), line.t + 1e-9)?.ballot;
      add(line.t, "election", `${line.node} stays master${ballot ? `, under ballot ${ballot} from now on` : ""}`, line);
    } else if (id === "election.deposed") add(line.t, "election", `${line.node} is n${words.slice(1)}`, line);
    else if (id === "election.founded") add(line.t, "", `${line.node} founds the cluster, and is its only voter at first`, line);
    else if (id === "election.voters") {
      // The log calls nodes that its own does not know by their identities.
      const node = run.index.get(line.node), state = stateAt(run, node, line.t + 1e-9);
      const names = joined(state?.voters ?? []), isOlder = goesBack(run, node, state);
      const last = voters.findLast((group) => group.names === names && group.isOlder === isOlder);
      if (last && line.t - last.t < 5) last.by.add(line.node);
      else voters.push({ t: line.t, names, isOlder, by: new Set([line.node]), line });
    } else if (id === "placement.wanted") {
      if (!wanted.has(words)) add(line.t, "", words.replace("The cluster", "the cluster"), line);
      wanted.add(words);
    } else if (id === "placement.ready") {
      add(line.t, "good", `the model is ready, served by ${line.node}`, line);
    } else if (id in told) add(line.t, told[id], `${line.node}: ${words}`, line);
    if (id !== "membership.died") continue;
    const name = words.replace(" is dead", "");
    // In a large cluster, what happens to many at once is one thing to tell.
    const last = isLarge ? groups.at(-1) : groups.findLast((group) => group.whom.has(name));
    if (last && line.t - last.t < 5) {
      last.by.add(line.node);
      last.whom.add(name);
    } else {
      groups.push({ t: line.t, whom: new Set([name]), by: new Set([line.node]), line });
    }
  }
  for (const { t, names, isOlder, by, line } of voters) {
    if (isOlder) add(t, "bad", `${joined([...by])} ${by.size > 1 ? "go" : "goes"} back to older voters: ${names}`, line);
    else add(t, "", `for ${joined([...by])} the voters are ${names} now`, line);
  }
  for (const { t, whom, by, line } of groups) {
    add(t, "", `${joined([...whom])} ${whom.size > 1 ? "are" : "is"} dead, ${by.size > 1 ? "say" : "says"} ${joined([...by])}`, line);
  }
}

// Whether a node knew newer voters before.
function goesBack(run, node, state) {
  const before = run.states[node]?.[run.states[node].indexOf(state) - 1];
  if (!state?.votersID || !before?.votersID) return false;
  const [term, version] = state.votersID.split(".").map(Number), [oldTerm, oldVersion] = before.votersID.split(".").map(Number);
  return term < oldTerm || term === oldTerm && version < oldVersion;
}

// When all that run obey one master, and when two reign at once.
function addAgreement(run, add) {
  const now = run.nodes.map(() => null);
  let told = "";
  const changes = run.lines.filter((line) => line.kind === "state");
  for (let place = 0; place < changes.length; place++) {
    const line = changes[place];
    now[run.index.get(line.node)] = line;
    if (changes[place + 1]?.t === line.t) continue;
    const running = now.filter((state) => state && state.role !== "down" && state.role !== "stalled");
    const masters = running.filter((state) => state.role === "master").map((state) => state.node);
    const ballots = new Set(running.map((state) => (state.obeys ? state.ballot : null)));
    let word = "", key = "";
    if (masters.length > 1) {
      key = masters.join();
      word = `${masters.length} masters at once: ${joined(masters)}`;
    } else if (masters.length === 1 && ballots.size === 1 && running.length > 1) {
      key = running[0].ballot;
      word = `all ${running.length} running nodes obey ${masters[0]}`;
    }
    if (word && key !== told) add(line.t, masters.length > 1 ? "election" : "good", word, line);
    if (word || masters.length === 0) told = key;
  }
}

function firstDifference(first, second) {
  const count = Math.min(first.lines.length, second.lines.length);
  for (let place = 0; place < count; place++) {
    if (JSON.stringify(first.lines[place]) !== JSON.stringify(second.lines[place])) {
      return { t: Math.min(first.lines[place].t, second.lines[place].t), lines: [first.lines[place], second.lines[place]] };
    }
  }
  if (first.lines.length === second.lines.length) return null;
  const line = (first.lines.length > count ? first : second).lines[count];
  return { t: line.t, lines: [first.lines[count], second.lines[count]] };
}
