"""The page of `ringmaster report` in a real browser, over records of real runs: report_page_test.py
RINGMASTER.
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True  # the folder of the sources stays as it is
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from browser import Browser  # noqa: E402
from patience import patience  # noqa: E402

PROGRAM = os.path.abspath(sys.argv.pop(1))
SWEEP = """
base {
  data {
    name: "synthetic"
    synthetic { train_samples: 640 test_samples: 100 height: 9 width: 7 noise: 3 }
  }
  model { name: "mlp" mlp_hidden: 31 }
  training {
    kernels: "cpu" batch_per_worker: 8 steps: 40 bucket_bytes: 3000 evaluate_every_samples: 160
  }
  transport { name: "tcp" }
}
axes { field: "training.workers" values: ["1", "2"] }
axes { field: "arm" values: ["single", "solo", "ps", "ps-sharded", "ring", "async"] }
exclude {
  when { field: "arm" value: "ring" }
  when { field: "training.workers" value: "1" }
  reason: "nothing to exchange"
}
trials: 2
"""
# Another setting, in a sweep of its own.
SECOND = """
axes { field: "training.bucket_bytes" values: ["3000", "6000"] }
axes { field: "arm" values: ["ps", "ring"] }
trials: 1
"""
# What these runs have no data for, and a part of the reason that stands in its place.
MISSING = {"prediction": "ringmaster predict", "fault": "--fault"}

# Marks that a reader sees in a chart: bars, points, lines and rules, axes and legends left out.
MARKS = """
  return [...document.querySelectorAll("#chart-" + arguments[0] + " .plot")].map(plot =>
    [...plot.querySelectorAll(
      "g.mark-rect path, g.mark-symbol path, g.mark-line path, g.mark-rule line")]
      .filter(mark => !mark.closest("[class*=role-axis], [class*=role-legend]")).length);
"""
TITLES = """
  const titles = "#chart-" + arguments[0] + " .plot [class*=role-axis-title] text";
  return [...document.querySelectorAll(titles)]
    .map(text => text.textContent);
"""
# Whether texts of one chart lie over each other.
OVERLAPS = """
  const found = [];
  for (const plot of document.querySelectorAll(".plot svg")) {
    const boxes = [...plot.querySelectorAll("text")]
      .filter(text => text.textContent && getComputedStyle(text).opacity > 0 &&
                      text.getAttribute("opacity") !== "0")
      .map(text => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
      const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (x > 2 && y > 4) found.push(`${plot.closest(".card").id}: "${a}" and "${b}"`);
    }));
  }
  return found;
"""
# The color of every arm's marks, by chart, of the charts whose marks have it.
COLORS = """
  const colors = {};
  for (const chart of ["cost", "staleness", "bytes", "payload", "scaling", "accuracy"]) {
    const marks = `#chart-${chart} .plot [aria-label*='arm: ']`;
    for (const mark of document.querySelectorAll(marks)) {
      // Intervals, numbers and what a formula says have the ink's.
      if (mark.closest(".mark-rule, .mark-text")) continue;
      if (mark.getAttribute("aria-roledescription") === "tick") continue;
      const arm = mark.getAttribute("aria-label").match(/arm: ([^;]+)/)[1];
      const fill = mark.getAttribute("fill");
      const filled = fill && fill !== "transparent" && fill !== "none";
      const color = filled ? fill : mark.getAttribute("stroke");
      (colors[arm] = colors[arm] || {})[color] = chart;
    }
  }
  return colors;
