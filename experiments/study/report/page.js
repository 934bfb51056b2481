// The page of a report: filters, panels, tables, downloads. How charts look is in their specs.

const report = JSON.parse(document.getElementById("report").textContent);
const PANELS_MAX = 6;  // of a chart; more are a wall that nobody reads
const EXPORT_WIDTH = 760;
const PAPER_WIDTH = 690, PAPER_GAP = 24;  // pixels between the margins of A4, and between cards
const GLANCE = report.charts.length ? report.charts[0].section : "";  // the first screen: of one comparison at a time
const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const byId = id => document.getElementById(id);
const openGroups = {};  // table id -> names of the groups of columns that are open
const off = {};  // filter name -> Set of values that are switched off
let onPaper = false, chosen = report.main;
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

// Panels with the rows that the filters leave. The first screen shows the chosen comparison alone, on paper all.
function panelsShown(chart) {
  const panels = chart.panels.map(panel => ({title: panel.title, rows: panel.rows.filter(rowShown)}))
    .filter(panel => panel.rows.some(row => row.arm !== undefined));
  if (chart.section !== GLANCE || onPaper) return panels;
  const number = onGlance();
  return panels.filter(panel => panel.rows[0].comparison === number);
}

// The chosen comparison, or the last of those that the filters leave.
function onGlance() {
  if (comparisonShown(chosen)) return chosen;
  return (report.comparisons.filter(({number}) => comparisonShown(number)).pop() || {number: chosen}).number;
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

function drawnCharts(section) { return report.charts.filter(chart => chart.section === section && !chart.missing); }

function isWide(chart) {
  const many = other => other.wide || (other.section !== GLANCE && other.panels.length > 1);
  if (many(chart)) return true;
  // Of an odd number of narrow cards the last has a row of its own; the first screen has a layout of its own.
  const narrow = drawnCharts(chart.section).filter(other => !many(other));
  return chart.section !== GLANCE && narrow.length % 2 === 1 && narrow[narrow.length - 1] === chart;
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

// A section's charts that have something to show: a card without a drawing would be a hole.
function chartSection(section) {
  const drawn = drawnCharts(section);
  if (!drawn.length) return [];
  const glance = section === GLANCE;
  return [make("h2", glance ? {class: "glance-title"} : {}, section),
          make("div", {class: glance ? `charts glance of-${drawn.length}` : "charts"}, ...drawn.map(chartCard))];
}

// Why the others are not drawn.
function missingCharts() {
  const missing = report.charts.filter(chart => chart.missing);
  if (!missing.length) return [];
  const reasons = missing.map(chart => make("li", {id: `chart-${chart.id}`}, make("b", {}, chart.title), `: ${chart.missing}`));
  const count = `${missing.length} ${missing.length > 1 ? "charts have" : "chart has"} nothing to show`;
  return [make("details", {class: "small quiet"}, make("summary", {}, count), make("ul", {class: "plain missing"}, ...reasons))];
}

// Which comparison the first screen shows, where there are several.
function comparisonChoice() {
  const choice = make("select", {id: "choice", "aria-label": "comparison of the first charts"});
  for (const {number, label} of report.comparisons) choice.append(make("option", {value: number}, label));
  choice.value = chosen;
  choice.onchange = () => { chosen = +choice.value; report.charts.filter(chart => chart.section === GLANCE).forEach(showIn); };
  return make("label", {class: "small quiet choice"}, "of ", choice);
}

// Pixels for a drawing. Paper has a width of its own, which no element has before it is printed.
function widthOf(chart, plot, panels) {
  if (!onPaper) return Math.max(240, plot.clientWidth);
  return panels > 1 || !isWide(chart) ? (PAPER_WIDTH - PAPER_GAP) / 2 - 24 : PAPER_WIDTH - 24;
}

function note(text) { return make("div", {class: "missing"}, text); }

async function showChart(chart) {
  if (chart.missing) return;
  const turn = chart.turn = (chart.turn || 0) + 1;
  const place = chart.card.querySelector(".panels"), panels = panelsShown(chart);
  (chart.views || []).forEach(view => view.finalize());
  chart.views = [];
  chart.card.querySelector(".tools").hidden = panels.length === 0;
  place.replaceChildren();
  if (!panels.length) return place.append(note("Nothing to show of what is chosen here."));
  const titled = chart.section !== GLANCE || onPaper;
  const most = onPaper ? panels.length : PANELS_MAX;
  const plots = panels.slice(0, most).map(panel => {
    const plot = make("div", {class: "plot", role: "img", "aria-label": `${chart.title}: ${panel.title || "all runs"}`});
    place.append(make("div", {class: "panel"}, ...(panel.title && titled && report.comparisons.length > 1 ? [make("h4", {}, panel.title)] : []), plot));
    return {panel, plot};
  });
  // All are in place before any is measured, for they share the width.
  for (const {panel, plot} of plots) {
    const options = {dark: darkQuery.matches && !onPaper, width: widthOf(chart, plot, plots.length)};
    const spec = {...panelSpec(chart, panel.rows, report.arms, options), description: plot.ariaLabel};
    const result = await vegaEmbed(plot, spec, {renderer: "svg", actions: false});
    if (chart.turn !== turn) return result.finalize();
    chart.views.push(result);
  }
  if (panels.length > most) {
    place.append(note(`${most} of ${panels.length} are drawn; the filters choose others, and print has all.`));
  }
}

function showIn(chart) { return chart.shown = showChart(chart); }

// ---- tables

function tableElement(table, rows, columns) {
  const numeric = column => column.numeric ? {class: "number"} : {};
  const shown = table.columns.map((column, i) => ({...column, i})).filter(columns);
  const head = shown.map(column => make("th", numeric(column), column.title, ...(column.unit ? [make("span", {}, column.unit)] : [])));
  const body = rows.map(row => make("tr", {}, ...shown.map(column => {
    const cell = row.cells[column.i];
    const [figure, interval] = column.numeric ? cell.split(" [") : [cell];
    const made = make("td", column.numeric ? {class: "number"} : column.wide ? {class: "text"} : {}, figure);
    if (interval) made.append(make("small", {}, `[${interval}`));
    return made;
  })));
  const element = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  return make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": table.title}, element);
}

// Columns of no group name the row and stand in every part. On paper each group is a table of its own.
function tableParts(table, rows, isFirst) {
  const groups = [...new Set(table.columns.map(column => column.group))].filter(group => group);
  if (!groups.length) return [tableElement(table, rows, () => true)];
  const of = names => tableElement(table, rows, column => !column.group || names.includes(column.group));
  if (onPaper) return groups.flatMap(group => [make("h5", {}, group), of([group])]);
  const open = openGroups[table.id] = openGroups[table.id] || [groups[0]];
  if (!isFirst) return [of(open)];
  const chips = groups.map(group => {
    const chip = make("button", {class: "fold", type: "button", "aria-pressed": open.includes(group), "data-group": group}, group);
    chip.onclick = () => {
      openGroups[table.id] = open.includes(group) ? open.filter(name => name !== group) : groups.filter(name => name === group || open.includes(name));
      showTables();
    };
    return chip;
  });
  return [make("div", {class: "folds", role: "group", "aria-label": "groups of columns"}, make("span", {class: "small quiet"}, "columns:"), ...chips), of(open)];
}

function showTables() {
  const unfolded = new Set([...document.querySelectorAll("details[data-table][open]")].map(details => details.dataset.table));
  byId("main-table").replaceChildren();
  byId("tables").replaceChildren();
  let heading = "";
  for (const table of report.tables) {
    const place = byId(table.id === "figures" ? "main-table" : "tables"), rows = table.rows.filter(rowShown);
    if (!rows.length) continue;
    const isFirst = table.section !== heading;
    if (isFirst) {
      place.append(make("h2", {}, heading = table.section));
      if (table.caption) place.append(make("p", {class: "small quiet"}, table.caption));
    }
    const title = table.title || `${rows.length} rows`, key = `${table.id} ${table.title}`, parts = tableParts(table, rows, isFirst);
    if (!table.long) { place.append(...(table.title && report.comparisons.length > 1 ? [make("h4", {}, title)] : []), ...parts); continue; }
    const details = make("details", {"data-table": key}, make("summary", {}, title), ...parts);
    details.open = unfolded.has(key);
    place.append(details);
  }
}

// ---- the whole

function showAll() {
  showTables();
  return Promise.all(report.charts.map(showIn));
}

function build() {
  byId("title").textContent = document.title = report.title;
  byId("summary").textContent = report.summary;
  byId("doubt").hidden = !report.doubt;
  byId("doubt").textContent = report.doubt;
  byId("to-limits").textContent = `What these results do not show: ${report.limits.length} points`;
  byId("apart").textContent = report.apart;
  byId("filters").append(...report.filters.map(filterGroup));
  const sections = [...new Set(report.charts.map(chart => chart.section))];
  byId("glance").append(...chartSection(GLANCE));
  if (report.comparisons.length > 1 && drawnCharts(GLANCE).length) byId("glance").querySelector("h2").append(comparisonChoice());
  for (const section of sections.filter(section => section !== GLANCE)) byId("charts").append(...chartSection(section));
  byId("charts").append(...missingCharts());
  byId("limits").append(...report.limits.map(text => make("li", {}, text)));
  if (report.doubts.length) {
    byId("doubts").append(make("h2", {}, "Doubtful figures"),
      make("ul", {class: "plain small"}, ...report.doubts.map(text => make("li", {}, text))));
  }
  const about = byId("about");
  about.append(make("h2", {}, "Settings and sources"));
  for (const item of report.settings) about.append(make("details", {}, make("summary", {}, item.title), make("pre", {}, item.text)));
  about.append(make("p", {class: "small quiet"}, report.about),
    make("details", {class: "small licences"}, make("summary", {}, "Licences of what this page contains"), make("pre", {}, report.licences)));
}

// Paper shows everything: what is folded is opened, drawings are made anew in light colors and paper's width.
let folded = [];
function toPaper() {
  if (onPaper) return;
  onPaper = true;
  showAll();
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) details.open = true;
}
function fromPaper() {
  onPaper = false;
  for (const details of folded) details.open = false;
  showAll();
}

build();
window.ready = showAll();
addEventListener("beforeprint", toPaper);
addEventListener("afterprint", fromPaper);
darkQuery.addEventListener("change", () => { if (!onPaper) showAll(); });
let width = innerWidth, timer = 0;
addEventListener("resize", () => {
  if (innerWidth === width || onPaper) return;
  width = innerWidth;
  clearTimeout(timer);
  timer = setTimeout(showAll, 150);
});
