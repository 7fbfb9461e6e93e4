// Tables: sorted by their heads, filtered by words.

function startTables() {
  document.querySelectorAll("table.sortable").forEach(table => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    table.querySelectorAll("th").forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => sortBy(table, head, column));
    });
    const filter = table.closest(".scroll").previousElementSibling;
    const [input, status] = [filter.querySelector("input"), filter.querySelector("[role=status]")];
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
        shown += !row.hidden;
      }
      const all = `${rows.length} row${rows.length === 1 ? "" : "s"}`;
      status.textContent = words.length ? `${shown} of ${all}` : all;
    };
    input.addEventListener("input", apply);
    apply();
  });
}

/** The smallest on top, at the second time the largest; rows without a value stay below. */
function sortBy(table, head, column) {
  const down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const key = row => row.cells[column].dataset.value;
  const known = [...body.rows].filter(row => key(row) !== undefined);
  const others = [...body.rows].filter(row => key(row) === undefined);
  const numbers = known.every(row => key(row) !== "" && !Number.isNaN(Number(key(row))));
  known.sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    return (down ? -1 : 1) * (numbers ? a - b : a < b ? -1 : a > b ? 1 : 0);
  });
  body.append(...known, ...others);
}
