"""An HTML page as seen without a browser: its words, its tables, and what would have to be fetched or repaired."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "br", "hr", "img", "input", "link"}


@dataclass
class Page(HTMLParser):
    """Text by table and row, and what a browser would have to fetch or repair."""

    open: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    unnamed: int = 0
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.fetched += [value for name, value in attrs if name in {"src", "srcset", "data", "action", "xlink:href"}]
        self.ids += [given["id"]] if "id" in given else []
        if tag == "a":
            self.targets.append(given["href"])
        if tag == "svg" and not (given.get("role") == "img" and given.get("aria-label")):
            self.unnamed += 1
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if "style" not in self.open:
            self.words += data
        if self.rows and self.rows[-1] and {"td", "th"} & {*self.open}:
            self.rows[-1][-1] += data

    def row(self, *begins: str) -> list[str]:
        """The first row whose cells begin with these."""
        return next(row for row in self.rows if len(row) > len(begins) and tuple(row[: len(begins)]) == begins)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page
