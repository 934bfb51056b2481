"use strict";
// Completes the Vega-Lite specs of a report: what the page and `ringmaster plot` have in common. Draws nothing.

const PHASES = {
  load: "#a3b18a", gate: "#9b7fc0", upload: "#b0b7bf", forward: "#9ec9e8", backward: "#5b9bd0", download: "#8d949c",
  exposed: "#e07a5f", update: "#6bb39a", rest: "#d5d8dc", encode: "#e9b872", exchange: "#d9a5c4", reduce: "#7fa05f",
  // Of threads that only the timeline shows.
  send: "#c58bb3", decode: "#c9a227", parked: "#7f6aa3", push: "#c3ccd3", pull: "#9fb3c1", add: "#98b86f",
};
const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif";

function paletteOf(dark) {
  return dark ? {ink: "#e6eaee", quiet: "#9aa5b1", line: "#2b343d", paper: "#151b21"}
              : {ink: "#1b1f24", quiet: "#5b6570", line: "#e3e7eb", paper: "#ffffff"};
}

// `width` is of the whole view.
function configOf(palette, columns, width) {
  return {
    background: null, font: FONT, view: {stroke: null}, padding: 4,
    axis: {
      labelColor: palette.quiet, titleColor: palette.ink, gridColor: palette.line, domainColor: palette.quiet,
      tickColor: palette.quiet, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, titlePadding: 8,
    },
    axisX: {titleAnchor: "end", labelFlush: false, labelOverlap: true, labelSeparation: 6},
    axisXQuantitative: {tickCount: Math.max(3, Math.floor((width - 100) / 70))},
    axisY: {labelColor: palette.ink},
    legend: {
      columns, labelColor: palette.ink, titleColor: palette.ink, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500,
      labelLimit: 240, symbolSize: 90, rowPadding: 4, columnPadding: 14,
    },
    title: {color: palette.ink, subtitleColor: palette.quiet, fontSize: 14, subtitleFontSize: 12, anchor: "start", offset: 12},
  };
}

function distinct(rows, field) { return [...new Set(rows.map(row => row[field]).filter(value => value !== undefined))]; }

// Threads of workers above those of servers, a node's beside each other.
function tracksOf(rows) {
  const rank = {step: 0, exchange: 1};
  const key = track => {
    const [node, thread] = track.split(" "), [role, index] = node.split("/");
    return [role === "worker" ? 0 : 1, +index, rank[thread] ?? 2];
  };
  const compare = (a, b) => { const x = key(a), y = key(b); return x[0] - y[0] || x[1] - y[1] || x[2] - y[2]; };
  return [...new Set(distinct(rows, "track").concat(distinct(rows, "to")))].sort(compare);
}

// Marks of a logarithmic axis of ratios: as fine as the range asks for, and always 1.
function ratioTicks(rows) {
  const ends = rows.flatMap(row => [row.low, row.high]).filter(value => value > 0).concat(1);
  const low = Math.min(...ends), high = Math.max(...ends), range = high / low;
  const ticks = range > 6 ? [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100] : range > 3 ? [0.2, 0.5, 1, 2, 5]
    : range > 1.7 ? [0.4, 0.5, 0.7, 1, 1.4, 2, 2.5] : range > 1.25 ? [0.6, 0.8, 1, 1.25, 1.6] : [0.8, 0.9, 1, 1.1, 1.25];
  return ticks.filter(tick => tick >= low && tick <= high);
}

// Phases that take enough time to be seen: a legend of slivers would be longer than the chart.
function visiblePhases(rows) {
  const times = new Map();
  for (const {phase, milliseconds, begin_ms, end_ms} of rows) {
    if (phase !== undefined) times.set(phase, (times.get(phase) ?? 0) + (milliseconds ?? end_ms - begin_ms));
  }
  const least = 0.005 * [...times.values()].reduce((sum, time) => sum + time, 0);
  return new Set([...times.keys()].filter(phase => times.get(phase) >= least));
}

