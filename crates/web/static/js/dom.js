// Builds and updates the document. Owns the one rule that keeps data harmless: data becomes text nodes and attributes, never
// markup. Knows nothing of what the page shows.

/**
 * Makes an element. Attributes that begin with `on` are listeners; `true` and `false` are boolean attributes; `null` leaves an
 * attribute out. Children are elements or text.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else setAttribute(made, key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets, or for `null` and `false` removes, one attribute; writes only what differs, so that nothing is painted twice. */
export function setAttribute(target, name, value) {
  if (value === null || value === undefined || value === false) {
    target.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (target.getAttribute(name) !== text) target.setAttribute(name, text);
}

/** Sets the text of an element, if it differs. */
export function setText(target, text) {
  const wanted = text ?? "";
  if (target.textContent !== wanted) target.textContent = wanted;
}

/**
 * Keeps the children of `container` equal to a list of items. A row lives as long as its key is in the list, so focus,
 * selection and a moving progress bar survive every update. `create(item)` gives `{ element, update(item) }`.
 */
export function keyedList(container, key, create) {
  const rows = new Map();
  return (items) => {
    const wanted = new Map(items.map((item) => [key(item), item]));
    for (const [name, row] of rows) {
      if (!wanted.has(name)) {
        row.element.remove();
        rows.delete(name);
      }
    }
    let place = container.firstElementChild;
    for (const [name, item] of wanted) {
      if (!rows.has(name)) rows.set(name, create(item));
      const row = rows.get(name);
      row.update(item);
      if (row.element === place) place = place.nextElementSibling;
      else container.insertBefore(row.element, place);
    }
  };
}

/** A label and its control, tied together. */
export function field(label, control, { hint = null, hidden = false } = {}) {
  const text = element("span", { class: hidden ? "visually-hidden" : "field-label" }, label);
  const below = hint === null ? null : element("span", { class: "field-hint" }, hint);
  return element("label", { class: "field" }, text, control, below);
}

/** A select box; `choices` are pairs of value and text. */
export function select(choices, attributes = {}) {
  const made = element("select", attributes);
  setChoices(made, choices);
  return made;
}

/** Replaces the choices, if they differ (an open list would close), and keeps the one that is chosen, where it still exists. */
export function setChoices(target, choices) {
  const same = [...target.options].map((option) => [option.value, option.textContent]);
  if (JSON.stringify(same) === JSON.stringify(choices)) return;
  const chosen = target.value;
  target.replaceChildren(...choices.map(([value, text]) => element("option", { value }, text)));
  if (choices.some(([value]) => value === chosen)) target.value = chosen;
}

/** Calls `action` once, `milliseconds` after the last of several calls. */
export function afterQuiet(milliseconds, action) {
  let timer = 0;
  return (...parameters) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...parameters), milliseconds);
  };
}
