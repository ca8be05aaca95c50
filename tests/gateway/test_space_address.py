"""Where a space says that it is reached: over HTTPS, or from this machine alone."""

from __future__ import annotations

import pytest

from gateway.space.serving import SpaceNeedsHttps, space_address


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    "public", ["http://space.example", "http://192.0.2.7:8080", "http://127.evil.example"]
)
def test_a_space_is_not_told_to_the_world_in_clear_whatever_it_listens_on(
    monkeypatch: pytest.MonkeyPatch, public: str, host: str, secure: bool
) -> None:
    monkeypatch.setenv("PASSERELLE_PUBLIC_URL", public)
    with pytest.raises(SpaceNeedsHttps):
        space_address(host, 8000, secure=secure)


@pytest.mark.parametrize(
    "public", ["https://space.example", "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"]
)
def test_an_address_in_https_or_of_this_machine_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, public: str
) -> None:
    monkeypatch.setenv("PASSERELLE_PUBLIC_URL", public)
    assert space_address("127.0.0.1", 8000, secure=False) == public
