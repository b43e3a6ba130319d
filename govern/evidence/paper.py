"""Paper: an A4 document in our style, with headings, facts and tables. Knows nothing of evidence."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace, TTFFont

FONTS: Final = Path(__file__).parent / "vendor"
INK, MUTED, LINE, TINT, GREEN, AMBER = (24, 36, 51), (92, 103, 120), (214, 219, 226), (244, 246, 249), (47, 122, 70), (166, 93, 0)
MARGIN: Final = 18.0
"""In millimetres, as all lengths here; sizes of letters are in points."""


class Paper(FPDF):
    """A document. What it is told is drawn as it is; a character that its font has not is written as its code point."""

    def __init__(self, title: str, foot: str, made_at: datetime, *, shaped: bool = True) -> None:
        """`shaped` False where no script needs its letters joined or turned: that is three times as fast."""
        super().__init__(format="A4")
        self.foot, self.substituted = foot, False
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN + 4)
        self.add_font("sans", "", FONTS / "DejaVuSans.ttf")
        self.add_font("sans", "B", FONTS / "DejaVuSans-Bold.ttf")
        self.set_font("sans", size=9)
        self.set_text_shaping(shaped)
        self.set_title(title)
        self.set_lang("en")
        self.set_creator("govern")
        self.set_creation_date(made_at)  # the same facts give the same bytes
        self.add_page()

    def footer(self) -> None:
        """On each page: what this is, and which page of how many."""
        self.set_y(-MARGIN + 4)
        self._pen(7, MUTED)
        self.cell(self.epw - 30, 4, self.drawn(self.foot))
        self.cell(30, 4, f"{self.page_no()} of {{nb}}", align="R")

    def drawn(self, text: object, style: str = "") -> str:
        """The text as it can be drawn: unknown characters, and those that steer the direction of others, as code points."""
        font = self.fonts[f"sans{style}"]
        assert isinstance(font, TTFFont)  # we added it
        said = []
        for char in " ".join(str(text).split()):
            if ord(char) in font.cmap and unicodedata.category(char) not in {"Cf", "Cc", "Co", "Cn"}:
                said.append(char)
            else:
                said.append(f"[U+{ord(char):04X}]")
                self.substituted = True
        return "".join(said)

    def _pen(self, size: float, colour: tuple[int, int, int] = INK, style: str = "") -> None:
        self.set_font("sans", style, size)
        self.set_text_color(*colour)

    def line_of(
        self, text: object, *, size: float = 9, colour: tuple[int, int, int] = INK, style: str = "", after: float = 0
    ) -> None:
        """One paragraph over the whole width."""
        self._pen(size, colour, style)
        self.multi_cell(0, size * 0.52, self.drawn(text, style), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(after)

    def heading(self, text: str, *, needs: float = 28) -> None:
        """A heading, never alone at the foot of a page: it goes with at least `needs` millimetres of what follows."""
        if self.will_page_break(needs):
            self.add_page()
        self.ln(4)
        self.line_of(text, size=12, style="B", after=1.5)

    def banner(self, said: str, more: str, colour: tuple[int, int, int]) -> None:
        """The one sentence that matters, with a bar of its colour beside it."""
        top = self.get_y()
        self.set_left_margin(MARGIN + 5)
        self.set_y(top + 1)
        self.line_of(said, size=11, colour=colour, style="B", after=0.8)
        self.line_of(more, size=9)
        self.set_left_margin(MARGIN)
        self.set_fill_color(*colour)
        self.rect(MARGIN, top, 1.4, self.get_y() - top + 1, style="F")
        self.ln(2)

    def facts(self, rows: Iterable[tuple[str, object]]) -> None:
        """Names and what they are, without lines."""
        self._table(
            None, [[name, value] for name, value in rows if value not in (None, "")], (42, self.epw - 42), muted_first=True
        )

    def grid(
        self, heads: Sequence[str], rows: Sequence[Sequence[object]], widths: Sequence[float], *,
        size: float = 7.5, ids: bool = False,
    ) -> None:  # fmt: skip
        """A table with a head that comes again on each page. `widths` are shares. Cells with long `ids` break anywhere."""
        whole = sum(widths)
        self._table(heads, rows, [self.epw * width / whole for width in widths], size=size, wrap="CHAR" if ids else "WORD")

    def _table(
        self, heads: Sequence[str] | None, rows: Sequence[Sequence[object]], widths: Sequence[float], *,
        size: float = 8.5, muted_first: bool = False, wrap: str = "WORD",
    ) -> None:  # fmt: skip
        self._pen(size)
        self.set_draw_color(*LINE)
        self.set_line_width(0.15)
        self.set_fill_color(255, 255, 255)
        layout = TableBordersLayout.HORIZONTAL_LINES if heads else TableBordersLayout.NONE
        style = FontFace(emphasis="BOLD", color=MUTED, fill_color=TINT)
        with self.table(
            col_widths=tuple(widths), borders_layout=layout, text_align="LEFT", line_height=size * 0.54, width=self.epw,
            padding=(0.9, 1.2) if heads else (0.5, 0), headings_style=style, first_row_as_headings=bool(heads),
            wrapmode=wrap, v_align="TOP",
        ) as table:  # fmt: skip
            if heads:
                table.row([self.drawn(head, "B") for head in heads])
            for row in rows:
                cells = table.row()
                for place, cell in enumerate(row):
                    cells.cell(self.drawn(cell), style=FontFace(color=MUTED) if muted_first and place == 0 else None)
        self.ln(1)
