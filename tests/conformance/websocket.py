"""A WebSocket client and server from outside (the package `websockets`), with the gateway between them.

Prints a line for each expectation: `ok NAME` or `not ok NAME: what was seen`. Wrong frames are written by hand, since no
decent client sends them. Like Autobahn's cases: framing, pings, reserved bits, opcodes, fragmentation, UTF-8, close, sizes.
"""

import asyncio
import os
import struct
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

LARGE = 16 * 1024 * 1024
PATIENCE = 30


async def echo(socket):
    """What came goes back; a text `close N` ends the connection with that code."""
    try:
        async for message in socket:
            if isinstance(message, str) and message.startswith("close "):
                await socket.close(int(message[6:]), "as you wish")
                return
            await socket.send(message)
    except ConnectionClosed:
        pass


def frame(opcode, payload, fin=True, reserved=0, mask=True):
    """One frame as it stands on the wire (RFC 6455, 5.2)."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    length, masked = len(payload), 0x80 if mask else 0
    if length < 126:
        head += bytes([masked | length])
    elif length < 65536:
        head += bytes([masked | 126]) + struct.pack(">H", length)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", length)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


class Raw:
    """A client that writes its own frames."""

    @classmethod
    async def open(cls, port):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(
            b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self

    async def read(self):
        """Opcode and payload of the next frame; None at the end."""
        try:
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", await self.reader.readexactly(8))
            return first & 0xF, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None

    async def close_code(self):
        """The code of the close frame that comes next, behind whatever else."""
        while (came := await self.read()) is not None:
            if came[0] == 8:
                return struct.unpack(">H", came[1][:2])[0] if came[1] else 1005
        return "the end without a close frame"


def same(seen, expected):
    assert seen == expected, f"{seen!r}"


async def echoes(url, message):
    async with connect(url, max_size=None, compression=None) as client:
        await client.send(message)
        assert await client.recv() == message, "another message"


async def fragments(url):
    async with connect(url, compression=None) as client:
        await client.send(["one ", "two ", "three"])
        same(await client.recv(), "one two three")


async def compressed(url):
    async with connect(url) as client:
        await client.send("a" * 100_000)
        same(await client.recv(), "a" * 100_000)
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"], "no compression"


async def pings(url):
    async with connect(url) as client:
        for number in range(10):
            await asyncio.wait_for(await client.ping(f"ping {number}"), PATIENCE)


async def many_messages(url):
    async with connect(url) as client:
        for number in range(1000):
            await client.send(str(number))
        for number in range(1000):
            same(await client.recv(), str(number))


async def closes_with(url, code):
    async with connect(url) as client:
        await client.send(f"close {code}")
        try:
            await client.recv()
            assert False, "a message"
        except ConnectionClosed as closed:
            same((closed.rcvd.code, closed.rcvd.reason), (code, "as you wish"))


async def client_closes(url, code):
    async with connect(url) as client:
        await client.close(code, "enough")
        same((client.protocol.close_rcvd.code, client.protocol.close_rcvd.reason), (code, "enough"))


async def upgrades(port):
    raw = await Raw.open(port)
    lines = raw.head.lower().split(b"\r\n")
    same(lines[0], b"http/1.1 101 switching protocols")
    assert b"sec-websocket-accept: icx+yqv66kxggwm6avmysm1jnag=" in b"\r\n".join(lines) or any(
        line.startswith(b"sec-websocket-accept: ") for line in lines
    ), raw.head


async def refused(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    line = await reader.readline()
    assert line.startswith(b"HTTP/1.1 4"), line


async def early_frames(port):
    """A frame in the same write as the handshake reaches the node behind it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + frame(1, b"early")
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    same(await reader.readexactly(7), b"\x81\x05early")


async def raw_echo(port, frames, opcode, payload):
    raw = await Raw.open(port)
    for one in frames:
        raw.writer.write(one)
        await raw.writer.drain()
    same(await raw.read(), (opcode, payload))


async def byte_by_byte(port):
    raw = await Raw.open(port)
    for byte in frame(1, "in \u00e4 small pieces".encode()):
        raw.writer.write(bytes([byte]))
        await raw.writer.drain()
    same(await raw.read(), (1, "in \u00e4 small pieces".encode()))


