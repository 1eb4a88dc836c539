// The two charts: the last 15 minutes, one point a second.

import { compact, count, make, rate, setText } from "./dom.js";

const SECONDS = 900;
/** A longer silence is shown as a gap. */
const GAP_SECONDS = 3;

const CHARTS = [
  {
    id: "rates",
    format: rate,
    series: [
      { label: "processed", colour: "--processed", column: 2, fill: true },
      { label: "duplicate", colour: "--duplicate", column: 4 },
      { label: "failed", colour: "--failed", column: 3 },
    ],
  },
  {
    id: "backlog",
    format: count,
    series: [
      { label: "queued", colour: "--backlog", column: 5, fill: true },
      { label: "in flight", colour: "--in-flight", column: 6 },
    ],
  },
];

/** Times in seconds, then a column for each field of a point. */
const columns = [[], [], [], [], [], [], []];
const charts = [];
/** The group's clock, in seconds. */
let now = 0;

function push(point) {
  const at = point[0] / 1000;
  const times = columns[0];
  const last = times.length ? times[times.length - 1] : null;
  if (last !== null && at <= last) return;
  if (last !== null && at - last > GAP_SECONDS) {
    times.push(last + 1);
    for (let i = 1; i < columns.length; i++) columns[i].push(null);
  }
  times.push(at);
  for (let i = 1; i < columns.length; i++) columns[i].push(point[i]);
  trim(at);
}

/** Forgets what is older than the chart shows, so that a page does not grow however long it is open. */
function trim(at) {
  const times = columns[0];
  let old = Math.max(0, times.length - SECONDS);
  while (old < times.length && times[old] < at - SECONDS) old++;
  if (old > 0) for (const column of columns) column.splice(0, old);
}

/** The points there are when the page connects; what was seen of before is kept where it is older. */
export function begin(points) {
  const first = points.length ? points[0][0] / 1000 : Infinity;
  let kept = columns[0].findIndex((at) => at >= first);
  if (points.length && kept >= 0) for (const column of columns) column.length = kept;
  points.forEach(push);
  draw();
}

/** What happened just now; without a point that is not known, and the line has a gap. */
export function show(point, atMs) {
  now = atMs / 1000;
  if (point) push(point);
  draw();
}

function draw() {
  for (const { plot, spec } of charts) {
    plot.setData([columns[0], ...spec.series.map((series) => columns[series.column])]);
    legend(spec, plot.cursor.idx);
  }
}

function legend(spec, index) {
  const last = now - columns[0].at(-1) > GAP_SECONDS ? null : columns[0].length - 1;
  const at = index === null || index === undefined ? last : index;
  spec.series.forEach((series, i) => {
    const value = columns[series.column][at];
    setText(spec.values[i], value === null || value === undefined ? "–" : spec.format(value));
  });
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(spec, width, height) {
  const axis = {
    stroke: colour("--faint"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    // On the right there is room for half of a label of time.
    padding: [8, 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "group" }, points: { size: 6 } },
    scales: {
      x: { time: true, range: () => range() },
      y: { range: (_, low, high) => [0, Math.max(spec.id === "rates" ? 1 : 5, (high ?? 0) * 1.12)] },
    },
    axes: [
      { ...axis, space: 70, size: 28, incrs: [60, 120, 180, 300, 600], values: (_, ticks) => ticks.map((at) => hour(at)) },
      { ...axis, size: 52, space: 34, values: (_, ticks) => ticks.map((value) => small(value)) },
    ],
    series: [
      {},
      ...spec.series.map((series) => ({
        label: series.label,
        stroke: colour(series.colour),
        fill: series.fill ? colour(`${series.colour}-fill`) : undefined,
        width: 1.75,
        points: { show: false },
      })),
    ],
    hooks: { setCursor: [(plot) => legend(spec, plot.cursor.idx)] },
  };
}

/** The last 15 minutes, or as much of them as there is, but never less than two. */
function range() {
  const end = Math.max(now, columns[0].at(-1) ?? (now || Date.now() / 1000));
  const first = columns[0][0] ?? end;
  return [end - Math.min(SECONDS, Math.max(120, end - first)), end];
}

const small = (value) => (value !== 0 && Math.abs(value) < 10 ? String(Math.round(value * 10) / 10) : compact(value));

function hour(at) {
  const date = new Date(at * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

function build() {
  for (const { plot } of charts) plot.destroy();
  charts.length = 0;
  for (const spec of CHARTS) {
    const place = document.getElementById(`chart-${spec.id}`);
    const { clientWidth, clientHeight } = place;
    const data = [columns[0], ...spec.series.map((series) => columns[series.column])];
    const plot = new window.uPlot(options(spec, clientWidth, clientHeight), data, place);
    charts.push({ plot, spec, place });
  }
}

/** Sets up both charts; `describe` says in words what the first shows. */
export function start() {
  for (const spec of CHARTS) {
    const list = document.getElementById(`legend-${spec.id}`);
    spec.values = spec.series.map((series) => {
      const value = make("b", {}, "–");
      const mark = make("i", { class: `mark ${series.colour.slice(2)}`, "aria-hidden": "true" });
      list.append(make("li", {}, mark, make("span", {}, series.label), value));
      return value;
    });
  }
  build();
  const resized = new ResizeObserver(() => {
    for (const { plot, place } of charts) {
      const { clientWidth: width, clientHeight: height } = place;
      if (width > 0 && (plot.width !== width || plot.height !== height)) plot.setSize({ width, height });
    }
  });
  for (const { place } of charts) resized.observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    build();
    draw();
  });
}
