"""What tests of HTML pages share."""

from html.parser import HTMLParser

HOSTILE = "<script>a|b 50%_x&y</script> {$^~\\#} *[m](x)*"


class Tags(HTMLParser):
    """Collects tags and text, and checks that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        assert "src" not in given, "nothing from elsewhere"
        assert (given.get("href") or "#").startswith("#"), "nothing from elsewhere"
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data
