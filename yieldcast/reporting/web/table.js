// A table that sorts by every column, filters by text and state, and shows a page at a time.
// columns: [{key, label, value(row), cell(row), text, fields}]; fields are its columns [{label, unit, value(row)}] in a CSV
// file, by default the column itself. options: name, rows, pinned, search(row), states, pageSize.
class DataTable {
  constructor(columns, options) {
    Object.assign(this, { columns, options, text: "", state: "", page: 0, pageSize: options.pageSize ?? Infinity });
    this.sort = options.sort ?? { key: columns[0].key, falling: false };
    this.body = el("tbody");
    this.status = el("p", { class: "quiet", "aria-live": "polite" });
    this.pager = el("div", { class: "pager" });
    this.saver = downloadButton(t("Table (CSV)"), () => this.save());
    this.heads = new Map(columns.map((column) => [column.key, this.head(column)]));
    const scroll = el(
      "div",
      {
        class: "scroll",
        tabindex: "0",
        role: "region",
        "aria-label": t("{name}, a table that scrolls sideways", { name: options.name }),
      },
      el(
        "table",
        { id: options.id },
        el("caption", { class: "unseen" }, options.name),
        el("thead", {}, el("tr", {}, ...this.heads.values())),
        this.body,
      ),
    );
    this.node = el(
      "div",
      { class: "table-block" },
      this.controls(),
      scroll,
      el("div", { class: "under-table" }, this.pager, this.saver),
    );
    this.fill();
  }

  head(column) {
    const button = el(
      "button",
      { type: "button", onclick: () => this.sortBy(column.key) },
      column.label,
      el(
        "span",
        { class: column.unit ? "unit" : "" },
        column.unit ?? "",
        el("span", { class: "arrow", "aria-hidden": "true" }),
      ),
    );
    return el(
      "th",
      { scope: "col", class: column.text ? "text" : "num", "data-key": column.key },
      column.value ? button : column.label,
    );
  }

  controls() {
    const { id, states, search } = this.options;
    if (!search) return null;
    const text = el("input", {
      id: `${id}-filter`,
      type: "search",
      placeholder: t("name or abbreviation"),
      autocomplete: "off",
    });
    text.addEventListener("input", () => this.change({ text: text.value }));
    const parts = [el("label", { for: `${id}-filter` }, t("Filter")), text];
    if (states) {
      const choice = el(
        "select",
        { id: `${id}-state` },
        el("option", { value: "" }, t("all states")),
        states.map((state) =>
          el("option", { value: state }, STATE_NAMES[state] ? `${state} · ${STATE_NAMES[state]}` : state),
        ),
      );
      choice.addEventListener("change", () => this.change({ state: choice.value }));
      parts.push(el("label", { for: `${id}-state` }, t("State")), choice);
    }
    return el("div", { class: "controls" }, parts, this.status);
  }

  change(settings) {
    Object.assign(this, settings, { page: settings.page ?? 0 });
    this.fill();
  }

  sortBy(key) {
    const column = this.columns.find((one) => one.key === key);
    // First A to Z for texts and largest first for numbers; a second click reverses the order.
    const falling = this.sort.key === key ? !this.sort.falling : !column.text;
    this.change({ sort: { key, falling } });
  }

  wanted() {
    const { rows, search, states } = this.options,
      wanted = plain(this.text).trim();
    const column = this.columns.find((one) => one.key === this.sort.key),
      turn = this.sort.falling ? -1 : 1;
    const kept = rows.filter(
      (row) => (!wanted || plain(search(row)).includes(wanted)) && (!states || !this.state || row.state === this.state),
    );
    const missing = (value) => value === null || value === undefined || value === "";
    return kept
      .map((row) => [column.value(row), row])
      .sort(([a], [b]) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b); // missing values come last in both orders
        return turn * (typeof a === "string" ? a.localeCompare(b, language.locale) : a - b);
      })
      .map(([, row]) => row);
  }

  // The rows that are wanted now, on all pages, in their order.
  save() {
    const fields = this.columns.flatMap((one) => one.fields ?? (one.value ? [one] : []));
    const head = fields.map(({ label, unit }) => (unit ? `${label} (${unit})` : label));
    const rows = [...(this.options.pinned ?? []), ...this.wanted()];
    save(fileName(this.options.name, "csv"), csv(head, rows.map((row) => fields.map((one) => one.value(row)))));
  }

  fill() {
    const rows = this.wanted(),
      pages = Math.max(Math.ceil(rows.length / this.pageSize), 1);
    this.page = Math.min(this.page, pages - 1);
    const from = this.pageSize === Infinity ? 0 : this.page * this.pageSize,
      shown = rows.slice(from, from + this.pageSize);
    const empty = el("tr", {}, el("td", { colspan: this.columns.length, class: "text quiet" }, t("no rows")));
    this.body.replaceChildren(
      ...(this.options.pinned ?? []).map((row) => this.row(row, "pinned")),
      ...(shown.length ? shown.map((row) => this.row(row)) : [empty]),
    );
    for (const [key, head] of this.heads) {
      if (key === this.sort.key) head.setAttribute("aria-sort", this.sort.falling ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const paged = { from: number(from + 1), to: number(from + shown.length), n: number(rows.length) };
    this.status.textContent = !rows.length
      ? t("no rows")
      : pages > 1
        ? t("{from} to {to} of {n}", paged)
        : t("{n} of {all}", { n: paged.n, all: number(this.options.rows.length) });
    this.fillPager(pages);
  }

  row(row, kind) {
    return el(
      "tr",
      { class: kind, "data-row": row.code ?? row.name },
      this.columns.map((column, k) =>
        el(k ? "td" : "th", { class: column.text ? "text" : "num", scope: k ? null : "row" }, column.cell(row)),
      ),
    );
  }

  fillPager(pages) {
    if (pages === 1) return this.pager.replaceChildren();
    const turn = (step, label) =>
      el(
        "button",
        {
          type: "button",
          disabled: this.page + step < 0 || this.page + step >= pages,
          onclick: () => {
            this.change({ page: this.page + step });
            this.pager.querySelector("button:not([disabled])")?.focus();
          },
        },
        label,
      );
    this.pager.replaceChildren(
      turn(-1, t("Previous")),
      el("span", {}, `${number(this.page + 1)} / ${number(pages)}`),
      turn(1, t("Next")),
    );
  }
}
