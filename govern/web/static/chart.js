// Draws each figure's table as a chart, so that the two cannot disagree. The table: one row per day (week, month, hour), one column per series,
// the plain number in data-value. Without this script the table alone is shown, opened.
(() => {
  "use strict";
  const hues = [["#1d5fc4", "#7fb0ff"], ["#b06c00", "#e8b04a"], ["#0f7b6c", "#5fd0bd"], ["#8a3ea8", "#d59bec"], ["#a0304a", "#f191a5"],
    ["#56606e", "#aab3bf"], ["#6b7a00", "#c9d65a"], ["#0b6fa4", "#74c6f2"]];
  const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 2 });
  const whole = new Intl.NumberFormat("en-US", { notation: "compact" });

  const dark = () => getComputedStyle(document.documentElement).colorScheme.includes("dark");
  const ink = (name) => getComputedStyle(document.querySelector(".chart-ink-" + name)).color;

  function read(table) {
    const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows];
    const days = rows.map((row) => {
      const value = row.cells[0].dataset.value;
      return Date.parse(value.length > 10 ? value : value + "T00:00:00Z") / 1000;
    });
    const series = names.map((_, at) => rows.map((row) => {
      const value = row.cells[at + 1].dataset.value;
      return value === "" || value === undefined ? null : Number(value);
    }));
    return { names, days, series };
  }

  function stack(series) {
    const stacked = [];
    for (const one of series) {
      const below = stacked[stacked.length - 1];
      stacked.push(one.map((value, at) => (value ?? 0) + (below ? below[at] : 0)));
    }
    return stacked;
  }

  function draw(figure) {
    const canvas = figure.querySelector(".chart-canvas"), table = figure.querySelector("details table");
    const { names, days, series } = read(table);
    if (!days.length) return;
    const stacked = figure.dataset.kind === "stacked";
    const values = stacked ? stack(series) : series;
    const format = figure.dataset.unit === "usd" ? (v) => dollars.format(v) : (v) => whole.format(v);
    const hourly = figure.dataset.step === "hour";
    const half = days.length > 1 ? (days[1] - days[0]) / 2 : 43200;
    const theme = dark() ? 1 : 0;
    const quiet = ink("quiet"), line = ink("line");
    const bars = uPlot.paths.bars({ size: [0.72, 48] });
    const drawn = names.map((name, at) => {
      const colour = hues[at % hues.length][theme];
      const kind = table.tHead.rows[0].cells[at + 1].dataset.kind;
      const shown = (_, raw, __, row) => row === null || row === undefined ? "—" : format(series[at][row] ?? 0);
      if (kind === "line") return { label: name, stroke: colour, width: 2, dash: [6, 4], points: { show: false }, value: shown };
      return { label: name, stroke: colour, fill: colour, width: 0, paths: bars, points: { show: false }, value: shown };
    });
    // Bars are drawn from the tallest sum to the lowest, so that each covers its own part only.
    const order = stacked ? names.map((_, at) => names.length - 1 - at) : names.map((_, at) => at);
    canvas.replaceChildren();
    const plot = new uPlot({
      width: figure.clientWidth, height: 240, ms: 1e-3,
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
      cursor: { drag: { setScale: false }, y: false },
      scales: { x: { range: (u, min, max) => [min - half, max + half] }, y: { range: (u, min, max) => [Math.min(0, min), (max || 1) * 1.08] } },
      series: [{ label: "Day", value: hourly ? "{YYYY}-{MM}-{DD} {HH}:00" : "{YYYY}-{MM}-{DD}" }, ...order.map((at) => drawn[at])],
      axes: [
        { stroke: quiet, grid: { show: false }, ticks: { stroke: line }, values: hourly ? "{D} {MMM} {HH}:00" : "{D} {MMM}", space: hourly ? 90 : 60 },
        { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 64, values: (_, ticks) => ticks.map(format) },
      ],
    }, [days, ...order.map((at) => values[at])], canvas);
    if (stacked) [...plot.root.querySelectorAll(".u-series")].forEach((row, at) => { row.style.order = -at; });  // as the table
    figure.classList.add("is-drawn");
    figure.plot = plot;
  }

  function all() {
    for (const figure of document.querySelectorAll("figure.chart")) {
      if (figure.plot) figure.plot.destroy();
      draw(figure);
    }
  }

  const probe = document.createElement("div");
  probe.hidden = true;
  for (const name of ["quiet", "line"]) {
    const each = document.createElement("i");
    each.className = "chart-ink-" + name;
    probe.append(each);
  }
  document.body.append(probe);
  all();
  for (const figure of document.querySelectorAll("figure.chart.is-drawn details")) figure.open = false;
  let wait;
  window.addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(all, 150); });
  document.addEventListener("govern:theme", all);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
})();
