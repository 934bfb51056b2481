// The page of a report: filters, panels, tables, downloads. How charts look is in their specs.

const report = JSON.parse(document.getElementById("report").textContent);
const PANELS_MAX = 6;  // of a chart; more are a wall that nobody reads
const EXPORT_WIDTH = 760;
const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const byId = id => document.getElementById(id);
const off = {};  // filter name -> Set of values that are switched off
const comparisons = new Map(report.comparisons.map(comparison => [comparison.number, comparison]));

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// ---- filters

function isShown(name, value) { return !(off[name] && off[name].has(value)); }

function comparisonShown(number) {
  const comparison = comparisons.get(number);
  if (!comparison) return true;
  return report.filters.every(filter => {
    if (filter.name === "arm") return true;
    return comparison.settings[filter.name].some(value => isShown(filter.name, value));
  });
}

function rowShown(row) {
  if (row.arm !== undefined && !isShown("arm", row.arm)) return false;
  if (row.base && !isShown("arm", row.base)) return false;
  return row.comparison === undefined || comparisonShown(row.comparison);
}

// Panels with the rows that the filters leave; guides stay while anything else does.
function panelsShown(chart) {
  return chart.panels.map(panel => ({title: panel.title, rows: panel.rows.filter(rowShown)}))
    .filter(panel => panel.rows.some(row => row.arm !== undefined));
}

function filterGroup(filter) {
  off[filter.name] = new Set();
  const group = make("fieldset", {}, make("legend", {}, filter.name));
  for (const value of filter.values) {
    const chip = make("button", {class: "chip", "aria-pressed": "true", type: "button", "data-filter": filter.name, "data-value": value});
    const arm = filter.name === "arm" && report.arms.find(known => known.name === value);
    if (arm) { const dot = make("i"); dot.style.background = arm.color; chip.append(dot); }
    chip.append(value);
    chip.onclick = () => {
      const values = off[filter.name], hidden = values.has(value);
      if (hidden) values.delete(value); else values.add(value);
      chip.setAttribute("aria-pressed", hidden ? "true" : "false");
      showAll();
    };
    group.append(chip);
  }
  return group;
}

// ---- downloads

function save(name, type, content) {
  const url = content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content], {type}));
  make("a", {href: url, download: name}).click();
  if (url !== content) setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// A view that is never shown, in the light colors of paper.
function exportView(chart) {
  const spec = figureSpec(chart, panelsShown(chart).slice(0, PANELS_MAX), report.arms, {dark: false, width: EXPORT_WIDTH});
  return new vega.View(vega.parse(vegaLite.compile(spec).spec), {renderer: "none"});
}

function csvOf(chart) {
  const rows = panelsShown(chart).flatMap(panel => panel.rows).filter(row => row.arm !== undefined);
  const fields = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const quote = value => /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const settings = row => (comparisons.get(row.comparison) || {label: ""}).label;
  const lines = rows.map(row => fields.map(field => quote(String(row[field] ?? ""))).concat(quote(settings(row))).join(","));
  return [fields.concat("settings").join(","), ...lines].join("\n") + "\n";
}

async function download(chart, kind) {
  const name = `ringmaster-${chart.id}.${kind}`;
  if (kind === "csv") save(name, "text/csv", csvOf(chart));
  if (kind === "svg") save(name, "image/svg+xml", await exportView(chart).toSVG());
  if (kind === "png") save(name, "image/png", await exportView(chart).toImageURL("png", 2));
}

// ---- charts

function isWide(chart) {
  const many = other => other.wide || other.panels.length > 1;
  if (many(chart)) return true;
  // Of an odd number of narrow cards the last has a row of its own.
  const narrow = report.charts.filter(other => other.section === chart.section && !many(other));
  return narrow.length % 2 === 1 && narrow[narrow.length - 1] === chart;
}

function chartCard(chart) {
  const tools = make("div", {class: "tools"});
  for (const kind of ["svg", "png", "csv"]) {
    const button = make("button", {type: "button", "data-download": kind, title: `download ${chart.title} as ${kind.toUpperCase()}`}, kind.toUpperCase());
    button.onclick = () => download(chart, kind);
    tools.append(button);
  }
  const card = make("figure", {class: isWide(chart) ? "card wide" : "card", id: `chart-${chart.id}`},
    make("header", {}, make("h3", {}, chart.title), tools), make("p", {class: "shows"}, chart.shows), make("div", {class: chart.wide ? "panels below" : "panels"}));
  chart.card = card;
  return card;
}

