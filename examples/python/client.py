#!/usr/bin/env python3
"""A client of zcmdd in Python, with pyzmq. How to run it: ../README.md"""

import base64
import os
import sys

import zmq

# How long to wait for a message. It is more than a command may take: one that is not streamed sends
# nothing until its end.
PATIENCE_MS = 5000


class Refused(Exception):
    """An error that the daemon answers."""

    def __init__(self, error):
        super().__init__(error["message"])  # for people
        self.code = error["code"]  # for programs
        self.executed = error.get("executed")  # of a command: did any of it run?


class Client:
    """A connection. `curve` has the daemon's public key, the own secret key and the own public key."""

    def __init__(self, server, token, curve=None):
        self.token, self.last_id = token, 0
        # Not REQ, which takes one reply to a request: a stream has many.
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0  # at the end, do not wait for a daemon that is not there
        self.socket.rcvtimeo = PATIENCE_MS
        if curve:
            server_key, secret, public = curve
            self.socket.curve_serverkey = server_key
            self.socket.curve_secretkey, self.socket.curve_publickey = secret, public
        self.socket.connect(server)

    def ask(self, command_type, on_output=None, **fields):
        """The last reply to a request; raises Refused and TimeoutError."""
        self.last_id += 1
        shared = {"command_type": command_type, "token": self.token, "id": self.last_id}
        self.socket.send_json({**shared, **fields})
        while True:
            try:
                reply = self.socket.recv_json()
            except zmq.Again:
                # No daemon, a wrong key, or a slow command: do not repeat it blindly.
                raise TimeoutError("no answer in time; whether it was done is not known") from None
            if reply.get("id") != self.last_id:
                continue  # late: an earlier request was given up
            if reply["status"] == "output":
                on_output(output(reply, "data"))
            elif reply["status"] == "error":
                raise Refused(reply["error"])
            else:
                return reply


def output(members, name):
    """What a command wrote: bytes that are not UTF-8 come as base64."""
    text = members.get(name)
    return base64.b64decode(members[name + "_base64"]) if text is None else text.encode()


def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def curve_from_environment():
    if "ZCMD_SERVER_KEY" not in os.environ:
        return None
    with open(os.environ.get("ZCMD_KEY_FILE", ""), "rb") as file:
        secret, public = file.read().split()
    return os.environ["ZCMD_SERVER_KEY"].encode(), secret, public


def main():
    with open(os.environ.get("ZCMD_TOKEN_FILE", "")) as file:
        token = file.read().strip()
    server = os.environ.get("ZCMD_SERVER", "tcp://127.0.0.1:5555")
    client = Client(server, token, curve_from_environment())

    # Maths. Python's integers have all digits; `text` has them in every language.
    reply = client.ask("compute", expression="3^50", text=True)
    print("3^50 =", reply["text"], flush=True)

    # A command that ran, with success or not. One that a signal ended has `signal`.
    ran = client.ask("os", command_name="check")["result"]
    print("check: exit status", ran.get("exit_code", ran.get("signal")), flush=True)
    write(output(ran, "stdout"))

    # A request that is refused, and a command that takes longer than it may.
    for name, fields in [("reboot", {}), ("wait", {"parameters": ["30"], "timeout_ms": 500})]:
        try:
            client.ask("os", command_name=name, **fields)
        except Refused as refused:
            done = "started" if refused.executed else "not started"
            print(f"{name}: {refused.code}, {done}", flush=True)

    # Output while the command runs.
    client.ask("os", command_name="steps", stream=True, on_output=write)


try:
    main()
except (Refused, TimeoutError, OSError, zmq.ZMQError) as error:
    sys.exit(f"client.py: {error}")
