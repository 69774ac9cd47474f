"""A small real SMTP server: takes what it is handed over, or answers as a test tells it to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass(slots=True)
class SmtpSink:
    """What it took, and how it answers."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)
    port: int = 0
    answer_to_recipient: str = "250 fine"
    hangs_up_after_mail: bool = False
    """Takes the mail and closes the connection instead of saying so."""
    delay_seconds: float = 0.0
    """Before the answer to a mail."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        try:
            while line := (await reader.readline()).decode().strip():
                answer = await self._answer(line, reader, writer)
                if answer is None:
                    break
                writer.write(f"{answer}\r\n".encode())
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async def _answer(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str | None:
        match line.split()[0].upper():
            case "EHLO":
                return "250-sink\r\n250 AUTH PLAIN"
            case "AUTH":
                self.credentials.append(line.split()[-1])
                return "235 welcome"
            case "RCPT":
                self.recipients.append(line.partition("<")[2].rstrip(">"))
                return self.answer_to_recipient
            case "DATA":
                writer.write(b"354 go on\r\n")
                return await self._take(reader)
            case "QUIT":
                writer.write(b"221 bye\r\n")
                return None
        return "250 fine"

    async def _take(self, reader: asyncio.StreamReader) -> str | None:
        data = await reader.readuntil(b"\r\n.\r\n")
        self.mails.append(message_from_bytes(data[:-5], policy=policy.default))
        if self.hangs_up_after_mail:
            return None
        await asyncio.sleep(self.delay_seconds)
        return "250 taken"


@contextmanager
def running_smtp_sink() -> Iterator[SmtpSink]:
    """Run a sink on a port of its own in a thread."""
    sink, ready, loop, stop = SmtpSink(), threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with await asyncio.start_server(sink.talk, "127.0.0.1", 0) as server:
            sink.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
