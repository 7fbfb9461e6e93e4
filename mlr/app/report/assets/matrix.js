// Panels of a pair each, heads below and losses beside each other.

/** The charts of a section's matrix; `describe` gets the place of the pair. */
function matrix(name, describe) {
  const place = section(name).querySelector(".matrix");
  place.style.setProperty("--columns", place.dataset.columns);
  return [...place.querySelectorAll(".panel[data-pair]")].map(figure =>
    new Chart(figure, () => describe(Number(figure.dataset.pair))));
}

/** The loss's name of a pair, in whose units losses are. */
function lossOf(pair) {
  return data.pairs[pair].split(" + ").at(-1);
}
