#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bottega on a terminal: the progress bar, and chat's Ctrl-C.

usage: terminal.py BUILD_FOLDER MODEL
"""
import os
import pty
import select
import signal
import sys
import time

build, model = sys.argv[1:]
flags = ["-m", model, "--module", f"{build}/test-plugins/fake_text.so"]


class Terminal:
    def __init__(self, *args):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(f"{build}/bottega", ["bottega", *args])

    def read(self, seconds):
        """What comes within some time is added to what was seen."""
        end = time.time() + seconds
        while (left := end - time.time()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the other side is gone
                break
            if not data:
                break
            self.seen += data.decode(errors="replace")

    def wait_for(self, text, seconds=10):
        end = time.time() + seconds
        while text not in self.seen and time.time() < end:
            self.read(0.1)
        assert text in self.seen, f"no {text!r} in {self.seen[-400:]!r}"
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def send(self, text):
        os.write(self.fd, text.encode())

    def status(self):
        end = time.time() + 10
        while time.time() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"still running: {self.seen[-400:]!r}")


def chat():
    return Terminal("chat", *flags, "--repeat", "100000", "--delay_ms", "20")


# Ctrl-C stops a reply; the conversation goes on; /exit leaves.
t = chat()
t.wait_for("> ")
t.send("word\n")
t.wait_for("wordword")
t.send("\x03")
t.wait_for("> ")
t.send("other\n")
t.wait_for("otherother")
t.send("\x03")
t.wait_for("> ")
t.send("/exit\n")
assert t.status() == 0

# At the prompt the second Ctrl-C leaves; so does the end of the input.
t = chat()
t.wait_for("> ")
t.send("\x03")
t.wait_for("again")
t.wait_for("> ")
t.send("\x03")
assert t.status() == 0
t = chat()
t.wait_for("> ")
t.send("\x04")
assert t.status() == 0

# SIGTERM ends it, whether it listens or speaks.
for said in ("", "word\n"):
    t = chat()
    t.wait_for("> ")
    t.send(said)
    t.wait_for("wordword" if said else "")
    os.kill(t.pid, signal.SIGTERM)
    assert t.status() == 130

# A bar on a terminal, one line that is drawn again.
t = Terminal("text", *flags, "-p", "word", "--json", "--repeat", "3")
t.wait_for("\r\x1b[Kecho [")
assert t.status() == 0
