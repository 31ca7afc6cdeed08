"""Colours and styles of the board: colour-blind safe, readable on light and dark."""

from __future__ import annotations

BASELINE_COLOUR = "#8A8A8A"
"""A grey that shows on white and on near-black: the baseline is the reference, not a competitor."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442")
"""Okabe and Ito's colours (jfly.uni-koeln.de/color) without black, which dark pages hide; yellow last."""

NEUTRAL_COLOUR = "#8A8A8A"
"""For legend symbols that stand for a shape, whatever the colour."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")

THEME = {
    "theme.light.primaryColor": "#0072B2",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F3F5F7",
    "theme.light.textColor": "#1B1F24",
    "theme.dark.primaryColor": "#56B4E9",
    "theme.dark.backgroundColor": "#11151A",
    "theme.dark.secondaryBackgroundColor": "#1A2027",
    "theme.dark.textColor": "#E6E8EA",
}
"""Streamlit options; the browser's own preference picks light or dark."""

STYLE = """<style>
.block-container { padding: 4.5rem 2.5rem 3rem; }
.jl-scroll { overflow-x: auto; }
.jl { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums;
      --rule: color-mix(in srgb, currentColor 14%, transparent); }
.jl caption { caption-side: bottom; text-align: left; opacity: .72; padding-top: .5rem; font-size: .8rem; }
.jl th, .jl td { padding: .35rem .55rem; border: 0; border-bottom: 1px solid var(--rule); text-align: left;
      vertical-align: top; }
.jl thead th { font-weight: 600; vertical-align: bottom;
      border-bottom: 2px solid color-mix(in srgb, currentColor 35%, transparent); }
.jl tbody th { font-weight: 600; }
.jl tr.first ~ tr.first th, .jl tr.first ~ tr.first td {
      border-top: 2px solid color-mix(in srgb, currentColor 28%, transparent); }
.jl .name { overflow-wrap: anywhere; min-width: 6rem; max-width: 15rem; }
.jl .n { text-align: right; }
.jl td.n { white-space: nowrap; }
.jl .wide { overflow-wrap: anywhere; min-width: 11rem; max-width: 26rem; }
.jl tbody tr:hover { background: color-mix(in srgb, currentColor 5%, transparent); }
.jl tr.void .measured { opacity: .55; }
.jl tr.void .measured .value { text-decoration: line-through; }
.jl .sub { display: block; font-size: .75rem; opacity: .72; font-weight: 400; }
.jl-chip { display: inline-block; padding: 0 .4rem; margin: 0 .25rem .15rem 0; border-radius: .6rem;
      font-size: .7rem; line-height: 1.15rem; font-weight: 400; white-space: nowrap; border: 1px solid currentColor; }
.jl-chip.info { border-color: color-mix(in srgb, currentColor 30%, transparent); }
.jl-chip.degraded, .jl-chip.simulated { border-color: #E69F00;
      background: color-mix(in srgb, #E69F00 22%, transparent); }
.jl-chip.void, .jl-chip.failed { border-color: #D55E00; background: color-mix(in srgb, #D55E00 24%, transparent); }
.jl-chip.better { border-color: #009E73; background: color-mix(in srgb, #009E73 20%, transparent); }
.jl-chip.worse { border-color: #D55E00; background: color-mix(in srgb, #D55E00 20%, transparent); }
.jl code { font-size: .78rem; background: color-mix(in srgb, currentColor 9%, transparent); border-radius: .2rem;
      padding: 0 .25rem; }
@media (max-width: 1000px) { [data-testid="stColumn"] { flex: 1 1 100%; min-width: 26rem; } }
.jl-words { font-size: .875rem; margin: 0 0 .3rem; }
</style>"""
"""One style sheet for the tables; colours derive from the page's text colour, so both themes fit."""
