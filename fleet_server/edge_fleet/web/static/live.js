// Keeps an open page up to date: on news of a kind the page names, asks for the page again and swaps its main part.
"use strict";

const main = document.getElementById("main");
const kinds = new Set((main.dataset.live || "").split(" ").filter(Boolean));
const sign = document.querySelector(".live");
let waiting = false;
let again = false;

function show(state, word) {
  if (!sign) return;
  sign.dataset.state = state;
  sign.querySelector(".live-word").textContent = word;
}

async function refresh() {
  if (waiting) {
    again = true;
    return;
  }
  waiting = true;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
    if (answer.redirected) {
      location.reload();
      return;
    }
    if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main"));
  } catch {
    show("off", "offline");
  }
  setTimeout(() => {
    waiting = false;
    if (again) {
      again = false;
      refresh();
    }
  }, 700);
}

function swap(fresh) {
  // A person who is about to press a button or has selected text keeps what is under the hand.
  const busy = main.contains(document.activeElement) && document.activeElement.matches("button, input");
  if (!fresh || busy || String(getSelection())) return;
  const tables = [...main.querySelectorAll(".scroll")].map((table) => table.scrollLeft);
  main.replaceChildren(...fresh.childNodes);
  main.querySelectorAll(".scroll").forEach((table, index) => { table.scrollLeft = tables[index] || 0; });
}

function tellAgo() {
  for (const time of main.querySelectorAll("time[data-ago]")) {
    const seconds = Math.max((Date.now() - Date.parse(time.dateTime)) / 1000, 0);
    const [size, word] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => seconds >= size) || [1, "s"];
    time.textContent = `${Math.round(seconds / size)} ${word} ago`;
  }
}

document.addEventListener("submit", (event) => {
  const button = event.target.querySelector("[data-confirm]");
  if (button && !confirm(button.dataset.confirm)) event.preventDefault();
});

if (kinds.size) {
  const source = new EventSource("/live");
  source.onopen = () => { show("on", "live"); refresh(); };
  source.onerror = () => show("off", "reconnecting");
  source.onmessage = (event) => { if (kinds.has(JSON.parse(event.data).changed)) refresh(); };
  addEventListener("beforeunload", () => source.close());
  setInterval(tellAgo, 5000);
}
