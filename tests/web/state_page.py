"""What a person reads on the page of a state."""

from tests.web.pages import read


def opened(browser, told, **query):
    response = browser.get(told.url, query)
    assert response.status_code == 200
    return read(response)


def rows(page):
    """Depth, name, status and duration of each step that is shown."""
    return [
        (
            int(step.attrs["data-depth"]),
            step.one("summary").one("code").text,
            step.one("span", class_="step-status").text,
            step.one("summary").one("span", class_="step-time").text,
        )
        for step in page.all("details", class_="step")
    ]


def row(page, name):
    [found] = [
        step for step in page.all("details", class_="step") if step.one("summary").one("code").attrs["title"] == name
    ]
    return found


def tab_counts(page):
    return {
        link.text.split()[0]: link.one("span", class_="count").text for link in page.one("nav", class_="tabs").all("a")
    }


def notice_texts(page):
    return [one.text for one in page.all("div", class_="notice") if "hidden" not in one.attrs]
