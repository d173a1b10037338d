"""Draws messages for chats as HTML that looks like the real thing, to be looked at.

`python -m support.chat_drawing FOLDER`, in `tests/`, draws the messages of `chat_examples` there.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from support.browser import launch_chromium, open_watched_page
from support.chat_examples import EXAMPLES, bodies
from support.npm_packages import package_folder

Json = Mapping[str, Any]

_SLACK_STYLE = """
body { font: 15px/1.46 Lato, "Helvetica Neue", Arial, sans-serif; color: #1d1c1d; background: #fff; margin: 0; }
main { width: 640px; padding: 12px 20px; display: grid; grid-template-columns: 36px 1fr; gap: 10px; }
.icon { width: 36px; height: 36px; border-radius: 4px; background: #2f81f7; }
.name { font-weight: 900; } .app { font-size: 10px; background: #ddd; padding: 1px 3px; border-radius: 2px; }
h3 { font-size: 18px; margin: 6px 0; } p { margin: 4px 0 8px; white-space: pre-wrap; }
ul { margin: 0 0 8px; padding-left: 26px; } a { color: #1264a3; text-decoration: none; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; margin-bottom: 8px; white-space: pre-wrap; }
.context { color: #616061; font-size: 13px; margin-top: 4px; }
"""


def slack_page(payload: Json) -> str:
    """A message as Slack shows it, one element after the other."""
    blocks = "".join(_slack_block(block) for block in payload["blocks"])
    head = '<div class="icon"></div><div><span class="name">dora-metrics</span> <span class="app">APP</span> 9:00'
    return f"<!doctype html><meta charset=utf-8><style>{_SLACK_STYLE}</style><main>{head}{blocks}</div></main>"


def _slack_block(block: Json) -> str:
    match block["type"]:
        case "header":
            return f"<h3>{escape(block['text']['text'])}</h3>"
        case "section":
            fields = "".join(f"<div>{_mrkdwn(field['text'])}</div>" for field in block["fields"])
            return f'<p>{_mrkdwn(block["text"]["text"])}</p><div class="fields">{fields}</div>'
        case "context":
            return f'<div class="context">{"".join(escape(element["text"]) for element in block["elements"])}</div>'
        case "rich_text":
            return "".join(_rich_text(element) for element in block["elements"])
        case other:
            raise ValueError(other)


def _rich_text(element: Json) -> str:
    if element["type"] == "rich_text_list":
        items = (f"<li>{_inline(item['elements'])}</li>" for item in element["elements"])
        return f"<ul>{''.join(items)}</ul>"
    return f"<p>{_inline(element['elements'])}</p>"


def _inline(elements: Iterable[Json]) -> str:
    def shown(element: Json) -> str:
        text = escape(element["text"])
        text = f"<b>{text}</b>" if element.get("style", {}).get("bold") else text
        return f'<a href="#">{text}</a>' if element["type"] == "link" else text

    return "".join(map(shown, elements))


def _mrkdwn(text: str) -> str:
    """Our own mrkdwn has bold text only; what it escapes is HTML as well."""
    parts = text.split("*")
    return "".join(f"<b>{part}</b>" if position % 2 else part for position, part in enumerate(parts))


_TEAMS_STYLE = """
body { font: 14px/20px "Segoe UI", system-ui, sans-serif; background: #f5f5f5; margin: 0; }
main { width: 640px; padding: 16px; }
#card { background: #fff; border-radius: 4px; box-shadow: 0 1px 3px #0003; }
"""
_TEAMS_HOST = {
    "spacing": {"small": 4, "default": 8, "medium": 12, "large": 16, "extraLarge": 20, "padding": 12},
    "fontFamily": "Segoe UI, system-ui, sans-serif",
    "containerStyles": {
        "good": {"backgroundColor": "#E7F2DA"},
        "attention": {"backgroundColor": "#FCF4F6"},
        "emphasis": {"backgroundColor": "#F5F5F5"},
    },
    "actions": {"actionsOrientation": "Horizontal", "maxActions": 6, "spacing": "Default", "buttonSpacing": 8},
    "factSet": {"title": {"weight": "Bolder", "wrap": True, "maxWidth": 220}, "value": {"wrap": True}, "spacing": 12},
}


def teams_page(payload: Json) -> str:
    """A card, drawn by Microsoft's own renderer.

    `window.problems` has what it finds wrong with the card, `window.markdown` the texts that it reads as Markdown.
    """
    script = (package_folder("adaptivecards") / "dist" / "adaptivecards.min.js").read_text("utf-8")
    card = json.dumps(payload["attachments"][0]["content"]).replace("<", "\\u003c")
    return f"""<!doctype html><meta charset=utf-8><style>{_TEAMS_STYLE}</style><main><div id="card"></div></main>
<script>{script}</script><script>{{
const card = new AdaptiveCards.AdaptiveCard(), context = new AdaptiveCards.SerializationContext();
window.markdown = [];
AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {{
  window.markdown.push(text);
  Object.assign(result, {{ didProcess: true, outputHtml: text }});
}};
card.hostConfig = new AdaptiveCards.HostConfig({json.dumps(_TEAMS_HOST)});
card.parse({card}, context);
window.problems = [...Array(context.eventCount).keys()].map(index => context.getEventAt(index).message);
document.getElementById('card').append(card.render());
window.problems.push(...card.validateProperties().validationEvents.map(event => event.message));
}}</script>"""


def draw(folder: Path) -> None:
    """Draw every example as Slack and Teams show it."""
    pages = {"slack": slack_page, "teams": teams_page}
    with launch_chromium() as browser, open_watched_page(browser, device_scale_factor=1.5) as watched:
        for name, shape_input in EXAMPLES.items():
            for shape, page_of in pages.items():
                for number, body in enumerate(bodies(shape, shape_input())):
                    watched.page.set_content(page_of(json.loads(body)))
                    watched.page.locator("main").screenshot(path=folder / f"{name}-{number}-{shape}.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
