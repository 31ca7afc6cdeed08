"""Colours can be told apart and text can be read, on light and on dark."""

import pytest

from lab.board.theme import BASELINE_COLOUR, PALETTE, SHAPES, STYLE, THEME

# Okabe and Ito's set, as published; black is left out because dark pages hide it.
OKABE_ITO = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_links_have_enough_contrast(mode):
    background = THEME[f"theme.{mode}.backgroundColor"]

    assert contrast(THEME[f"theme.{mode}.textColor"], background) >= 7
    assert contrast(THEME[f"theme.{mode}.textColor"], THEME[f"theme.{mode}.secondaryBackgroundColor"]) >= 7
    assert contrast(THEME[f"theme.{mode}.primaryColor"], background) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_baseline_can_be_seen_on_both_backgrounds(mode):
    assert contrast(BASELINE_COLOUR, THEME[f"theme.{mode}.backgroundColor"]) >= 3


def test_techniques_use_the_colour_blind_safe_set_only():
    assert set(PALETTE) == OKABE_ITO


def test_shapes_and_colours_are_all_different():
    assert len(set(SHAPES)) == len(SHAPES)
    assert len({*PALETTE, BASELINE_COLOUR}) == len(PALETTE) + 1


def test_the_style_sheet_asks_nobody_for_anything():
    assert "url(" not in STYLE
    assert "@import" not in STYLE
