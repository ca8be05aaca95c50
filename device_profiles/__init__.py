"""What devices say: bytes in, dataclasses out. Pure: no I/O, no clock, no asyncio."""
