"use strict";
// Completes the Vega-Lite specs of a report: what the page and `ringmaster plot` have in common. Draws nothing.

const PHASES = {
  load: "#a3b18a", gate: "#9b7fc0", upload: "#b0b7bf", forward: "#9ec9e8", backward: "#5b9bd0", download: "#8d949c",
  exposed: "#b5482e", skew: "#e3a008", transfer: "#e07a5f", update: "#6bb39a", rest: "#d5d8dc", encode: "#e9b872", exchange: "#d9a5c4", reduce: "#7fa05f",
  // Of threads that only the timeline shows.
  send: "#c58bb3", decode: "#c9a227", parked: "#7f6aa3", push: "#c3ccd3", pull: "#9fb3c1", add: "#98b86f",
};
// Of communication.
const KINDS = {exposed: PHASES.exposed, skew: PHASES.skew, transfer: PHASES.transfer, hidden: "#f2c3b3", contention: "#8d949c"};
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
    axisX: {titleAnchor: "end", labelFlush: false, labelOverlap: true, labelSeparation: 6, labelBound: 16},
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
    : range > 1.7 ? [0.4, 0.5, 0.6, 0.7, 0.85, 1, 1.2, 1.4, 1.7, 2, 2.5] : range > 1.25 ? [0.6, 0.8, 1, 1.25, 1.6] : [0.8, 0.9, 1, 1.1, 1.25];
  return ticks.filter(tick => tick >= low && tick <= high);
}

// Of a drawing the phases that its rows have, in the order of PHASES: the whole legend, since all of them are drawn.
function phasesOf(rows) {
  const present = new Set(distinct(rows, "phase"));
  return Object.keys(PHASES).filter(phase => present.has(phase));
}

// What a spec's "usermeta" asks for, of the rows that have the fields. {ends: {x, y, zero}}: a line's last point bears its
// arm's name, in a margin at the right. {room: {fields, text}}: bars end with a text of about so many characters.
function pointsOf(ends, rows) {
  return rows.filter(row => row.arm !== undefined && Number.isFinite(row[ends.x]) && Number.isFinite(row[ends.y]));
}

const NAME_PIXELS = 15, CHARACTER_PIXELS = 6.6;

function namePixels(names) { return 10 + CHARACTER_PIXELS * Math.max(0, ...names.map(name => String(name).length)); }

// The range of the values of a line chart, bands and intervals included, with a little room.
function lineDomain(ends, rows) {
  const fields = [ends.y, "low", "high", ...(ends.also || [])];
  const values = rows.flatMap(row => fields.map(field => row[field])).filter(Number.isFinite).concat(ends.zero ? [0] : []);
  const low = Math.min(...values), high = Math.max(...values), room = 0.04 * (high - low || Math.abs(high) || 1);
  return [ends.zero && low >= 0 ? 0 : low - room, high + room];
}

// Where the names stand: each beside its line's end, and apart from each other. A name's y is in the data's units.
function endNames(ends, rows, domain, height) {
  const last = new Map();
  for (const row of pointsOf(ends, rows)) {
    if (!last.has(row.arm) || row[ends.x] >= last.get(row.arm)[ends.x]) last.set(row.arm, row);
  }
  const [low, high] = domain, pixel = value => (high - value) / (high - low) * height;
  const names = [...last.values()].map(row => ({arm: row.arm, [ends.x]: row[ends.x], [ends.y]: row[ends.y], at: pixel(row[ends.y])}))
    .sort((a, b) => a.at - b.at);
  names.forEach((name, i) => { if (i > 0) name.at = Math.max(name.at, names[i - 1].at + NAME_PIXELS); });
  for (let i = names.length - 1, most = height; i >= 0; most = names[i--].at - NAME_PIXELS) names[i].at = Math.min(names[i].at, most);
  return names.map(({at, ...name}) => ({...name, name_y: high - at / height * (high - low)}));
}

// The layers that draw them: a thin line from the end, and the name.
function nameLayers(ends, names, arm) {
  const y = {field: "name_y", type: "quantitative"};
  return [
    {data: {values: names}, mark: {type: "rule", strokeWidth: 0.75, opacity: 0.6, strokeDash: [2, 2]},
     encoding: {x: {field: ends.x, type: "quantitative"}, x2: {value: "width"}, y: {field: ends.y, type: "quantitative"}, y2: {field: "name_y"}, color: arm}},
    {data: {values: names}, mark: {type: "text", align: "left", baseline: "middle", dx: 5, fontSize: 12, fontWeight: 500},
     encoding: {x: {value: "width"}, y, text: {field: "arm"}, color: arm}},
  ];
}

// The scale of bars that leaves room for the texts at their ends. `pixels`: of the bars and texts together.
function roomScale(room, rows, pixels) {
  const values = rows.flatMap(row => room.fields.map(field => row[field])).filter(Number.isFinite).concat(0);
  const low = Math.min(...values), high = Math.max(...values), text = CHARACTER_PIXELS * room.text;
  const share = Math.max(0.25, 1 - text / Math.max(1, pixels));
  return {domain: [low, low + (high - low || 1) / share], nice: false};
}