// What stands for "@name" in a spec.
function namesOf(rows, arms, palette) {
  const present = new Set(distinct(rows, "arm"));
  const shown = arms.filter(arm => present.has(arm.name));
  const phases = visiblePhases(rows), values = distinct(rows, "value").sort((a, b) => a - b);
  const numbers = field => rows.map(row => row[field]).filter(value => value !== undefined);
  const domain = shown.map(arm => arm.name);
  return {
    "@arms": domain,
    "@color": {domain, range: shown.map(arm => arm.color)},
    "@shape": {domain, range: shown.map(arm => arm.shape)},
    "@N": distinct(rows, "N").sort((a, b) => a - b),
    "@values": values, "@ratios": ratioTicks(rows),
    "@value_scale": {type: values[0] > 0 && values[values.length - 1] / values[0] >= 8 ? "log" : "linear", zero: false,
                     nice: false, padding: 24},
    "@phases": Object.keys(PHASES).filter(phase => phases.has(phase)),
    "@phase": {domain: Object.keys(PHASES), range: Object.values(PHASES)},
    "@tracks": tracksOf(rows),
    "@time": [Math.min(0, ...numbers("begin_ms")), Math.max(0, ...numbers("end_ms"))],
    "@ink": palette.ink, "@quiet": palette.quiet, "@paper": palette.paper,
  };
}

function resolve(value, names) {
  if (typeof value === "string") return value in names ? names[value] : value;
  if (Array.isArray(value)) return value.map(item => resolve(item, names));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, names)]));
}

// Entries of a legend that fit side by side.
function legendColumns(rows, width) {
  const labels = distinct(rows, "arm").concat(distinct(rows, "phase"));
  const longest = Math.max(4, ...labels.map(label => String(label).length));
  return Math.max(1, Math.floor((width - 40) / (longest * 7 + 34)));
}

// Pixels for a band of each y value, and of each offset within it, where the spec gives the height of one. A view that is
// fitted into a width must say its whole height.
function heightOf(spec, rows) {
  if (!spec.height.step) return spec.height;
  const count = encoding => encoding && encoding.field ? Math.max(1, distinct(rows, encoding.field).length) : 1;
  const {y, yOffset} = spec.encoding;
  const bands = y.field === "track" ? tracksOf(rows).length : count(y);
  return Math.ceil(spec.height.step * bands * count(yOffset) * (yOffset ? 1.25 : 1));
}

// One panel that takes `width` pixels in all. options: {dark, width}.
function panelSpec(chart, rows, arms, options) {
  const palette = paletteOf(options.dark);
  return {
    ...resolve(chart.spec, namesOf(rows, arms, palette)), height: heightOf(chart.spec, rows),
    $schema: "https://vega.github.io/schema/vega-lite/v5.json", data: {values: rows}, width: options.width,
    autosize: {type: "fit-x", contains: "padding"}, config: configOf(palette, legendColumns(rows, options.width), options.width),
  };
}

// All panels of a chart, below one another, with titles: a figure to keep. panels: [{title, rows}]. options: {dark, width}.
function figureSpec(chart, panels, arms, options) {
  const palette = paletteOf(options.dark), all = panels.flatMap(panel => panel.rows);
  const width = options.width - 140, common = namesOf(all, arms, palette);
  // The panels share colors and their legend; axes are each one's own.
  const shared = Object.fromEntries(["@color", "@shape", "@phases"].map(name => [name, common[name]]));
  const views = panels.map(panel => ({
    ...resolve(chart.spec, {...namesOf(panel.rows, arms, palette), ...shared}), height: heightOf(chart.spec, panel.rows), data: {values: panel.rows}, width,
    ...(panel.title ? {title: {text: panel.title, fontSize: 12}} : {}),
  }));
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    title: {text: chart.title}, background: palette.paper, vconcat: views,
    config: configOf(palette, legendColumns(all, width), options.width),
  };
}
