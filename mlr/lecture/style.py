"""The lecture's own part of its stylesheet."""

from __future__ import annotations

from mlr.analysis.webpage import BASE

CSS = (
    BASE
    + """
.introduction { max-width: 68rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 3rem); }
.introduction ul { margin: 0; padding-left: 1.2em; }
.introduction dl { margin: 0; }
.introduction dl div { display: flex; flex-wrap: wrap; gap: 0 1em; padding: .12em 0; }
.introduction dt { flex: 0 0 12.5em; color: var(--soft); }
.introduction dd { flex: 1 1 16em; margin: 0; }
sub { font-size: .72em; line-height: 0; }
h2:has(+ .original) { margin-bottom: .4em; }
.original { margin: 0 0 1.6em; color: var(--soft); }
nav ol { list-style: none; margin: 0; padding: 0; columns: 2 19rem; column-gap: 3rem; }
nav li { break-inside: avoid; display: flex; gap: .7em; padding: .16em 0; }
nav li a { text-decoration: none; color: inherit; flex: 1; }
nav li a:hover { text-decoration: underline; }
nav .mark { font-weight: 700; }
nav .which { min-width: 1.6em; text-align: right; color: var(--soft);
  font-variant-numeric: tabular-nums; }
figure { margin: 0 0 1.6em; }
.drawing { overflow-x: auto; }
.drawing svg { display: block; width: 100%; height: auto; max-height: 78vh; }
.drawing text { font-family: inherit !important; }
figcaption { display: flex; flex-wrap: wrap; gap: .2em 1.2em; align-items: baseline;
  font-size: .74em; color: var(--soft); margin-top: .5em; }
td:nth-child(1) { width: 58%; }
td:last-child, th:last-child { padding-right: 0; white-space: nowrap; font-weight: 600; }
table + table { margin-top: 2.2rem; }
.published td:nth-child(1) { width: 48%; }
@media (min-width: 60rem) {
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem;
    margin-inline: calc(-.5 * max(0rem, min(100vw, 88rem) - 68rem)); }
}
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  tr { border-bottom: 1px solid var(--rule); padding: .6em 0; }
  td, td:nth-child(1) { border: 0; padding: .08em 0; width: auto; }
  td:nth-child(2)::before { content: "measured: "; color: var(--soft); }
  .published td:nth-child(1) { width: auto; }
  .published td:nth-child(2)::before { content: "published: "; }
  .published td:nth-child(3)::before { content: "here: "; color: var(--soft); }
  .published td:nth-child(4):not(:empty)::before { content: "difference: "; color: var(--soft); }
  .wide svg { min-width: 50rem; }
  .above .steps { margin-left: 0; width: 100%; }
}
@media print {
  nav, .steps { display: none; }
  section { break-before: page; border: 0; }
  figure, tr { break-inside: avoid; }
}
"""
)