// What stands for "@name" in a spec. width: of the view.
function namesOf(spec, rows, arms, palette, width) {
  const present = new Set(distinct(rows, "arm"));
  const shown = arms.filter(arm => present.has(arm.name));
  const values = distinct(rows, "value").sort((a, b) => a - b);
  const numbers = field => rows.map(row => row[field]).filter(value => value !== undefined);
  const domain = shown.map(arm => arm.name), color = {domain, range: shown.map(arm => arm.color)};
  const arm = {field: "arm", type: "nominal", scale: color, legend: null};
  const {ends, room} = spec.usermeta || {};
  const line = ends ? lineDomain(ends, rows) : null;
  const labels = distinct(rows, room && room.names || "arm");
  const log = values[0] > 0 && values[values.length - 1] / values[0] >= 8;
  return {
    "@arms": domain, "@color": color, "@arm": arm,
    "@shape": {field: "arm", type: "nominal", scale: {domain, range: shown.map(arm => arm.shape)}, legend: null},
    "@N": distinct(rows, "N").sort((a, b) => a - b),
    "@values": values, "@ratios": ratioTicks(rows),
    "@value_title": (distinct(rows, "setting")[0] || "setting") + (log ? " (logarithmic)" : ""),
    "@value_scale": {type: log ? "log" : "linear", ...(log ? {} : {zero: false}), nice: false, padding: 24},
    "@kinds": Object.keys(KINDS).filter(kind => distinct(rows, "kind").includes(kind)),
    "@kind": {domain: Object.keys(KINDS), range: Object.values(KINDS)},
    "@phases": phasesOf(rows),
    "@phase": {domain: Object.keys(PHASES), range: Object.values(PHASES)},
    "@tracks": tracksOf(rows),
    "@time": [Math.min(0, ...numbers("begin_ms")), Math.max(0, ...numbers("end_ms"))],
    "@ink": palette.ink, "@quiet": palette.quiet, "@paper": palette.paper, "@faint": palette.line,
    "@y": line ? {domain: line, nice: false, zero: false} : {},
    "@room": room ? roomScale(room, rows, width - namePixels(labels) - 24) : {},
    "@accuracies": distinct(rows, "accuracy").sort(), "@opacities": distinct(rows, "accuracy").length > 1 ? [1, 0.45] : [1],
    "@ranked": room ? ranked(rows, room) : [],
  };
}

// The names of bars, the largest first, or with `ascending` the smallest; those without a value last.
function ranked(rows, room) {
  const field = room.fields[0], sign = room.ascending ? 1 : -1, least = new Map();
  const name = row => row[room.names || "arm"];
  for (const row of rows) {
    const value = row.unreached ? Infinity : sign * row[field];
    least.set(name(row), Math.min(least.has(name(row)) ? least.get(name(row)) : Infinity, value));
  }
  return [...least.keys()].sort((a, b) => least.get(a) === least.get(b) ? 0 : least.get(a) - least.get(b));
}

function resolve(value, names) {
  if (typeof value === "string") return value in names ? names[value] : value;
  if (Array.isArray(value)) return value.map(item => resolve(item, names));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, names)]));
}

// Entries of a legend that fit side by side.
function legendColumns(rows, width) {
  const labels = distinct(rows, "phase");
  const longest = Math.max(9, ...labels.map(label => String(label).length));
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

// The spec of some rows without data, with the names of lines; `margin`: how much of the width these take at the right.
function filledSpec(chart, rows, arms, palette, width, common) {
  const spec = rows.every(row => row.N === rows[0].N) && chart.spec_of_one ? chart.spec_of_one : chart.spec;
  const {ends} = spec.usermeta || {};
  const names = {...namesOf(spec, rows, arms, palette, width), ...common};
  const filled = {...resolve(spec, names), height: heightOf(spec, rows)};
  delete filled.usermeta;
  if (!ends) return {filled, margin: 0};
  const count = distinct(pointsOf(ends, rows), "arm").length;
  filled.height = Math.max(filled.height, NAME_PIXELS * count);
  const placed = endNames(ends, rows, names["@y"].domain, filled.height);
  filled.layer = [...filled.layer, ...nameLayers(ends, placed, names["@arm"])];
  return {filled, margin: namePixels(placed.map(name => name.arm))};
}

// One panel that takes `width` pixels in all. options: {dark, width}.
function panelSpec(chart, rows, arms, options) {
  const palette = paletteOf(options.dark), {filled, margin} = filledSpec(chart, rows, arms, palette, options.width, {});
  const config = configOf(palette, legendColumns(rows, options.width), options.width - margin);
  return {
    ...filled, $schema: "https://vega.github.io/schema/vega-lite/v5.json", data: {values: rows}, width: options.width,
    autosize: {type: "fit-x", contains: "padding"}, config,
  };
}

// All panels of a chart, below one another, with titles: a figure to keep. panels: [{title, rows}]. options: {dark, width}.
function figureSpec(chart, panels, arms, options) {
  const palette = paletteOf(options.dark), all = panels.flatMap(panel => panel.rows);
  const width = options.width - 140, common = namesOf(chart.spec, all, arms, palette, width);
  // The panels share colors and their legend; axes are each one's own.
  const shared = Object.fromEntries(["@color", "@arm", "@shape", "@kinds", "@phases"].map(name => [name, common[name]]));
  const made = panels.map(panel => filledSpec(chart, panel.rows, arms, palette, width, shared));
  const margin = Math.max(...made.map(({margin}) => margin));
  const views = made.map(({filled}, i) => ({
    ...filled, data: {values: panels[i].rows}, width: width - margin,
    ...(panels[i].title ? {title: {text: panels[i].title, fontSize: 12}} : {}),
  }));
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    title: {text: chart.title}, background: palette.paper, vconcat: views,
    config: configOf(palette, legendColumns(all, width), options.width),
  };
}
