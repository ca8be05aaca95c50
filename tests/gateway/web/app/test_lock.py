"""Locked by default: every path, whoever comes, with whatever they show; over real HTTP on loopback."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest

from gateway.opening import FILE, Announcement, address_to_open
from gateway.web.app.security import OPEN, cookie_name
from gateway.web.app.sessions import CODE_SECONDS, IDLE_SECONDS, LONGEST_SECONDS, Sessions
from tests.gateway.web.app.conftest import RunningPage

NAME = "Léonie-Apolline"
SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def meters():
    return ()


@pytest.fixture
def client(page: RunningPage) -> Iterator[httpx.Client]:
    """Who has no session."""
    page.add_person(NAME)
    with httpx.Client(base_url=page.url, trust_env=False) as made:
        yield made


class Cookie(httpx.Auth):
    """What a browser shows of its session."""

    def __init__(self, name: str, token: str) -> None:
        self.shown = f"{name}={token}"

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:
        request.headers["cookie"] = self.shown
        yield request


def began(page: RunningPage) -> tuple[Cookie, str]:
    """A session's cookie, and the token of its forms."""
    token = page.sessions.begin(page.sessions.new_code())
    assert token is not None
    session = page.sessions.find(token)
    assert session is not None
    return Cookie(cookie_name(page.port), token), session.csrf


def routes(page: RunningPage) -> list[tuple[str, str]]:
    """Every method and path that the application knows, with something in the place of a number."""
    found = []
    for included in page.app.routes:
        for context in included.effective_route_contexts():
            route = context.original_route
            found += [(method, re.sub(r"{\w+}", "1", route.path)) for method in sorted(route.methods)]
    return found


def test_who_has_no_session_gets_nothing_at_any_path(page: RunningPage, client: httpx.Client) -> None:
    walked = routes(page)
    assert len(walked) > 20
    answered = set()
    for method, path in walked:
        answer = client.request(method, path, headers={"origin": page.url})
        assert NAME not in answer.text
        if answer.status_code != 401:
            answered.add(path)
    assert answered - OPEN == {"/static/1"}
    assert client.get("/nowhere").status_code == 401
    assert client.get("/open").status_code == 401


def test_a_name_of_the_network_that_points_here_is_refused_at_every_path(
    page: RunningPage, client: httpx.Client
) -> None:
    cookies, csrf = began(page)
    for host in (
        "evil.test",
        f"evil.test:{page.port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.nip.io:{page.port}",
    ):
        for method, path in routes(page):
            headers = {"host": host, "origin": f"http://{host}", "x-csrf-token": csrf}
            answer = client.request(method, path, headers=headers, auth=cookies)
            assert (answer.status_code, answer.content) == (421, b"")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_the_names_of_this_machine_are_ours(page: RunningPage, client: httpx.Client, host: str) -> None:
    cookies, _ = began(page)
    answer = client.get("/", headers={"host": f"{host}:{page.port}"}, auth=cookies)
    assert answer.status_code == 200
    assert NAME in answer.text


