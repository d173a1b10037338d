"""The browser fixture itself: nothing reaches the network, and every complaint is recorded."""

from playwright.sync_api import Browser

from support.browser import open_watched_page


def test_an_address_outside_is_noted_and_not_reached(browser: Browser) -> None:
    with open_watched_page(browser) as found:
        found.page.set_content("<img src='http://127.0.0.1:9/pixel.png'>")

        assert found.requested_urls == ["http://127.0.0.1:9/pixel.png"]


def test_an_error_of_a_script_is_noted(browser: Browser) -> None:
    with open_watched_page(browser) as found:
        found.page.set_content("<script>console.error('lost'); undefined.length</script>")

        assert found.complaints[0] == "lost"
        assert "undefined" in found.complaints[1]
