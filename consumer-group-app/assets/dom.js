// Small helpers. What comes from the network is only ever text: it is never read as HTML.

export const byId = (id) => document.getElementById(id);

/** Sets a text, and touches the page only when it is another. */
export function setText(element, text) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
}

/** Sets an attribute, or takes it away for null, only when that changes something. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, String(value));
  }
}

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

/**
 * Makes the children of `parent` those of `items`, in order. A child whose key stays is kept, and with
 * it what is focused and what is open in it.
 */
export function keyed(parent, items, keyOf, create, update) {
  const known = new Map();
  for (const child of parent.children) known.set(child.dataset.key, child);
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => whole.format(number);
export const compact = (number) => (Math.abs(number) < 10000 ? count(number) : short.format(number));
export const rate = (number) => (number > 0 && number < 100 ? tenths.format(number) : whole.format(number));

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function millis(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 10) return `${tenths.format(ms)} ms`;
  if (ms < 10000) return `${whole.format(ms)} ms`;
  return `${tenths.format(ms / 1000)} s`;
}

/** A span of time as a number and its unit. */
export function span(seconds) {
  if (seconds < 1) return [whole.format(seconds * 1000), "ms"];
  if (seconds < 100) return [seconds < 10 ? tenths.format(seconds) : whole.format(seconds), "s"];
  if (seconds < 6000) return [whole.format(seconds / 60), "min"];
  if (seconds < 172800) return [whole.format(seconds / 3600), "h"];
  return [whole.format(seconds / 86400), "d"];
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** The time of day; with the day when it is not today's. */
export function time(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const today = new Date().toDateString() === date.toDateString();
  return today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}
