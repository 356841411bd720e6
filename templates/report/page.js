(() => {
  "use strict";
  const root = document.documentElement;

  // --- light, dark, or as the system says -------------------------------------------------------------------------------
  const themes = ["system", "light", "dark"];
  const button = document.querySelector(".switch");
  const stored = () => { try { return localStorage.getItem("jdrec-theme"); } catch { return null; } };
  const show = (theme) => {
    if (theme === "system") root.removeAttribute("data-theme"); else root.dataset.theme = theme;
    button.textContent = { system: "System", light: "Light", dark: "Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme}. Change`);
  };
  let theme = themes.includes(stored()) ? stored() : "system";
  show(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("jdrec-theme", theme); } catch { /* a page opened from disk may have no storage */ }
    show(theme);
  });

  // --- tables: sort by a column, filter by text --------------------------------------------------------------------------
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text;
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return a === b ? 0 : null; // what has no value stays last
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  };
  for (const heading of document.querySelectorAll("th button")) {
    const cell = heading.closest("th");
    heading.addEventListener("click", () => {
      const body = cell.closest("table").tBodies[0];
      const falling = cell.getAttribute("aria-sort") === "descending" || (!cell.hasAttribute("aria-sort") && !cell.classList.contains("n")) ? "ascending" : "descending";
      for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", falling);
      const sign = falling === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort((a, b) => {
        const [left, right] = [value(a, cell.cellIndex), value(b, cell.cellIndex)];
        const order = compare(left, right);
        return order === null ? (left === "" ? 1 : -1) : sign * order;
      });
      body.append(...rows);
    });
  }
  for (const field of document.querySelectorAll("input[data-filters]")) {
    const table = document.getElementById(field.dataset.filters);
    const count = document.getElementById(`${field.id}-count`);
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        shown += !row.hidden;
      }
      count.textContent = wanted ? `${shown} of ${table.tBodies[0].rows.length}` : "";
    });
  }

  // --- texts to copy ----------------------------------------------------------------------------------------------------
  for (const copy of document.querySelectorAll(".copy")) {
    copy.addEventListener("click", async () => {
      const text = copy.closest(".code").querySelector("pre").textContent;
      try { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; } catch { copy.textContent = "Select and copy"; }
      setTimeout(() => { copy.textContent = "Copy"; }, 1600);
    });
  }

  // --- where we are -----------------------------------------------------------------------------------------------------
  const links = new Map([...document.querySelectorAll(".bar nav a")].map((link) => [link.hash.slice(1), link]));
  const here = () => {
    let current = null;
    for (const id of links.keys()) if (document.getElementById(id).getBoundingClientRect().top < 140) current = id;
    for (const [id, link] of links) if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  };
  addEventListener("scroll", here, { passive: true });
  here();

  // --- charts -----------------------------------------------------------------------------------------------------------
  const tooltip = (() => {
    const element = document.createElement("div");
    element.id = "vg-tooltip-element";
    document.body.append(element);
    return (handler, event, item, content) => {
      if (content == null || content === "") { element.classList.remove("visible"); return; }
      const table = document.createElement("table");
      for (const [key, text] of Object.entries(typeof content === "object" ? content : { "": content })) {
        const row = table.insertRow();
        const name = row.insertCell();
        name.className = "key";
        name.textContent = key;
        row.insertCell().textContent = text;
      }
      element.replaceChildren(table);
      element.classList.add("visible");
      const { offsetWidth: width, offsetHeight: height } = element;
      element.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
      element.style.top = `${event.clientY + height + 20 > innerHeight ? event.clientY - height - 12 : event.clientY + 14}px`;
    };
  })();
  const drawn = new Map();
  const draw = async (plot) => {
    const spec = JSON.parse(document.getElementById(`${plot.id}-spec`).textContent);
    const width = plot.clientWidth;
    const beside = spec.usermeta?.beside;
    if (beside) for (const part of spec.vconcat ?? []) part.width = Math.max(width - beside, 80);
    drawn.get(plot)?.finalize();
    drawn.set(plot, await vegaEmbed(plot, spec, { actions: false, renderer: "svg", defaultStyle: false, tooltip }));
    plot.querySelector("svg")?.setAttribute("focusable", "false");
    plot.dataset.width = width;
    plot.dataset.drawn = "yes";
  };
  const plots = [...document.querySelectorAll(".plot")];
  const failed = (plot) => (error) => { plot.textContent = "This chart cannot be drawn here; its data are below."; console.error(error); };
  Promise.all(plots.map((plot) => draw(plot).catch(failed(plot)))).then(() => { root.dataset.charts = "drawn"; });
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const plot of plots) if (Number(plot.dataset.width) !== plot.clientWidth) draw(plot).catch(failed(plot));
    }, 150);
  });
})();
