"use strict";
// Tables that are sorted by a click on a heading.

function sortTable(heading) {
  const table = heading.closest("table"), column = heading.cellIndex;
  const falling = heading.getAttribute("aria-sort") !== "descending";
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const key = row => {
    const cell = row.cells[column], value = cell.dataset.value;
    if (value !== undefined) return Number(value);
    const text = cell.textContent.trim();
    return column === 0 || /[a-z]/i.test(text) ? text : null; // null: undefined, always last
  };
  const rows = [...table.tBodies[0].rows].map(row => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b)) : a - b;
    return falling ? -order : order;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const button of document.querySelectorAll(".sortable thead button"))
  button.addEventListener("click", () => sortTable(button.closest("th")));
