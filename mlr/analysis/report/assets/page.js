// The whole page: starts all parts, and redraws in another light, size or on paper.

function drawAll() {
  charts.forEach(chart => chart.draw());
}

/** On paper all is open, narrow and light; the browser redraws no canvas by itself. */
function startPrinting() {
  let closed = [];
  addEventListener("beforeprint", () => {
    if (root.classList.contains("printing")) return;
    root.classList.add("printing");
    closed = [...document.querySelectorAll("main details:not([open])")];
    closed.forEach(one => { one.open = true; });
    drawAll();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    closed.forEach(one => { one.open = false; });
    drawAll();
  });
}

startCurves();
startSensitivity();
startTheory();
startTables();
startPrinting();
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => charts.forEach(chart => chart.fit()), 60);
});
