"""Virtual devices as real Bluetooth peripherals: GATT, ATT and SMP by Bumble, only the air is made up.

For a gateway in this process:

    async with virtual_radio([device], on_passkey=show) as air:
        async with open_radio(air.transport(), home) as radio: ...

For gateways in other processes (`PASSERELLE_BLE=bumble:tcp-client:127.0.0.1:9000`), one after another or at
once, each with an adapter of its own:

    async with served_virtual_radio([device], 9000, on_passkey=show): ...
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport.common import PacketParser, Transport

from device_profiles.virtual_device import VirtualDevice
from gateway.ble.errors import RadioPortTaken, RadioUnavailable
from gateway.ble.virtual_peripheral import Peripheral, ShowPasskey

logger = logging.getLogger(__name__)


class Air(LocalLink):
    """What carries packets between controllers; a device can be taken out of range.

    Mends of Bumble 0.0.236: data is labelled with the address that the connection was made with (Bumble
    takes the sender's random one, so a peer that connected with its public address never gets an answer),
    and a goodbye to somebody who has left is no error.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.away: set[Controller] = set()
        self.held: set[Controller] = set()
        """Heard by everybody, and taking no connection: somebody else's."""

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry data along a connection."""
        connection = sender_controller.le_connections.get(destination_address)
        receiver = self.find_le_controller(destination_address)
        if connection and receiver and self.away.isdisjoint((sender_controller, receiver)):
            asyncio.get_running_loop().call_soon(
                receiver.on_link_acl_data, connection.self_address, transport, data
            )

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        """Carry an advertisement, or an answer to one, to whoever listens."""
        if sender_controller not in self.away:
            super().send_advertising_pdu(sender_controller, packet)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Carry a packet of the link layer."""
        receiver = self.find_le_controller(receiver_address)
        if receiver and self.away.isdisjoint((receiver, self.find_le_controller(sender_address))):
            super().send_ll_control_pdu(sender_address, receiver_address, packet)

    def lose(self, controller: Controller) -> None:
        """Put a controller out of range: both sides see their supervision timeouts run out."""
        self.away.add(controller)
        for connection in list(controller.le_connections.values()):
            peer = self.find_le_controller(connection.peer_address)
            controller.on_le_disconnected(connection, hci.HCI_CONNECTION_TIMEOUT_ERROR)
            if peer and (theirs := peer.le_connections.get(connection.self_address)):
                peer.on_le_disconnected(theirs, hci.HCI_CONNECTION_TIMEOUT_ERROR)

    def take_out(self, controller: Controller) -> None:
        """Remove a controller whose host has gone: its peers see the links end."""
        for connection in list(controller.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR))
        controller.le_legacy_advertiser.stop()
        for advertising_set in controller.advertising_sets.values():
            advertising_set.stop()
        self.controllers.discard(controller)


class Adapter(Controller):
    """The controller of a gateway.

    Mends of Bumble 0.0.236: it answers the cancelling of a connection attempt but keeps the attempt, so that
    the next one is refused, and never sends the event that ends a cancelled attempt. And of two that answer
    one advertisement both believe that they are connected: here the second waits for the next.
    """

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Answer an advertisement, unless somebody was faster, or holds the peer."""
        air = self.link
        held = isinstance(air, Air) and air.find_le_controller(peer_address) in air.held
        if not held and not any(peer_address in other.le_connections for other in air.controllers):
            super().create_le_connection(peer_address)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """End the pending attempt, as Core Vol 4 Part E §7.8.13 says."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        cancelled = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, cancelled)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


class _AdapterTransport(Transport):
    """The way to an adapter in the same process; closing it takes the adapter out of the air."""

    def __init__(self, adapter: Adapter, air: Air) -> None:
        super().__init__(adapter, adapter)
        self._adapter, self._air = adapter, air

    async def close(self) -> None:
        """Take the adapter out."""
        self._air.take_out(self._adapter)


