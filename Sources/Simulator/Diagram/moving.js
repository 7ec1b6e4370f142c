// How one moves: buttons, mouse, touch and keys.

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

// What one looks at stays in sight: what was gone to or broken, if it is, or else the middle.
function focus() {
  const moments = [page.events[page.current]?.t, page.runs.find((run) => run.violation)?.violation.t];
  return moments.find((t) => t >= page.t0 && t <= page.t1) ?? (page.t0 + page.t1) / 2;
}

function zoom(factor, at = focus()) {
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
