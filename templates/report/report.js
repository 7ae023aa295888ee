"use strict";
const button = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const shown = () => document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
const label = () => {
  button.textContent = shown() === "dark" ? "Light" : "Dark";
};
button.addEventListener("click", () => {
  document.documentElement.dataset.theme = shown() === "dark" ? "light" : "dark";
  label();
});
dark.addEventListener("change", label);
button.hidden = false;
label();
