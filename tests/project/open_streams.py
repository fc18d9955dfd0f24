"""Browsers without a browser: signed in over HTTP, with event streams open."""

import http.cookiejar
import re
import urllib.parse
import urllib.request
from http.client import HTTPResponse
from typing import Any

PATIENCE_S = 60


class Visitor:
    """Signed in at `pages`; opens streams at `streams`, where that is another process."""

    def __init__(self, pages: str, username: str, password: str, streams: str = "") -> None:
        self.pages = pages
        self.streams = streams or pages
        cookies = http.cookiejar.CookieJar()
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        self.post("accounts/login/", username=username, password=password)
        self._cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)

    def get(self, path: str) -> str:
        with self._browser.open(f"{self.pages}{path}", timeout=PATIENCE_S) as answer:
            return answer.read().decode()

    def post(self, path: str, **form: str) -> str:
        """Where it leads, with the token of the page at the same address."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path))[1]
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **form}).encode()
        with self._browser.open(f"{self.pages}{path}", data, timeout=PATIENCE_S) as answer:
            return answer.url

    def listen(self, *topics: str, last: str = "") -> "Stream":
        query = urllib.parse.urlencode([("on", topic) for topic in topics])
        headers = {"Cookie": self._cookie, **({"Last-Event-ID": last} if last else {})}
        request = urllib.request.Request(f"{self.streams}live/?{query}", headers=headers)
        return Stream(urllib.request.urlopen(request, timeout=PATIENCE_S))


class Stream:
    def __init__(self, answer: Any) -> None:
        self._answer: HTTPResponse = answer
        self.last = ""

    def event(self) -> tuple[str, str] | None:
        """Name and data of the next one; `None` at a proper end."""
        said: dict[str, str] = {}
        while line := self._answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            said[name] = value
        if not said:
            return None
        self.last = said["id"]
        return said["event"], said.get("data", "")

    def news(self) -> str:
        while (event := self.event())[0] == "beat":
            pass
        return event[1]

    def close(self) -> None:
        self._answer.close()
