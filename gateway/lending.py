"""The one radio of a gateway's process: opened when it is needed, used by one at a time, handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from device_profiles.errors import PasserelleError
from gateway.ble.errors import RadioUnavailable
from gateway.ble.radio import Radio

Opening = Callable[[], AbstractAsyncContextManager[Radio]]
"""Opens a radio. Raises RadioBusy, RadioUnavailable."""


class OneRadio:
    """Stays open between two uses, so that a window of listening begins at once."""

    def __init__(self, opening: Opening, on_asked: Callable[[], None]) -> None:
        """`on_asked` is called when somebody waits: whoever uses it may then come to an end."""
        self._opening = opening
        self._on_asked = on_asked
        self._turn = asyncio.Lock()
        self._open = AsyncExitStack()
        self._radio: Radio | None = None
        self._waiting = 0

    @property
    def asked(self) -> bool:
        """Whether somebody of this process waits for it."""
        return self._waiting > 0

    @property
    def wanted(self) -> bool:
        """Whether a process that is not this one waits for it."""
        return self._radio is not None and self._radio.wanted

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Radio]:
        """The radio, in turn. One that no longer answers is closed with the block.

        Raises RadioBusy, RadioUnavailable.
        """
        self._waiting += 1
        self._on_asked()
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            radio = await self._opened()
            try:
                yield radio
            except RadioUnavailable:
                await self._close()
                raise
            finally:
                if radio.gone:
                    await self._close()
        finally:
            self._turn.release()

    async def close(self) -> None:
        """Close it and let others have it, once nobody here uses it; it is opened again when it is needed."""
        async with self._turn:
            await self._close()

    async def _opened(self) -> Radio:
        if self._radio is not None and self._radio.gone:
            await self._close()
        if self._radio is None:
            async with AsyncExitStack() as opening:
                self._radio = await opening.enter_async_context(self._opening())
                self._open = opening.pop_all()
        return self._radio

    async def _close(self) -> None:
        self._radio = None
        try:
            await self._open.pop_all().aclose()
        except (PasserelleError, OSError):
            return  # it is gone, however badly it went
