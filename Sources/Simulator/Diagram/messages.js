// Messages and streams in the picture: arrows, or ticks where there are too many of them.

function visibleMessages(run, layout) {
  const groups = new Map(KINDS.map((kind) => [kind.id, []]));
  for (let place = Math.max(0, placeAt(run.messages, page.t0 - run.longest)); place < run.messages.length; place++) {
    const message = run.messages[place];
    if (message.t0 > page.t1) break;
    if (message.t1 < page.t0 || page.hiddenKinds.has(message.about)) continue;
    if (!layout.places.has(message.from) || !layout.places.has(message.to)) continue;
    groups.get(message.about)?.push(message);
  }
  return groups;
}

function drawTraffic(context, panel, layout) {
  const { run } = panel;
  const groups = visibleMessages(run, layout);
  const chosen = page.chain?.run === run ? page.chain.packets : null;
  const notes = [];
  let left = ARROW_LIMIT;
  panel.arrows = [];
  for (const kind of KINDS) {
    const list = groups.get(kind.id);
    if (list.length <= left) {
      left -= list.length;
      panel.arrows.push(...list);
    } else {
      drawDensity(context, list, colors[kind.id], layout);
      notes.push(`${list.length.toLocaleString("en")} ${kind.name.toLowerCase()}`);
    }
  }
  const heads = panel.arrows.length < 700;
  context.globalAlpha = chosen ? 0.18 : panel.arrows.length > 1200 ? 0.45 : 0.9;
  for (const message of panel.arrows) drawArrow(context, message, layout, heads, 1.2);
  if (chosen) {
    context.globalAlpha = 1;
    for (const packet of chosen) {
      const message = run.byPacket.get(packet);
      if (message && layout.places.has(message.from) && layout.places.has(message.to)) {
        drawArrow(context, message, layout, true, 3.2);
      }
    }
  }
  context.globalAlpha = 1;
  if (!page.hiddenKinds.has("stream")) drawStreams(context, run, layout);
  if (panel.arrows.length <= LABEL_LIMIT) drawWords(context, panel.arrows, layout);
  panel.note.textContent = notes.length
    ? `Too many to draw as arrows: ${notes.join(", ")} are shown as ticks where they were sent. Zoom in to see each.` : "";
}

function endsOf(message, layout) {
  const y0 = layout.places.get(message.from), y1 = layout.places.get(message.to);
  const shift = Math.sign(y1 - y0) * Math.min(layout.lane * 0.33, 15) * 0.6;
  return [layout.x(message.t0), y0 + shift, layout.x(message.t1), y1 - shift];
}

function drawArrow(context, message, layout, heads, thickness) {
  let [x0, y0, x1, y1] = endsOf(message, layout);
  context.strokeStyle = context.fillStyle = colors[message.about];
  context.lineWidth = thickness;
  if (message.lost === "network") {
    x1 = x0 + (x1 - x0) * 0.6;
    y1 = y0 + (y1 - y0) * 0.6;
  }
  if (message.isUnderWay) { x1 = (x0 + x1) / 2; y1 = (y0 + y1) / 2; }
  if (message.lost || message.again) context.setLineDash(message.lost ? [4, 3] : [1, 2]);
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  if (message.lost || message.again) context.setLineDash([]);
  if (message.lost) {
    context.strokeStyle = colors.alarm;
    context.lineWidth = Math.max(1.8, thickness);
    context.beginPath();
    context.moveTo(x1 - 3.5, y1 - 3.5); context.lineTo(x1 + 3.5, y1 + 3.5);
    context.moveTo(x1 + 3.5, y1 - 3.5); context.lineTo(x1 - 3.5, y1 + 3.5);
    context.stroke();
  } else if (heads && !message.isUnderWay) {
    const angle = Math.atan2(y1 - y0, x1 - x0), size = 5 + thickness;
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x1 - size * Math.cos(angle - 0.4), y1 - size * Math.sin(angle - 0.4));
    context.lineTo(x1 - size * Math.cos(angle + 0.4), y1 - size * Math.sin(angle + 0.4));
    context.fill();
  }
}

function drawDensity(context, list, color, layout) {
  const bin = 3, counts = new Map();
  for (const message of list) {
    const key = message.from * 100000 + Math.floor(layout.x(message.t0) / bin);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  context.fillStyle = color;
  for (const [key, count] of counts) {
    const y = layout.places.get(Math.floor(key / 100000)) + layout.lane * 0.46;
    const height = Math.max(1.5, layout.lane * 0.26 * count / most);
    context.fillRect((key % 100000) * bin, y - height, bin - 1, height);
  }
}

function drawStreams(context, run, layout) {
  for (let place = Math.max(0, placeAt(run.streams, page.t0, "t")); place < run.streams.length; place++) {
    const line = run.streams[place];
    if (line.t > page.t1) break;
    const y = layout.places.get(run.index.get(line.node));
    if (y === undefined || line.t < page.t0) continue;
    const x = layout.x(line.t), edge = y - layout.lane * 0.36;
    context.strokeStyle = context.fillStyle = ["open", "closed", "closedHere"].includes(line.what) ? colors.stream : colors.alarm;
    context.lineWidth = 1.4;
    context.beginPath();
    context.arc(x, edge, 2.6, 0, 7);
    if (line.what === "open") context.fill(); else context.stroke();
  }
}

function drawWords(context, messages, layout) {
  context.font = "11px system-ui, sans-serif";
  const taken = [];
  for (const message of messages) {
    const [x0, y0, x1, y1] = endsOf(message, layout);
    const text = (message.sent.message.length > 44 ? `${message.sent.message.slice(0, 43)}…` : message.sent.message);
    const width = context.measureText(text).width;
    for (const share of [0.3, 0.5, 0.7]) {
      const x = x0 + (x1 - x0) * share + 5, y = y0 + (y1 - y0) * share;
      if (x + width > layout.width || taken.some((box) => Math.abs(box.y - y) < 14 && x < box.x1 && x + width > box.x0)) continue;
      taken.push({ x0: x, x1: x + width, y });
      context.globalAlpha = 0.82;
      context.fillStyle = colors.page;
      context.fillRect(x - 2, y - 7, width + 4, 14);
      context.globalAlpha = 1;
      context.fillStyle = colors.ink;
      context.fillText(text, x, y);
      break;
    }
  }
}
