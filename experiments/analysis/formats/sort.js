// A row is a <tbody>; its values to sort by are in data-values, in the order of the headings. What is unknown comes last.
const table = document.querySelector("table");
const order = [...table.tBodies];
const values = new Map(order.map((body) => [body, JSON.parse(body.dataset.values)]));
for (const button of table.tHead.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const place = Number(button.dataset.place);
    const was = head.getAttribute("aria-sort");
    const now = was === "descending" ? "ascending" : was === "ascending" ? null : "descending";
    for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
    const sorted = [...order];
    if (now) {
      head.setAttribute("aria-sort", now);
      const sign = now === "ascending" ? 1 : -1;
      sorted.sort((a, b) => {
        const x = values.get(a)[place], y = values.get(b)[place];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
      });
    }
    table.append(...sorted);
    document.querySelector("[role=status]").textContent = now
      ? `sorted by ${button.textContent.trim()}, ${now}` : "in the order of the paper";
  });
}