"""


def folder():
    return os.environ["TEST_TMPDIR"]


def ringmaster(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True,
                          timeout=patience(100), check=False)


class ReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sweeps = [os.path.join(folder(), name + ".textproto") for name in ("workers", "buckets")]
        pathlib.Path(sweeps[0]).write_text(SWEEP, encoding="utf-8")
        pathlib.Path(sweeps[1]).write_text(SWEEP[:SWEEP.index("axes")] + SECOND, encoding="utf-8")
        cls.store = os.path.join(folder(), "store")
        cls.page = os.path.join(folder(), "report.html")
        for arguments in (["sweep", sweeps[0], "--out",
                           cls.store], ["sweep", sweeps[1], "--out",
                                        cls.store], ["report", cls.store, "-o", cls.page]):
            done = ringmaster(*arguments)
            if done.returncode != 0:
                raise RuntimeError(
                    "%s: exit code %d\n%s" % (arguments, done.returncode, done.stderr))
        cls.browser = Browser(folder()).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()

    def show(self, width=1280, scheme="light"):
        self.browser.resize(width, 900)
        self.browser.prefer(scheme)
        self.browser.open("file://" + self.page)
        self.browser.run("return window.ready.then(() => true)")

    def charts(self):
        return self.browser.run("return report.charts.map(chart => chart.id)")

    def press(self, name, value):
        self.browser.run(
            "const [name, value] = arguments;"
            "document.querySelector(`[data-filter='${name}'][data-value='${value}']`).click();"
            "return Promise.all(report.charts.map(chart => chart.shown))", name, value)

    def test_every_chart_is_drawn_or_says_why_not(self):
        for scheme in ("light", "dark"):
            self.show(scheme=scheme)
            charts = self.charts()
            self.assertGreater(len(charts), 12)
            for chart in charts:
                if chart in MISSING:
                    text = self.browser.run(
                        "return document.querySelector('.missing #chart-' + arguments[0])"
                        ".textContent", chart)
                    self.assertIn(MISSING[chart], text)
                    continue
                marks = self.browser.run(MARKS, chart)
                if chart == "time_to_accuracy" and not marks:
                    continue  # reached or not, as the runs went; then the reason stands there
                self.assertTrue(marks and min(marks) > 0,
                                "chart %s has %s marks in its panels" % (chart, marks))
                titles = self.browser.run(TITLES, chart)
                self.assertTrue(titles and all(titles),
                                "chart %s has axes titled %s" % (chart, titles))
            self.assertEqual(self.browser.console(), [])

    def test_nothing_is_fetched(self):
        self.show()
        self.assertEqual(
            self.browser.run(
                "return performance.getEntriesByType('resource').map(entry => entry.name)"), [])

    def test_no_sideways_scroll_and_no_overlapping_texts_at_any_width(self):
        for width in (360, 768, 1280):
            self.show(width=width)
            self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"),
                                 width)
            cut = self.browser.run(
                "return [...document.querySelectorAll('.plot')].filter(plot => "
                "plot.firstElementChild.scrollWidth > plot.clientWidth + 1)"
                ".map(plot => plot.ariaLabel)")
            self.assertEqual(cut, [], "wider than their place at %d" % width)
            self.assertEqual(self.browser.run(OVERLAPS), [], "at %d" % width)

    def test_an_arm_has_one_color_everywhere(self):
        self.show()
        colors = self.browser.run(COLORS)
        self.assertGreaterEqual(len(colors), 5)
        for arm, own in colors.items():
            self.assertEqual(len(own), 1, "%s has colors %s" % (arm, own))
        self.assertEqual(len({color for own in colors.values() for color in own}), len(colors))

    def test_an_arm_has_its_color_in_a_saved_figure_too(self):
        # The panel of N = 1 has no ring, so its arms are others than those of the panel beside it.
        self.show()
        svg = self.browser.run(
            "return exportView(report.charts.find(chart => chart.id === 'cost')).toSVG()")
        for arm in self.browser.run("return report.arms"):
            marks = re.findall(
                r'<path aria-label="[^"]*arm: %s[;"][^>]*?fill="(#\w+)"' % re.escape(arm["name"]),
                svg)
            self.assertTrue(marks, arm)
            self.assertEqual(set(marks), {arm["color"]}, arm)

    def test_filters_act_on_all_charts_and_tables(self):
        self.show()
        arms = ("const marks = [...document.querySelectorAll('[aria-label*=\"arm: ps;\"]')];"
                "return [...new Set(marks.map(mark => mark.closest('.card').id))]")
        rows = ("return [...document.querySelectorAll('#tables td')]"
                ".filter(cell => cell.textContent === 'ps').length")
        panels = "return document.querySelectorAll('#chart-breakdown .plot').length"
        self.assertGreater(len(self.browser.run(arms)), 5)
        self.assertGreater(self.browser.run(rows), 0)
        self.press("arm", "ps")
        self.assertEqual(self.browser.run(arms), [])
        self.assertEqual(self.browser.run(rows), 0)
        self.assertEqual(self.browser.run(panels), 3)
        self.press("N", "1")
        self.assertEqual(self.browser.run(panels), 2)
        self.press("bucket_bytes", "3000")
        self.assertEqual(self.browser.run(panels), 1)
        self.press("bucket_bytes", "3000")
        self.press("sweep", "buckets")
        self.assertEqual(self.browser.run(panels), 1,
                         "of the comparison in which the other sweep has runs too")
        for arm in ("single", "solo", "ps-sharded", "ring", "async"):
            self.press("arm", arm)
        text = self.browser.run("return document.querySelector('#chart-breakdown').textContent")
        self.assertIn("Nothing to show", text)
        self.assertEqual(self.browser.console(), [])

    def test_every_chart_can_be_kept_as_svg_png_and_csv(self):
        self.show()
        for chart in self.charts():
            if chart in MISSING or not self.browser.run(MARKS, chart):
                continue
            find = "const chart = report.charts.find(chart => chart.id === arguments[0]); "
            svg = self.browser.run(find + "return exportView(chart).toSVG()", chart)
            self.assertTrue(svg.startswith("<svg") and "<path" in svg, chart)
            csv = self.browser.run(find + "return csvOf(chart)", chart).splitlines()
            self.assertTrue(
                len(csv) > 1 and csv[0].startswith("arm,comparison,") and
                csv[0].endswith(",settings"), chart)
        png = self.browser.run("return exportView(report.charts[0]).toImageURL('png', 2)")
        self.assertTrue(png.startswith("data:image/png;base64,") and len(png) > 5000)
        names = self.browser.run(
            "const names = [];"
            "HTMLAnchorElement.prototype.click = function () { names.push(this.download); };"
            "const kinds = ['svg', 'png', 'csv'];"
            "return Promise.all(kinds.map(kind => download(report.charts[0], kind)))"
            ".then(() => names.sort())")
        self.assertEqual(
            names, ["ringmaster-ranking.csv", "ringmaster-ranking.png", "ringmaster-ranking.svg"])
        self.assertEqual(self.browser.console(), [])

    def test_the_first_screen_answers(self):
        for width, height, charts in ((1400, 900, 3), (1000, 800, 2), (360, 740, 1)):
            self.show(width=width)
            tops = self.browser.run(
                "return ['ranking', 'time_to_accuracy', 'loss_seconds'].map(id => "
                "document.querySelector(`#chart-${id} .plot svg`).getBoundingClientRect().top)")
            self.assertGreaterEqual(sum(top < height for top in tops), charts,
                                    "%s at %d" % (tops, width))
            self.assertEqual(self.browser.run(
                "return document.querySelectorAll('#glance .plot').length"), 3)
        doubt = self.browser.run("return document.getElementById('doubt').textContent")
        self.assertTrue(doubt, "two trials are too few for a verdict")
        labels = self.browser.run("return report.comparisons.map(({label}) => label)")
        choice = "const choice = document.getElementById('choice'); "
        shown = ("return report.charts[0].shown"
                 ".then(() => document.querySelector('#glance .plot').ariaLabel)")
        self.assertIn("N = 2", self.browser.run(shown))
        self.browser.run(choice + "choice.value = 1; choice.onchange()")
        self.assertIn(labels[0], self.browser.run(shown))

    def test_every_color_that_is_drawn_is_in_the_legend(self):
        self.show()
        for chart in ("breakdown", "communication", "timeline"):
            drawn, named = self.browser.run(
                "const card = document.getElementById('chart-' + arguments[0]);"
                "const colors = marks => [...new Set([...card.querySelectorAll(marks)]"
                ".map(mark => mark.getAttribute('fill')))];"
                "return [colors('.plot g.mark-rect.role-mark path'),"
                " colors('.plot .role-legend-symbol path')]", chart)
            self.assertGreater(len(drawn), 1, chart)
            self.assertLessEqual(set(drawn), set(named), chart)

    def test_columns_fold_by_group_and_the_first_group_fits(self):
        heads = ("return [...document.querySelectorAll('#main-table table')].map(table => "
                 "[...table.querySelectorAll('th')].map(head => head.firstChild.textContent))")
        for width in (1000, 1400):
            self.show(width=width)
            self.assertEqual(self.browser.run(
                "return [...document.querySelectorAll('#main-table .scroll')]"
                ".filter(place => place.scrollWidth > place.clientWidth + 1).length"), 0, width)
        folded = self.browser.run(heads)
        self.assertTrue(all("samples/s" in table and "exposed" not in table for table in folded))
        self.browser.run("document.querySelector('[data-group=\"time of a step\"]').click()")
        opened = self.browser.run(heads)
        self.assertTrue(all("exposed" in table and "samples/s" in table for table in opened))

    def test_paper_has_everything(self):
        self.show(width=718, scheme="dark")
        self.browser.devtools("Emulation.setEmulatedMedia", media="print")
        self.browser.run("dispatchEvent(new Event('beforeprint'))")
        try:
            self.assertEqual(self.browser.run(
                "return document.querySelectorAll('details:not([open])').length"), 0)
            text = self.browser.run("return document.body.innerText")
            for run in self.browser.run(
                    "return report.tables.find(table => table.id === 'runs').rows"
                    ".map(row => row.cells[0])"):
                self.assertIn(run, text)
            columns = self.browser.run("return report.tables[0].columns.map(({title}) => title)")
            self.assertGreater(len(columns), 20)
            for column in columns:
                self.assertIn(column, text)
            # Every comparison of the first screen's charts too, and nothing beyond the edge.
            self.assertEqual(self.browser.run(
                "return document.querySelectorAll('#chart-ranking .plot').length"), 3)
            self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"),
                                 718)
            self.assertEqual(self.browser.run(
                "return [...document.querySelectorAll('.plot svg')]"
                ".filter(svg => svg.getBoundingClientRect().right > 719).length"), 0)
            inks = self.browser.run(
                "return [...new Set([...document.querySelectorAll('.role-axis-title text')]"
                ".map(text => text.getAttribute('fill')))]")
            self.assertEqual(inks, ["#1b1f24"], "light, whatever the screen is")
        finally:
            self.browser.run("dispatchEvent(new Event('afterprint'))")
            self.browser.devtools("Emulation.setEmulatedMedia", media="")
        self.assertGreater(self.browser.run(
            "return document.querySelectorAll('details:not([open])').length"), 0)

    def test_runs_that_differ_in_more_than_the_scheme_stand_apart_by_name(self):
        self.show()
        self.assertIn("training.workers, training.bucket_bytes",
                      self.browser.run("return document.getElementById('apart').textContent"))
        titles = self.browser.run(
            "return [...document.querySelectorAll('#chart-breakdown h4')]"
            ".map(title => title.textContent)")
        self.assertEqual(titles, [
            "N = 1, bucket_bytes = 3000", "N = 2, bucket_bytes = 3000", "N = 2, bucket_bytes = 6000"
        ])

    def test_what_the_results_do_not_show_is_said(self):
        self.show()
        limits = self.browser.run(
            "return [...document.querySelectorAll('#limits li')].map(item => item.textContent)")
        for words in ("one host", "fewer than 6 trials", "synthetic samples"):
            self.assertTrue(any(words in text for text in limits),
                            "%s is not in %s" % (words, limits))

    def test_plot_draws_the_same_chart_without_a_browser(self):
        figure = os.path.join(folder(), "figure.svg")
        for chart in ("ranking", "scaling", "breakdown", "loss_samples"):
            done = ringmaster("plot", chart, self.store, "-o", figure)
            self.assertEqual(done.returncode, 0, done.stderr)
            svg = pathlib.Path(figure).read_text(encoding="utf-8")
            self.assertTrue(svg.startswith("<svg") and svg.rstrip().endswith("</svg>"))
            self.assertIn("aria-label=\"", svg)
            self.assertIn("ps-sharded", svg)


if __name__ == "__main__":
    unittest.main()