function note(text) { return make("div", {class: "missing"}, text); }

async function showChart(chart) {
  const turn = chart.turn = (chart.turn || 0) + 1;
  const place = chart.card.querySelector(".panels"), panels = panelsShown(chart);
  (chart.views || []).forEach(view => view.finalize());
  chart.views = [];
  chart.card.querySelector(".tools").hidden = panels.length === 0;
  place.replaceChildren();
  if (chart.missing) return place.append(note(`No data: ${chart.missing}`));
  if (!panels.length) return place.append(note("The filters above leave nothing to show."));
  const plots = panels.slice(0, PANELS_MAX).map(panel => {
    const plot = make("div", {class: "plot", role: "img", "aria-label": `${chart.title}: ${panel.title || "all runs"}`});
    place.append(make("div", {class: "panel"}, ...(panel.title ? [make("h4", {}, panel.title)] : []), plot));
    return {panel, plot};
  });
  // All are in place before any is measured, for they share the width.
  for (const {panel, plot} of plots) {
    const spec = panelSpec(chart, panel.rows, report.arms, {dark: darkQuery.matches, width: Math.max(240, plot.clientWidth)});
    const result = await vegaEmbed(plot, spec, {renderer: "svg", actions: false});
    if (chart.turn !== turn) return result.finalize();
    chart.views.push(result);
  }
  if (panels.length > PANELS_MAX) {
    place.append(note(`${PANELS_MAX} of ${panels.length} are drawn; the filters above choose others.`));
  }
}

// ---- tables

function tableElement(table) {
  const rows = table.rows.filter(rowShown);
  if (!rows.length) return null;
  const numeric = column => column.numeric ? {class: "number"} : {};
  const head = table.columns.map(column => make("th", numeric(column), column.title, ...(column.unit ? [make("span", {}, column.unit)] : [])));
  const body = rows.map(row => make("tr", {}, ...row.cells.map((cell, i) => {
    const column = table.columns[i];
    const [figure, interval] = column.numeric ? cell.split(" [") : [cell];
    const made = make("td", column.numeric ? {class: "number"} : column.wide ? {class: "text"} : {}, figure);
    if (interval) made.append(make("small", {}, `[${interval}`));
    return made;
  })));
  const element = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  return make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": table.title}, element);
}

function showTables() {
  const place = byId("tables");
  place.replaceChildren();
  let heading = "";
  for (const table of report.tables) {
    const element = tableElement(table);
    if (!element) continue;
    if (table.section !== heading) {
      place.append(make("h2", {}, heading = table.section));
      if (table.caption) place.append(make("p", {class: "small quiet"}, table.caption));
    }
    const title = table.title || `${table.rows.filter(rowShown).length} rows`;
    place.append(table.long ? make("details", {}, make("summary", {}, title), element) : make("h4", {}, title), ...(table.long ? [] : [element]));
  }
}

// ---- the whole

function showAll() {
  showTables();
  return Promise.all(report.charts.map(chart => chart.shown = showChart(chart)));
}

function build() {
  byId("title").textContent = document.title = report.title;
  byId("summary").textContent = report.summary;
  byId("to-limits").textContent = `What these results do not show: ${report.limits.length} points`;
  byId("apart").textContent = report.apart;
  byId("filters").append(...report.filters.map(filterGroup));
  let grid = null, section = "";
  for (const chart of report.charts) {
    if (chart.section !== section) {
      section = chart.section;
      byId("charts").append(make("h2", {}, section), grid = make("div", {class: "charts"}));
    }
    grid.append(chartCard(chart));
  }
  byId("limits").append(...report.limits.map(text => make("li", {}, text)));
  if (report.doubts.length) {
    byId("doubts").append(make("h2", {}, "Doubtful figures"),
      make("ul", {class: "plain small"}, ...report.doubts.map(text => make("li", {}, text))));
  }
  const about = byId("about");
  about.append(make("h2", {}, "Settings and sources"));
  for (const item of report.settings) about.append(make("details", {}, make("summary", {}, item.title), make("pre", {}, item.text)));
  about.append(make("p", {class: "small quiet"}, report.about),
    make("details", {class: "small"}, make("summary", {}, "Licences of what this page contains"), make("pre", {}, report.licences)));
}

build();
window.ready = showAll();
darkQuery.addEventListener("change", showAll);
let width = innerWidth, timer = 0;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(timer);
  timer = setTimeout(showAll, 150);
});