async def fails_with(port, frames, code):
    raw = await Raw.open(port)
    for one in frames:
        raw.writer.write(one)
    await raw.writer.drain()
    same(await raw.close_code(), code)


async def vanishes(port):
    """When the node is told that a client is gone, it ends its side: the tunnel does not stay."""
    raw = await Raw.open(port)
    raw.writer.write(frame(8, struct.pack(">H", 1000)))
    same(await raw.close_code(), 1000)
    same(await raw.read(), None)


def cases(port):
    url = f"ws://127.0.0.1:{port}/echo"
    yield "the handshake is answered with 101 and its key", upgrades(port)
    yield "a handshake without key and version is the node's to refuse", refused(port)
    yield "a frame right behind the handshake arrives", early_frames(port)
    for size in [0, 1, 125, 126, 127, 128, 65535, 65536, LARGE]:
        yield f"a text of {size} bytes comes back", echoes(url, "x" * size)
        yield f"{size} bytes of binary come back", echoes(url, b"\xfe" * size)
    yield "a text beyond ASCII comes back", echoes(url, "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!! \U0001f600")
    yield "a message in fragments comes back whole", fragments(url)
    yield "a compressed message comes back (permessage-deflate)", compressed(url)
    yield "each ping has its pong", pings(url)
    yield "a thousand messages come back in order", many_messages(url)
    for code in [1000, 1001, 1003, 1008, 1011, 3000, 4999]:
        yield f"the node closes with {code}", closes_with(url, code)
    for code in [1000, 1001, 3999]:
        yield f"the client closes with {code}", client_closes(url, code)
    yield "a frame byte by byte arrives", byte_by_byte(port)
    yield "a ping without payload has its pong", raw_echo(port, [frame(9, b"")], 10, b"")
    yield "a ping of 125 bytes has its pong", raw_echo(port, [frame(9, b"\xff" * 125)], 10, b"\xff" * 125)
    yield "a pong that nobody asked for is passed over", raw_echo(port, [frame(10, b"x"), frame(1, b"y")], 1, b"y")
    ping_between = [frame(1, b"a", fin=False), frame(9, b"now")]
    yield "a ping between fragments has its pong at once", raw_echo(port, ping_between, 10, b"now")
    empty = [frame(1, b"", fin=False), frame(0, b"", fin=False), frame(0, b"")]
    yield "a message of empty fragments comes back", raw_echo(port, empty, 1, b"")
    yield "a ping of 126 bytes ends it with 1002", fails_with(port, [frame(9, b"x" * 126)], 1002)
    yield "a ping in fragments ends it with 1002", fails_with(port, [frame(9, b"x", fin=False)], 1002)
    for reserved in [1, 2, 4]:
        yield f"reserved bits ({reserved}) end it with 1002", fails_with(port, [frame(1, b"x", reserved=reserved)], 1002)
    for opcode in [3, 7, 11, 15]:
        yield f"the reserved opcode {opcode} ends it with 1002", fails_with(port, [frame(opcode, b"")], 1002)
    yield "a frame without mask ends it with 1002", fails_with(port, [frame(1, b"x", mask=False)], 1002)
    yield "a continuation of nothing ends it with 1002", fails_with(port, [frame(0, b"x")], 1002)
    two = [frame(1, b"a", fin=False), frame(1, b"b")]
    yield "a new message before the last ended ends it with 1002", fails_with(port, two, 1002)
    yield "a text that is no UTF-8 ends it with 1007", fails_with(port, [frame(1, b"\xce\xba\xed\xa0\x80")], 1007)
    yield "a close of one byte ends it with 1002", fails_with(port, [frame(8, b"x")], 1002)
    for code in [0, 999, 1004, 1005, 1006, 1016, 2999]:
        bad = [frame(8, struct.pack(">H", code))]
        yield f"a close with the code {code} ends it with 1002", fails_with(port, bad, 1002)
    yield "a close with 1000 is answered, and the connection ends", vanishes(port)


async def main(node, gateway):
    async with serve(echo, "127.0.0.1", node, max_size=None):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for name, case in cases(gateway):
            try:
                await asyncio.wait_for(case, PATIENCE)
                print(f"ok {name}")
            except Exception as error:  # whatever it is, the expectation is not met
                print(f"not ok {name}: {type(error).__name__} {error}".replace("\n", " "))


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