def forms(page: RunningPage) -> list[str]:
    return [path for method, path in routes(page) if method == "POST" and path != "/code"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.test"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "SAME", "sec-fetch-site": "same-site"},
        {"origin": "SAME", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_form_from_elsewhere_is_refused_everywhere(
    page: RunningPage, client: httpx.Client, headers: dict[str, str]
) -> None:
    cookies, csrf = began(page)
    sent = {name: page.url if said == "SAME" else said for name, said in headers.items()}
    for path in forms(page):
        answer = client.post(path, data={"csrf": csrf}, headers=sent, auth=cookies)
        assert answer.status_code == 403
    assert client.get("/", auth=cookies).status_code == 200  # nothing was closed, nobody erased


@pytest.mark.parametrize("token", [None, "", "wrong", "another's"])
def test_a_form_without_this_sessions_token_is_refused_everywhere(
    page: RunningPage, client: httpx.Client, token: str | None
) -> None:
    cookies, _ = began(page)
    other = began(page)[1] if token == "another's" else token
    for path in forms(page):
        data = {} if other is None else {"csrf": other}
        answer = client.post(
            path,
            content=str(httpx.QueryParams(data)),
            headers={"origin": page.url, "content-type": "application/x-www-form-urlencoded"} | SAME,
            auth=cookies,
        )
        assert answer.status_code == 403


def test_only_a_form_is_taken_and_only_get_and_post(page: RunningPage, client: httpx.Client) -> None:
    cookies, csrf = began(page)
    headers = {"origin": page.url, "x-csrf-token": csrf}
    assert client.post("/close", json={"csrf": csrf}, headers=headers, auth=cookies).status_code == 415
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert client.request(method, "/", headers=headers, auth=cookies).status_code == 405


def test_what_another_page_embeds_or_asks_for_is_refused(page: RunningPage, client: httpx.Client) -> None:
    cookies, _ = began(page)
    for site in ("same-site", "cross-site"):
        embedded = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
        framed = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
        for headers in (embedded, framed):
            assert client.get("/", headers=headers, auth=cookies).status_code == 403


def test_a_page_is_never_kept_framed_nor_runs_what_is_not_ours(
    page: RunningPage, client: httpx.Client
) -> None:
    cookies, _ = began(page)
    headers = client.get("/", auth=cookies).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_code_begins_one_session_once_and_its_cookie_is_for_no_script_and_no_other_site(
    page: RunningPage, client: httpx.Client
) -> None:
    address = page.new_address()
    answer = client.get(address)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(rf"passerelle-{page.port}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", cookie)
    assert "Domain" not in cookie
    client.cookies.clear()
    assert client.get(address).status_code == 401


def test_codes_and_sessions_end() -> None:
    clock = [0.0]
    sessions = Sessions(now=lambda: clock[0])
    late = sessions.new_code()
    clock[0] += CODE_SECONDS + 1
    assert sessions.begin(late) is None
    token = sessions.begin(sessions.new_code())
    for _ in range(int(LONGEST_SECONDS / IDLE_SECONDS * 2) - 1):
        clock[0] += IDLE_SECONDS / 2
        assert sessions.find(token) is not None
    clock[0] += IDLE_SECONDS / 2
    assert sessions.find(token) is None  # used each day, and a week old
    idle = sessions.begin(sessions.new_code())
    clock[0] += IDLE_SECONDS
    assert sessions.find(idle) is None


def test_closing_for_everybody_ends_every_session_and_every_code(
    page: RunningPage, client: httpx.Client
) -> None:
    cookies, csrf = began(page)
    other, _ = began(page)
    waiting = page.new_address()
    client.post("/close", data={"csrf": csrf}, headers={"origin": page.url}, auth=cookies)
    assert client.get("/", auth=cookies).status_code == 401
    assert client.get("/", auth=other).status_code == 401
    assert client.get(waiting).status_code == 401


ANOTHER_USER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(sys.stdin.buffer.read())
    print(connection.recv(200).split(b"\\r\\n")[0].decode())
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root to be another user")
def test_another_user_of_the_computer_is_refused_even_with_the_cookie_or_a_code(page: RunningPage) -> None:
    cookies, _ = began(page)
    for path in ("/", page.new_address().removeprefix(page.url), "/health"):
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nCookie: {cookies.shown}\r\n\r\n"
        told = subprocess.run(
            [sys.executable, "-c", ANOTHER_USER, str(page.port)],
            input=request.encode(),
            capture_output=True,
            check=True,
            timeout=20,
        )
        assert told.stdout.decode().strip() == "HTTP/1.1 403 Forbidden"


def test_no_line_of_the_log_holds_a_token_a_code_or_a_name(
    page: RunningPage, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    address = page.new_address()
    client.get(address)
    client.get("/")
    lines = "\n".join(
        f"{record.getMessage()} {record.__dict__}"
        for record in caplog.records
        if record.name.startswith("passerelle")
    )
    assert "/open" in lines
    for secret in (address.partition("=")[2], client.cookies[cookie_name(page.port)], NAME):
        assert secret not in lines


# --- the program's own user ---------------------------------------------------------------------------


def test_the_programs_own_user_is_given_a_code(page: RunningPage, client: httpx.Client) -> None:
    address = page.wait_for(address_to_open(page.folder))
    assert address is not None
    assert client.get(address).status_code == 303


def test_the_file_that_says_where_is_for_its_owner_only(page: RunningPage) -> None:
    assert stat.S_IMODE((page.folder / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(page.folder.stat().st_mode) == 0o700


def test_who_does_not_know_the_secret_is_given_no_code(page: RunningPage, client: httpx.Client) -> None:
    wrong = Announcement(page.url, "guessed").proof("ask", "n")
    assert client.post("/code", data={"nonce": "n", "proof": wrong}).status_code == 404
    right = page.announcement.proof("ask", "n")
    told = client.post("/code", data={"nonce": "n", "proof": right}, headers={"origin": page.url})
    assert told.status_code == 403  # a browser is no program of ours


class Impostor(BaseHTTPRequestHandler):
    """Another user's program, on the port of a page that has ended."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"code": "x", "proof": "y"}')

    def log_message(self, *_: object) -> None:
        return


def test_another_program_on_the_port_of_a_page_that_ended_is_found_out(page: RunningPage) -> None:
    with HTTPServer(("127.0.0.1", 0), Impostor) as impostor:
        Thread(target=impostor.serve_forever, daemon=True).start()
        told = (page.folder / FILE).read_text()
        (page.folder / FILE).write_text(told.replace(str(page.port), str(impostor.server_port)))
        assert page.wait_for(address_to_open(page.folder)) is None
        impostor.shutdown()