class VirtualRadio:
    """An air with virtual devices in it."""

    def __init__(self, air: Air, peripherals: tuple[Peripheral, ...]) -> None:
        self.air = air
        self.peripherals = peripherals
        self.plugged_in = True
        self._adapters = 0

    def adapter(self) -> Adapter:
        """A controller for one more gateway, with a public address of its own."""
        self._adapters += 1
        address = hci.Address(f"F0:0D:CA:FE:00:{self._adapters % 256:02X}", hci.Address.PUBLIC_DEVICE_ADDRESS)
        return Adapter(f"adapter {self._adapters}", link=self.air, public_address=address)

    def transport(self) -> Transport:
        """What a gateway in this process opens as its radio, once. Raises RadioUnavailable if unplugged."""
        if not self.plugged_in:
            raise RadioUnavailable
        return _AdapterTransport(self.adapter(), self.air)

    def unplug(self) -> None:
        """Take the adapters of all gateways out of their machines, and let no other in until `plug_in`."""
        self.plugged_in = False
        for adapter in [each for each in self.air.controllers if isinstance(each, Adapter)]:
            self.air.lose(adapter)
            self.air.take_out(adapter)
            if not adapter.terminated.done():
                adapter.terminated.set_result(None)

    def plug_in(self) -> None:
        """Put them back: gateways open them anew."""
        self.plugged_in = True

    def lose(self, peripheral: Peripheral) -> None:
        """Carry a device out of range."""
        self.air.lose(peripheral.controller)

    def bring_back(self, peripheral: Peripheral) -> None:
        """Carry it back."""
        self.air.away.discard(peripheral.controller)

    def hold(self, peripheral: Peripheral) -> None:
        """Let another phone have a device: it is heard, and takes no connection from here on."""
        self.air.held.add(peripheral.controller)

    def let_go(self, peripheral: Peripheral) -> None:
        """End that."""
        self.air.held.discard(peripheral.controller)


@asynccontextmanager
async def virtual_radio(
    devices: Sequence[VirtualDevice], on_passkey: ShowPasskey | None = None
) -> AsyncIterator[VirtualRadio]:
    """Put devices on an air of their own, advertising, until the end of the block.

    `on_passkey(device, digits)` is called when a device shows six digits to whoever pairs with it.
    """
    air = Air()
    async with AsyncExitStack() as stack:
        peripherals = []
        for number, device in enumerate(devices, start=1):
            controller = Controller(f"peripheral {number}", link=air)
            stack.callback(air.take_out, controller)
            peripheral = Peripheral(device, number, controller, on_passkey)
            stack.push_async_callback(peripheral.stop)
            await peripheral.start()
            peripherals.append(peripheral)
        yield VirtualRadio(air, tuple(peripherals))


class _Gateway(asyncio.Protocol):
    """One gateway that came over TCP, and its adapter: HCI packets in H4 framing (Core Vol 4 Part A)."""

    def __init__(self, radio: VirtualRadio, served: set[_Gateway]) -> None:
        self._radio, self._served = radio, served
        self._parser = PacketParser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it an adapter."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server hands out
        self._transport = transport
        if not self._radio.plugged_in:
            transport.close()
            return
        self._adapter = self._radio.adapter()
        self._adapter.host = self
        self._adapter.terminated.add_done_callback(lambda _: self.close())
        self._parser.set_packet_sink(self._adapter)
        self._served.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Take its adapter out, however it went."""
        del error
        if self in self._served:
            self._radio.air.take_out(self._adapter)
        self._served.discard(self)

    def data_received(self, data: bytes) -> None:
        """Packets from the gateway's host."""
        try:
            self._parser.feed_data(data)
        except ValueError:
            logger.warning("A program that speaks no HCI connected to the virtual radio; it is sent away.")
            self.close()

    def on_packet(self, packet: bytes) -> None:
        """A packet from the adapter."""
        if not self._transport.is_closing():
            self._transport.write(packet)

    def close(self) -> None:
        """Send the gateway away."""
        self._transport.close()


@asynccontextmanager
async def served_virtual_radio(
    devices: Sequence[VirtualDevice],
    port: int,
    on_passkey: ShowPasskey | None = None,
    on_gateway: Callable[[], None] | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[int]:
    """Put devices on an air that other processes reach on a TCP port; yields the port (0 chooses one).

    `on_gateway()` is called for each gateway that comes. Raises RadioPortTaken.
    """
    async with virtual_radio(devices, on_passkey) as radio, served(radio, port, on_gateway, host) as taken:
        yield taken


@asynccontextmanager
async def served(
    radio: VirtualRadio, port: int, on_gateway: Callable[[], None] | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Let other processes reach an air on a TCP port; yields the port. Raises RadioPortTaken."""
    gateways: set[_Gateway] = set()

    def come() -> _Gateway:
        if on_gateway:
            on_gateway()
        return _Gateway(radio, gateways)

    try:
        server = await asyncio.get_running_loop().create_server(come, host, port)
    except OSError as error:
        raise RadioPortTaken(port=port) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for gateway in list(gateways):
            gateway.close()
        await server.wait_closed()
