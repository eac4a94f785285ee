"use strict";
const form = document.querySelector("form");
const said = document.getElementById("said");
const plots = document.getElementById("plots");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  said.textContent = "Sending ...";
  said.className = "";
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    said.textContent = (await answer.json()).message;
    said.className = answer.ok ? "" : "failed";
  } catch (error) {
    said.textContent = "The server cannot be reached.";
    said.className = "failed";
  }
  plots.src = "latency.svg?" + Date.now();
});
