// Panels of a pair each, heads below and losses next to each other; a matrix a data set.

/** The charts of a section's matrices; `describe` gets the place of the pair. */
function matrix(name, describe) {
  section(name).querySelectorAll(".matrix").forEach(place =>
    place.style.setProperty("--columns", place.dataset.columns));
  return [...section(name).querySelectorAll(".matrix .panel[data-pair]")].map(figure =>
    new Chart(figure, () => describe(Number(figure.dataset.pair))));
}

/** The loss's name of a pair, in whose units losses are. */
function lossOf(pair) {
  return data.losses[pair];
}
