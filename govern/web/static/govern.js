// Comforts on top of pages that work without a script: local times, copying, colours, no double sending.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("with-script");

  const minute = 60, hour = 3600, dayLong = 86400;
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const localDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  const near = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

  function sinceText(at) {
    const seconds = Math.round((at - Date.now()) / 1000), size = Math.abs(seconds);
    if (size < 10) return "just now";
    if (size < minute) return near.format(seconds, "second");
    if (size < hour) return near.format(Math.trunc(seconds / minute), "minute");
    if (size < dayLong) return near.format(Math.trunc(seconds / hour), "hour");
    return near.format(Math.trunc(seconds / dayLong), "day");
  }

  function writeTimes(within) {
    for (const each of within.querySelectorAll("time[data-local]")) {
      each.textContent = (each.dataset.local === "day" ? localDay : local).format(new Date(each.dateTime));
    }
    for (const each of within.querySelectorAll("time[data-ago]")) each.textContent = sinceText(new Date(each.dateTime));
  }

  function showCopies(within) {
    for (const each of within.querySelectorAll("[data-copy][hidden]")) each.hidden = false;
  }

  async function copy(button) {
    const target = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom).value : button.dataset.copy;
    try {
      await navigator.clipboard.writeText(target);
    } catch {
      // Without HTTPS there is no clipboard interface; selecting a field and copying still works.
      const field = document.createElement("textarea");
      field.value = target;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    button.classList.add("is-copied");
    const told = button.querySelector("[data-told]");
    if (told) told.textContent = "Copied";
    setTimeout(() => {
      button.classList.remove("is-copied");
      if (told) told.textContent = "Copy";
    }, 2000);
  }

  function chooseTheme(value) {
    const life = value ? 31536000 : 0;
    document.cookie = `govern-theme=${value}; path=/; max-age=${life}; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
    if (value) root.dataset.bsTheme = value;
    else delete root.dataset.bsTheme;
    document.dispatchEvent(new CustomEvent("govern:theme"));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (button) copy(button);
  });
  document.addEventListener("change", (event) => {
    if (event.target.name === "theme") chooseTheme(event.target.value);
  });
  document.addEventListener("input", (event) => {
    const list = event.target.dataset.filters && document.getElementById(event.target.dataset.filters);
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of list.children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
    for (const button of event.target.querySelectorAll("button[type=submit]")) button.classList.add("btn-loading");
  });
  window.addEventListener("pageshow", () => {  // back from the history: the form may be sent again
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll(".btn-loading")) button.classList.remove("btn-loading");
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => { writeTimes(document); showCopies(document); });

  writeTimes(document);
  showCopies(document);
  setInterval(() => writeTimes(document), 30000);
})();
