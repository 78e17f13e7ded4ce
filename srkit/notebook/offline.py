"""An executed notebook as one HTML file that needs no network: equations are MathML, which browsers
draw by themselves, and no script is loaded."""

from typing import Any

from jinja2 import DictLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

PAGE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}<style>
  div.math { display: flex; align-items: center; overflow-x: auto; margin: 1em 0; }
  div.math > math { flex: 1; }
  math { font-size: 1.15em; }
  summary { margin: 5px 72px; font: 13px system-ui, sans-serif; }
</style>{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block input_group %}{% if 'hide-input' in cell.metadata.get('tags', []) %}
<details><summary>Show code cell source</summary>{{ super() }}</details>
{% else %}{{ super() }}{% endif %}{% endblock %}"""


def equation(text: str) -> str:
    """An equation that stands by itself, with the number of its \\tag at the right."""
    text, tag, number = text.partition(r"\tag")
    number = f"<span>({number.strip(' {}')})</span>" if tag else ""
    return f'<div class="math">{convert(text, display="block")}{number}</div>'


class Renderer(IPythonRenderer):
    """Markdown with its equations drawn."""

    def block_math(self, body: str) -> str:
        return equation(body)

    def inline_math(self, body: str) -> str:
        return convert(body)


class Exporter(HTMLExporter):
    """nbconvert's, without what it would load, and with long cells of imports folded."""

    def __init__(self, **options: Any):
        loader = DictLoader({"offline.html.j2": PAGE})
        super().__init__(extra_loaders=[loader], template_file="offline.html.j2", **options)

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        renderer = Renderer(escape=False, anchor_link_text="")
        return MarkdownWithMath(renderer=renderer).render(source)


def as_html(notebook: NotebookNode, theme: str = "light") -> str:
    """A notebook as a page that is complete by itself, "light" or "dark"."""
    page, _ = Exporter(theme=theme).from_notebook_node(notebook)
    return page
