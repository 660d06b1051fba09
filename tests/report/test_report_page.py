"""A page carries all it shows: nothing is loaded, nothing runs, names stay names."""

from __future__ import annotations

import pytest

from workbench.report.page import chips, external_loads, page


@pytest.mark.parametrize(
    "markup",
    [
        '<script src="https://cdn.example/require.js"></script>',
        "<script>fetch('/x')</script>",
        '<link rel="stylesheet" href="//fonts.example/inter.css">',
        '<LINK REL="preload" HREF="x.js">',
        '<img src="http://elsewhere.example/a.png">',
        '<img srcset="a.png 1x">',
        '<iframe src="https://a.example"></iframe>',
        "<style>@import 'https://a.example/x.css';</style>",
        '<p style="background: url(https://a.example/x.png)">',
        "<style>body { background: url( 'x.png' ) }</style>",
        '<object data="x.swf"></object>',
        '<video poster="x.png"></video>',
    ],
)
def test_whatever_would_load_or_run_is_found(markup: str) -> None:
    assert external_loads(page(title="t", body=markup)) != []


def test_data_and_links_load_nothing() -> None:
    body = '<img src="data:image/png;base64,AA=="><a href="https://example.org">a</a>'
    body += "<style>b { background: url(data:image/png;base64,AA==) }</style>"
    assert external_loads(page(title="t", body=body)) == []


def test_a_page_forbids_scripts_and_everything_from_elsewhere() -> None:
    text = page(title="t", body="")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_titles_and_labels_are_escaped() -> None:
    assert "<title>&lt;script&gt;</title>" in page(title="<script>", body="")
    assert "<b>a&lt;i&gt;</b> &quot;x&quot;" in chips([("a<i>", '"x"')])
